from __future__ import annotations

from pathlib import Path
import sys

# The scripts import each other by bare names, as they do when they are run.
sys.path.insert(0, str(Path(__file__).parents[2] / 'bench'))
