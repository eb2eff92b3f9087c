"""The files a demo leaves: summary.json, episode.png, episode.mp4."""

from __future__ import annotations

import json
from pathlib import Path
import sys
import time
from typing import Any

from ..robot import RobotSpec
from ..sim.arena import Layout
from .recording import Recording
from .summary import episode_result, summarise

FILES = ('summary.json', 'episode.png', 'episode.mp4')


def clear_results(output: Path) -> None:
    """Make the folder and remove what an earlier demo left, so that nothing old looks new.

    Raises:
        OSError: The folder cannot be made or written.
    """
    output.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (output / name).unlink(missing_ok=True)


def write_results(recording: Recording, layout: Layout, robot: RobotSpec, output: Path, *,
                  video: bool, began: float) -> int:
    """Write and print the results.

    Args:
        recording: What the observer kept.
        layout: The arena it was in.
        robot: The robot that drove.
        output: Folder.
        video: Whether to write the film.
        began: When the demo started, steady clock, s.

    Returns:
        The exit status: 0 if the robot arrived.
    """
    from .drawing import save_episode

    summary = summarise(recording)
    save_episode(layout, episode_result(recording, layout), output / 'episode.png')
    if video:
        _film(recording, layout, robot, output / 'episode.mp4')
    summary['wall_s'] = round(time.monotonic() - began, 1)
    unfinished = output / '.summary.json.part'
    unfinished.write_text(json.dumps(summary, indent=2) + '\n')
    unfinished.replace(output / 'summary.json')  # last: it says that the rest is there
    for line in report(summary):
        print(line)
    print(f'results: {", ".join(str(output / name) for name in FILES if (output / name).exists())}')
    return 0 if summary['arrived'] else 1


def _film(recording: Recording, layout: Layout, robot: RobotSpec, path: Path) -> None:
    from .video import Film, write_film

    live = sys.stdout.isatty()

    def progress(share: float) -> None:
        if live:
            print(f'\r\033[Kdrawing the film … {100 * share:3.0f} %', end='', flush=True)

    if not live:
        print('drawing the film …')
    write_film(Film(recording, layout, robot), path, progress)
    if live:
        print()


def report(summary: dict[str, Any]) -> list[str]:
    """The summary for a terminal."""
    latency = summary['latency_ms']
    verdict = ('arrived at the singing pillar' if summary['arrived']
               else f'did not arrive: {summary["outcome"].replace("_", " ")}')
    cores = ', '.join(f'{name} {share:.2f}' for name, share in summary['cpu_cores_used'].items())
    return [
        f'{verdict} after {summary["time_s"]} s, {summary["path_length_m"]} m, '
        f'{summary["collisions"]} collisions (seed {summary["seed"]})',
        f'  commands {summary["command_rate_hz"]} Hz; camera stamp to command '
        f'p50 {latency["p50"]} ms, p90 {latency["p90"]} ms, p99 {latency["p99"]} ms',
        f'  real-time factor {summary["real_time_factor"]}; cores used: {cores}; '
        f'whole demo {summary["wall_s"]} s',
    ]
