"""Command rate and latency over real DDS at real time: the demo, several rooms, figures pooled.

Each room runs simulator, policy and observer as separate processes. Latency is from the camera
frame's stamp to the publication of the command made from it.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
import subprocess
import sys
import tempfile
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def drive(model: Path, seed: int, output: Path) -> dict[str, Any]:
    """The summary of one demo; a robot that does not arrive counts all the same."""
    subprocess.run(
        [sys.executable, '-m', 'liquidspike_ros.cli', 'demo', '--model', str(model),
         '--seed', str(seed), '-o', str(output), '--no-video'],
        stdout=subprocess.DEVNULL, timeout=180, cwd=ROOT)
    result: dict[str, Any] = json.loads((output / 'summary.json').read_text())
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--model', type=Path, default=ROOT / 'models/beacon')
    parser.add_argument('--rooms', type=int, default=6)
    parser.add_argument('--seed', type=int, default=1000)
    parser.add_argument('--output', type=Path, default=ROOT / 'bench/results/realtime.json')
    arguments = parser.parse_args()
    rows = []
    print(f'{"room":>6s}{"outcome":>10s}{"time":>8s}{"rate":>10s}{"p50":>9s}{"p99":>9s}{"max":>9s}')
    for seed in range(arguments.seed, arguments.seed + arguments.rooms):
        with tempfile.TemporaryDirectory() as folder:
            row = drive(arguments.model.resolve(), seed, Path(folder))
        latency = row['latency_ms']
        rows.append({key: row[key] for key in (
            'seed', 'outcome', 'time_s', 'collisions', 'commands', 'command_rate_hz', 'latency_ms',
            'real_time_factor', 'cpu_cores_used')})
        print(f'{seed:6d}{row["outcome"]:>10s}{row["time_s"]:6.1f} s'
              f'{row["command_rate_hz"]:7.2f} Hz{latency["p50"]:6.1f} ms'
              f'{latency["p99"]:6.1f} ms{latency["max"]:6.1f} ms', flush=True)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    facts = {'cores': os.cpu_count(), 'load_average': os.getloadavg()[0], 'rows': rows}
    arguments.output.write_text(json.dumps(facts, indent=2) + '\n')


if __name__ == '__main__':
    main()
