"""Print the version and those of the libraries results depend on.

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
    """Print one line a library."""
    print(f'liquidspike {__version__} (Python {platform.python_version()})')
    for name in LIBRARIES:
        try:
            print(f'  {name} {metadata.version(name)}')
        except metadata.PackageNotFoundError:
            print(f'  {name} not installed')
    return 0
