from __future__ import annotations

import os
from pathlib import Path
import signal
import socket

import pytest

# One thread a process: the test workers share the cores with the nodes they start.
os.environ.setdefault('OMP_NUM_THREADS', '1')

# A shell that starts us in the background has SIGINT ignored, and so would every program that the
# Ctrl-C tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run DDS tests one after the other, and skip GPU tests where there is no GPU."""
    for item in items:
        if item.get_closest_marker('dds'):
            item.add_marker(pytest.mark.xdist_group('dds'))
        if item.get_closest_marker('gpu'):
            import torch

            if not torch.cuda.is_available():
                item.add_marker(pytest.mark.skip(reason='needs a CUDA device'))


NOT_FILES = ('folder', 'fifo', 'device', 'socket', 'dangling link', 'link to a fifo', 'loop')


@pytest.fixture(params=NOT_FILES)
def not_a_file(request: pytest.FixtureRequest, tmp_path: Path,
               monkeypatch: pytest.MonkeyPatch) -> Path:
    """A path below which something stands that is no regular file."""
    path = tmp_path / 'it.yaml'
    match request.param:
        case 'folder':
            path.mkdir()
        case 'fifo':
            os.mkfifo(path)
        case 'device':
            path.symlink_to('/dev/zero')
        case 'socket':
            monkeypatch.chdir(tmp_path)  # a socket's address has room for a short path only
            with socket.socket(socket.AF_UNIX) as server:
                server.bind('it.yaml')
        case 'dangling link':
            path.symlink_to(tmp_path / 'nowhere')
        case 'link to a fifo':
            os.mkfifo(tmp_path / 'fifo')
            path.symlink_to('fifo')
        case 'loop':
            path.symlink_to(path)
    return path
