"""Print the version, those of the libraries results depend on, and whether ticks run in C.

Examples:
  liquidspike version
"""

from __future__ import annotations

import argparse
from importlib import metadata
import platform

from .. import __version__

SUMMARY = 'print versions'
LIBRARIES = ('torch', 'numpy', 'ncps', 'snntorch', 'mujoco', 'rosbags', 'rclpy')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No options."""


def run(arguments: argparse.Namespace) -> int:
    """Print one line a library, and one on the C code of single ticks."""
    print(f'liquidspike {__version__} (Python {platform.python_version()})')
    for name in LIBRARIES:
        try:
            print(f'  {name} {metadata.version(name)}')
        except metadata.PackageNotFoundError:
            print(f'  {name} not installed')
    # Here: --help needs no torch.
    from ..core.tick import native

    library = native.kernels()
    print('  single ticks on the CPU run in '
          + (f'torch: {native.reason()}' if library is None else f'C, built for {library.variant}'))
    return 0
