"""The policy node under a robot's full load, over real DDS, beside the usual construction.

Camera, IMU at 1 kHz, LiDAR with 720 beams at 20 Hz and stereo sound come from a process of their
own (``load_robot.py``), reliable and best effort. The node (``policy_node``, armed, with
``models/beacon``) and the usual construction (``usual_node.py``) take turns. Measured: the share
of frames that arrive, the time from a frame's stamp to its command, processor time of the node's
process, and how its memory grows.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
import dataclasses
import json
import os
from pathlib import Path
import subprocess
import sys
import tempfile
import time
from typing import Any

from interleave import machine, Neighbours, ROOT, write
import numpy as np
import yaml

from liquidspike_ros.demo.processes import Child, Children, free_domain
from liquidspike_ros.robot import load_robot, RobotSpec
from liquidspike_ros.share import PROFILES, transport_environment

BENCH = Path(__file__).resolve().parent
CAMERAS = {'640x480 at 30 Hz': (640, 480, 30.0), '1280x720 at 15 Hz': (1280, 720, 15.0)}
RELIABILITIES = ('reliable', 'best_effort')
SETTLING = 3.0  # s at the beginning that do not count towards processor time
MAPPED = 'VmRSS'
MEMORY_RUN = f'{next(iter(CAMERAS))}, {RELIABILITIES[0]}, ours'


class _Quoting(yaml.SafeDumper):
    """Writes all texts in quotes: ROS takes a bare ``inf`` for a number."""


_Quoting.add_representer(str, lambda dumper, text: dumper.represent_scalar(
    'tag:yaml.org,2002:str', text, style='"'))


def robot_of(rate: float) -> RobotSpec:
    """The beacon robot with faster sensors: the same shapes for the policy."""
    robot = load_robot(ROOT / 'config/robots/beacon.yaml')
    change = dataclasses.replace
    return change(
        robot, rate=rate, camera=change(robot.camera, rate=rate),
        imu=change(robot.imu, rate=1000.0), lidar=change(robot.lidar, rate=20.0))


def resident(process: int) -> float:
    """Memory of a process that is in RAM, MiB."""
    for line in Path(f'/proc/{process}/status').read_text().splitlines():
        if line.startswith(MAPPED):
            return int(line.split()[1]) / 1024
    return float('nan')


@contextmanager
def sensors(camera: tuple[int, int, float], reliability: str, environment: dict[str, str]
            ) -> Iterator[Any]:
    """The publishing process; gives a function that asks it."""
    width, height, rate = camera
    process = subprocess.Popen(
        [sys.executable, str(BENCH / 'load_robot.py'), '--size', str(width), str(height),
         '--rate', str(rate), '--reliability', reliability],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdin is not None
    assert process.stdout is not None
    source, drain = process.stdout, process.stdin

    def ask(line: str) -> dict[str, Any]:
        drain.write(f'{line}\n')
        drain.flush()
        answer: dict[str, Any] = json.loads(source.readline())
        return answer

    try:
        yield ask
    finally:
        drain.close()
        process.wait(20)


def start_node(children: Children, construction: str, robot_file: Path) -> Child:
    model = str(ROOT / 'models/beacon')
    if construction == 'usual':
        return children.start('usual', 'usual_node', [str(robot_file), model])
    return children.start('policy', 'liquidspike_ros.nodes.policy_node', [
        '--ros-args', '--params-file', str(robot_file), '-p', f'model:={model}',
        '-p', 'auto_arm:=true'])


def run(construction: str, camera: tuple[int, int, float], reliability: str, seconds: float,
        profile: bool) -> dict[str, float]:
    """One construction under one load for so long."""
    environment = {**os.environ, 'ROS_DOMAIN_ID': str(free_domain()), 'OMP_NUM_THREADS': '1',
                   'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST', 'PYTHONUNBUFFERED': '1',
                   'PYTHONPATH': os.pathsep.join([str(ROOT), str(BENCH)])}
    drivers = dict(environment)
    if profile:
        drivers.update(transport_environment(environment))
    with tempfile.TemporaryDirectory() as folder, Children(Path(folder), environment) as children:
        robot_file = Path(folder) / 'robot.yaml'
        robot_file.write_text(yaml.dump(
            {'/**': {'ros__parameters': robot_of(camera[2]).to_dict()}}, Dumper=_Quoting))
        node = start_node(children, construction, robot_file)
        with sensors(camera, reliability, drivers) as ask:
            neighbours = Neighbours()
            ask('go')
            children.check()
            time.sleep(SETTLING)
            busy, began = node.processor_time(), time.monotonic()
            memory = []
            while (passed := time.monotonic() - began) < seconds:
                memory.append((passed, resident(node.process.pid)))
                time.sleep(min(1.0, max(0.0, seconds - passed)))
            cores = (node.processor_time() - busy) / (time.monotonic() - began)
            children.check()
            during = ask('report')
            after = ask('stop')
    return figures(construction, during, after, cores, np.array(memory),
                       neighbours.cores())


def figures(construction: str, during: dict[str, Any], after: dict[str, Any], cores: float,
            memory: np.ndarray, others: float) -> dict[str, float]:
    """What one run gives."""
    name = 'usual' if construction == 'usual' else 'policy'
    camera, inference = (after['status'][f'{name}: camera'],
                         during['status'][f'{name}: inference'])
    half = memory[len(memory) // 2:]
    slope = float(np.polyfit(half[:, 0], half[:, 1], 1)[0]) if len(half) > 2 else 0.0
    arrived = int(camera['accepted']) + int(camera['dropped'])
    row = {
        'frames_sent': after['sent']['camera/image_raw'], 'frames_arrived': arrived,
        'share': arrived / after['sent']['camera/image_raw'],
        'imu_sent': after['sent']['imu'], 'commands': during['commands'],
        'ticks': int(inference['ticks']), 'cores': cores, 'others_cores': others,
        'memory_mib': float(memory[-1, 1]), 'memory_growth_mib_per_min': 60 * slope,
        'subscription': camera['reliability'],
    }
    for key in ('latency_p50', 'latency_p95', 'latency_p99', 'latency_max'):
        row[f'{key}_ms'] = 1e3 * float(inference[key]) if key in inference else float('nan')
    return row


def medians(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of each figure over the rounds; texts as in the last."""
    return {key: float(np.median([each[key] for each in runs]))
            if not isinstance(value, str) else value for key, value in runs[-1].items()}


def show(label: str, row: dict[str, Any]) -> None:
    print(f'{label:46s}{row["share"]:8.1%}{row["latency_p50_ms"]:8.1f}{row["latency_p99_ms"]:8.1f}'
          f'{row["cores"]:8.3f}{row["memory_mib"]:8.0f}{row["memory_growth_mib_per_min"]:9.2f}'
          f'{row["others_cores"]:8.2f}', flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seconds', type=float, default=30.0, help='of each run')
    parser.add_argument('--minutes', type=float,
                        help='of one run of the node at 640x480, reliable: how its memory grows')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--only', default='', help='runs whose name has this in it; writes nothing')
    parser.add_argument('--no-profile', action='store_true',
                        help='publish with the default shared memory; writes nothing')
    arguments = parser.parse_args()
    seconds = 60 * arguments.minutes if arguments.minutes else arguments.seconds
    only = arguments.only or (MEMORY_RUN if arguments.minutes else '')
    facts = machine()
    for name in PROFILES:  # the user's own would be measured, not ours
        os.environ.pop(name, None)
    runs: dict[str, list[dict[str, Any]]] = {}
    print(f'{"":46s}{"arrived":>8s}{"p50 ms":>8s}{"p99 ms":>8s}{"cores":>8s}{"MiB":>8s}'
          f'{"MiB/min":>9s}{"others":>8s}')
    for _ in range(arguments.rounds):
        for size, camera in CAMERAS.items():
            for reliability in RELIABILITIES:
                for construction in ('ours', 'usual'):
                    label = f'{size}, {reliability}, {construction}'
                    if only in label:
                        row = run(construction, camera, reliability, seconds,
                                  not arguments.no_profile)
                        runs.setdefault(label, []).append(row)
                        show(label, row)
    rows = {label: medians(each) for label, each in runs.items()}
    if arguments.rounds > 1:
        print('medians')
        for label, row in rows.items():
            show(label, row)
    if not arguments.only and not arguments.no_profile:
        write('node_memory' if arguments.minutes else 'node_load', rows, facts)


if __name__ == '__main__':
    main()
