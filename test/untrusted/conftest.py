from __future__ import annotations

import os
from pathlib import Path
import socket

import pytest

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
