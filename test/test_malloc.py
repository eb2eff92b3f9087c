"""Freed memory is used again instead of going back to the kernel."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import torch
from liquidspike_ros.malloc import keep_freed_memory
torch.set_num_threads(1)
if sys.argv[1] == 'keep':
    assert keep_freed_memory()
def fill():
    torch.zeros(8, 1 << 20).add_(1)  # 32 MiB
for _ in range(3):
    fill()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    fill()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> int:
    run = subprocess.run([sys.executable, '-c', PROGRAM, how], capture_output=True, text=True,
                         check=True, timeout=120)
    return int(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='a setting of glibc')
def test_large_blocks_are_reused_without_page_faults():
    assert page_faults('keep') < 0.25 * page_faults('plain')
