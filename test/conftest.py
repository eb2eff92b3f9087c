from __future__ import annotations

import os
import signal

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
