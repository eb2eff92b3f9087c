"""Write a policy for programs without this package: torch.export, AOTInductor, ONNX.

What is written is one control tick with the recurrent state as explicit inputs and outputs. The
folder also gets export.json, which names every input and output with shape, unit and scaling.
Each file is read back from the disk and compared with the model on random sequences; if it
differs, nothing is left. An earlier export in the folder is replaced as a whole.

  pt2    torch.export program (step.pt2), for Python with torch
  aoti   compiled for this processor (step.aoti.pt2), for C++ with libtorch; needs g++ and time
  onnx   ONNX (step.onnx), for onnxruntime and others; needs: pip install 'liquidspike_ros[export]'

Examples:
  liquidspike export models/beacon -o out/beacon_export
  liquidspike export models/beacon -o out/beacon_export --format pt2 aoti onnx
  liquidspike export models/mine -o out/fleet --format onnx --batch 8
"""

from __future__ import annotations

import argparse
from pathlib import Path
import sys

from ..share import shared_file
from .options import whole

SUMMARY = 'write a policy as torch.export, AOTInductor or ONNX'
FORMATS = ('pt2', 'aoti', 'onnx')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('model', metavar='MODEL', type=Path, help='checkpoint folder')
    parser.add_argument('-o', '--output', metavar='DIR', type=Path, required=True,
                        help='folder for the files: a new one, an empty one or an earlier export')
    parser.add_argument('--format', metavar='NAME', nargs='+', choices=FORMATS, default=['pt2'],
                        help=f'one or several of {", ".join(FORMATS)} (default: pt2)')
    parser.add_argument('--batch', metavar='N', type=whole(1, 4096), default=1,
                        help='rows of every input, each with its own state (default: %(default)s)')


def run(arguments: argparse.Namespace) -> int:
    """Export and list what was written."""
    from ..export.write import export

    artefacts = export(
        shared_file(arguments.model), arguments.output, arguments.format, batch=arguments.batch,
        say=lambda line: print(line, file=sys.stderr, flush=True))
    for artefact in artefacts:
        print(f'{artefact.path}: {artefact.size / 1e6:.1f} MB, '
              f'worst difference to eager {artefact.agreement.worst:.1e}')
    print(f'{arguments.output / "export.json"}: inputs, outputs, scaling, how to run')
    return 0
