"""Ctrl-C: a program that has tidied up ends with the status of an interrupt, whatever broke."""

from __future__ import annotations

import os
from pathlib import Path
import subprocess
import sys

from liquidspike_ros.cli import main, program

PROGRAM = """
import atexit, sys
from liquidspike_ros.cli import main, program

def interrupted(argv):
    atexit.register(print, 'tidied up')
    try:
        exec('raise KeyboardInterrupt')  # CPython remembers it, and ends by the signal
    except KeyboardInterrupt:
        return 130

program.run = interrupted
sys.exit(main({argv}))
"""


def ended(folder: Path, argv: str) -> tuple[int, str]:
    (folder / 'it.py').write_text(PROGRAM.format(argv=argv))
    places = os.pathsep.join([str(folder), os.getcwd()])
    process = subprocess.run([sys.executable, '-m', 'it'], text=True, capture_output=True,
                             check=False, env={**os.environ, 'PYTHONPATH': places})
    return process.returncode, process.stdout


def test_an_interrupted_program_ends_with_a_status_after_what_others_left_to_do(tmp_path) -> None:
    assert ended(tmp_path, 'None') == (130, 'tidied up\n')


def test_whoever_calls_a_command_goes_on(monkeypatch) -> None:
    monkeypatch.setattr(program, 'run', lambda argv: 130)
    assert main([]) == 130
