from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
import os
from pathlib import Path
import signal
import socket
from typing import Any

import pytest

# What some part of the package needs and not every machine has, and where it comes from. A test
# that needs one which is not there is skipped: a ROS installation has no MuJoCo and no rosbags,
# and `colcon test` runs on it as it is.
OPTIONAL = {
    **dict.fromkeys(('mujoco', 'glfw', 'OpenGL', 'matplotlib', 'av'), "the extra 'sim'"),
    **dict.fromkeys(('rosbags', 'tqdm', 'yaml', 'cv2'), "the extra 'train'"),
    **dict.fromkeys(('onnx', 'onnxscript', 'onnxruntime'), "the extra 'export'"),
    **dict.fromkeys(('rclpy', 'sensor_msgs', 'geometry_msgs', 'nav_msgs', 'std_msgs', 'std_srvs',
                     'diagnostic_msgs', 'trajectory_msgs', 'lifecycle_msgs', 'rosgraph_msgs',
                     'rcl_interfaces', 'builtin_interfaces'), "ROS 2, or the extra 'ros'"),
    'hypothesis': "the extra 'test'",
    **dict.fromkeys(('librosa', 'colcon_core'), "the extra 'dev'"),
}
# Folders whose conftest.py needs some of it: without, they are not even looked into.
FOLDERS = {
    'demo': ('mujoco', 'rosbags', 'cv2'), 'faults': ('rclpy',), 'nodes': ('rclpy',),
    'sim': ('mujoco', 'rosbags', 'cv2'), 'training': ('rosbags',),
}

# One thread a process: the test workers share the cores with the nodes they start.
os.environ.setdefault('OMP_NUM_THREADS', '1')

with suppress(ModuleNotFoundError):
    from hypothesis import settings

    # How long an example takes says something about the machine and what else it does.
    settings.register_profile('any machine', deadline=None)
    settings.load_profile('any machine')

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
    if items and items[0].config.getoption('loadgroup', False):
        _name_groups(items)


def _name_groups(items: list[pytest.Item]) -> None:
    """Tell pytest-xdist the group of each test, which it looks for at the end of the test's id.

    Up to 3.8 it writes that into a field that pytest 9.2 has no longer, and then spreads the tests
    of a group over all workers without a word: pytest-xdist issue 1386.
    """
    for item in items:
        names = sorted({mark.args[0] for mark in item.iter_markers('xdist_group')})
        if names and hasattr(item, '_id'):
            item._id = type(item._id).parse(f'{item.nodeid}@{"_".join(names)}')


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out a folder that cannot be looked into."""
    here = Path(__file__).parent
    left_out = collection_path.parent == here and _missing_for(collection_path.name)
    return True if left_out else None


def pytest_report_header() -> list[str]:
    """Say which folders are left out."""
    return [f'without test/{folder}: {_why(missing)}' for folder in FOLDERS
            if (missing := _missing_for(folder))]


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """Skip a file that imports what is not there."""
    outcome: Any = yield
    report = outcome.get_result()
    call = getattr(report, 'call', None)
    _skip_for_missing(report, call.excinfo if call else None, collector)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(
        item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Skip a test that imports what is not there while it runs."""
    outcome: Any = yield
    _skip_for_missing(outcome.get_result(), call.excinfo, item)


def _skip_for_missing(report: Any, failure: Any, node: pytest.Item | pytest.Collector) -> None:
    error = failure.value if report.outcome == 'failed' and failure else None
    while error is not None and not isinstance(error, ModuleNotFoundError):
        error = error.__cause__ or error.__context__
    missing = (error.name or '').partition('.')[0] if error is not None else ''
    if missing in OPTIONAL:
        report.outcome = 'skipped'
        report.longrepr = (str(node.path), 0, f'Skipped: {_why(missing)}')
        report.__dict__.pop('call', None)  # there is nothing to look at


def _missing_for(folder: str) -> str:
    """What a folder of tests needs and is not installed; '' if nothing."""
    return next((name for name in FOLDERS.get(folder, ()) if not _is_installed(name)), '')


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _why(missing: str) -> str:
    return f'{missing} is not installed; it comes with {OPTIONAL[missing]}'


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
