"""The DDS fixtures of test/nodes serve the fault tests as well."""

from __future__ import annotations

from pathlib import Path
import sys

sys.path.insert(0, str(Path(__file__).parents[1] / 'nodes'))

from dds_fixtures import checkpoint, node, nursery, robot, start, start_policy  # noqa: F401
