"""Fixtures for tests over real DDS."""

from __future__ import annotations

from pathlib import Path
import sys

sys.path.insert(0, str(Path(__file__).parent))

from dds_fixtures import checkpoint, node, nursery, robot, start, start_policy  # noqa: F401
