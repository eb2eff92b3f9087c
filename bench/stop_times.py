"""How fast the robot stops, holds and resumes over real DDS, and what the last message is.

A fake robot publishes four sensors at their nominal rates; the policy node runs in a process of
its own with a policy that wants full speed ahead and full turn. Each trial takes one sensor away,
or all, for a time between 0.4 and 3 s. Measured from the last sample published to the first zero of
those that last (stop), the share of zeros from 200 ms after it on (held), and from the first sample
of the return to the first command that moves (resume). Then minutes without any fault, and every
way in which the node can end.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
import itertools
import json
import os
from pathlib import Path
import platform
import signal
import statistics
import sys
import tempfile
import time
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / 'test' / 'nodes')]

from dds_harness import (  # noqa: E402
    arm_when_ready,
    call,
    FakeRobot,
    make_checkpoint,
    Process,
    ROBOT_FILE,
    ros_node,
    wait_for,
)
from lifecycle_msgs.msg import Transition  # noqa: E402
from lifecycle_msgs.srv import ChangeState  # noqa: E402
import numpy as np  # noqa: E402

BREAKER = """
import os, sys, threading, time

def arrange():
    while 'liquidspike_ros.nodes.policy_session' not in sys.modules:
        time.sleep(0.05)
    time.sleep(0.5)
    modules = sys.modules
    parts = {'watchdog': (modules['liquidspike_ros.control.safety'].SafetyGate, 'watchdog'),
             'inference': (modules['liquidspike_ros.control.policy_runtime'].PolicyRuntime, 'step')}
    for name, (kind, attribute) in parts.items():
        spoil(name, kind, attribute, getattr(kind, attribute))

def spoil(name, kind, attribute, whole):
    def spoilt(self, *arguments, **options):
        order = os.environ['BENCH_BREAK'] + name
        if threading.current_thread().name == name and os.path.exists(order):
            if name == 'watchdog':
                os.remove(order)
            raise RuntimeError('injected')
        return whole(self, *arguments, **options)
    setattr(kind, attribute, spoilt)

threading.Thread(target=arrange, daemon=True).start()
"""


def full_speed_model(folder: Path) -> Path:
    """An untrained policy whose output is full scale, whatever it senses."""
    import torch

    from liquidspike_ros.core.checkpoint import from_pretrained, save_pretrained

    model, metadata = from_pretrained(make_checkpoint(folder / 'plain'))
    head = model.network.fusion.core.head
    last = [part for part in head.modules() if isinstance(part, torch.nn.Linear)][-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.fill_(1.0)
    save_pretrained(model, folder / 'full', metadata)
    return folder / 'full'


@contextmanager
def driving(model: Path, **environment: str) -> Iterator[tuple[FakeRobot, Any, Process]]:
    """A fake robot that the policy node drives at full speed."""
    with ros_node('bench_robot') as node:
        robot = FakeRobot(node)
        robot.start()
        before = {key: os.environ.get(key) for key in environment}
        os.environ.update(environment)
        process = Process('policy_node', '--ros-args', '--params-file', str(ROBOT_FILE),
                          '-p', f'model:={model}')
        for key, value in before.items():
            os.environ.pop(key) if value is None else os.environ.update({key: value})
        try:
            arm_when_ready(node)
            wait_for(lambda: robot.commands and robot.commands[-1].linear > 0.5, 'full speed')
            yield robot, node, process
        finally:
            process.close()
            robot.close()


def lasting_zeros(robot: FakeRobot) -> list[float]:
    run = itertools.takewhile(lambda command: command.is_zero, reversed(list(robot.commands)))
    return [command.time for command in run][::-1]


def outage(robot: FakeRobot, sensors: set[str], seconds: float) -> dict[str, float]:
    """Take sensors away for a while; times in s."""
    robot.enabled -= sensors
    time.sleep(0.03)  # one may be on its way out
    last = max(robot.last[sensor] for sensor in sensors)
    time.sleep(max(0.0, last + seconds - time.monotonic()))
    zeros, now = lasting_zeros(robot), time.monotonic()
    robot.enabled |= sensors
    wait_for(lambda: all(robot.last[sensor] > now for sensor in sensors), 'samples')
    back = max(robot.last[sensor] for sensor in sensors)
    wait_for(lambda: not robot.commands[-1].is_zero, 'motion')
    moved = next(c.time for c in robot.since(now) if not c.is_zero)
    held = [c.is_zero for c in robot.since(last + 0.2) if c.time < now]
    wait_for(lambda: robot.commands[-1].linear > 0.5, 'full speed')
    return {'stop': (zeros[0] - last) if zeros else float('inf'), 'resume': moved - back,
            'held': float(np.mean(held)) if held else 1.0}


def outages(robot: FakeRobot, trials: int) -> dict[str, Any]:
    result = {}
    random = np.random.default_rng(0)
    for name, sensors in (('camera', {'camera'}), ('lidar', {'lidar'}), ('all', set(robot.RATES))):
        rows = []
        for _ in range(trials):
            time.sleep(float(random.uniform(0.5, 0.7)))
            rows.append(outage(robot, set(sensors), float(random.uniform(0.4, 3.0))))
        result[name] = summary = {
            'stop_median': statistics.median(row['stop'] for row in rows),
            'stop_max': max(row['stop'] for row in rows),
            'held_min': min(row['held'] for row in rows),
            'resume_median': statistics.median(row['resume'] for row in rows),
            'resume_max': max(row['resume'] for row in rows), 'trials': len(rows)}
        print(f'  {name:8s} stop {1e3 * summary["stop_median"]:4.0f} ms, worst '
              f'{1e3 * summary["stop_max"]:4.0f} ms; held {summary["held_min"]:.1%}; resume '
              f'{1e3 * summary["resume_median"]:4.0f} ms, worst {1e3 * summary["resume_max"]:4.0f} '
              f'ms', flush=True)
    return result


def nominal(robot: FakeRobot, minutes: float) -> dict[str, float]:
    """Nothing is wrong: how often it stood all the same, and how far the speed dipped."""
    moment = time.monotonic()
    end, zeros, slow, count = moment + 60 * minutes, 0, 0, 0
    while time.monotonic() < end:
        time.sleep(min(10.0, max(0.0, end - time.monotonic())))
        commands, moment = robot.since(moment), time.monotonic()
        count += len(commands)
        zeros += sum(command.is_zero for command in commands)
        slow += sum(command.linear < 0.55 for command in commands)
    print(f'  nominal  {count} commands in {minutes:g} min, {zeros} zero, {slow} below 92 % of '
          'full speed', flush=True)
    return {'minutes': minutes, 'commands': count, 'zeros': zeros, 'slow': slow}


def endings(model: Path, trials: int, folder: Path) -> dict[str, int]:
    """Every way to end, and whether zero was the last message."""
    def change(number: int) -> Callable[[Any, Process], None]:
        def ask(node: Any, process: Process) -> None:
            call(node, ChangeState, '/policy/change_state',
                 ChangeState.Request(transition=Transition(id=number)))
        return ask

    def injected(name: str) -> Callable[[Any, Process], None]:
        return lambda node, process: (folder / f'break_{name}').touch()

    ways = {'SIGINT': lambda node, process: process.signal(signal.SIGINT),
            'SIGTERM': lambda node, process: process.signal(signal.SIGTERM),
            'deactivate': change(Transition.TRANSITION_DEACTIVATE),
            'shutdown': change(Transition.TRANSITION_ACTIVE_SHUTDOWN),
            'raise in inference': injected('inference'), 'raise in watchdog': injected('watchdog')}
    (folder / 'sitecustomize.py').write_text(BREAKER)
    result = {}
    for name, end in ways.items():
        good = 0
        for _ in range(trials):
            for file in folder.glob('break_*'):
                file.unlink()
            with driving(model, BENCH_BREAK=str(folder / 'break_'), PYTHONPATH=os.pathsep.join(
                    [str(folder), os.environ.get('PYTHONPATH', '')])) as (robot, node, process):
                time.sleep(1.0)
                end(node, process)
                time.sleep(1.0)
                good += robot.commands[-1].is_zero
        result[name] = good
        print(f'  {name:20s} zero was last in {good} of {trials}', flush=True)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--trials', type=int, default=20)
    parser.add_argument('--minutes', type=float, default=3.0, help='without any fault')
    parser.add_argument('--endings', type=int, default=None, help='trials each (default: --trials)')
    parser.add_argument('--output', type=Path, default=ROOT / 'bench/results/stop_times.json')
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = full_speed_model(folder)
        with driving(model) as (robot, _, _):
            facts: dict[str, Any] = {
                'machine': platform.processor() or platform.machine(), 'cores': os.cpu_count(),
                'outages': outages(robot, arguments.trials),
                'nominal': nominal(robot, arguments.minutes)}
        count = arguments.trials if arguments.endings is None else arguments.endings
        facts['endings'] = endings(model, count, folder) if count else {}
    facts['load_average'] = os.getloadavg()[0]
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(facts, indent=2) + '\n')


if __name__ == '__main__':
    main()
