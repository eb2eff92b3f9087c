from __future__ import annotations

import numpy as np
import pytest

from liquidspike_ros.demo.recording import PolicyTick, Recording, Timeline

MS = 1_000_000


def test_timeline_gives_the_newest_not_later() -> None:
    line: Timeline[str] = Timeline()
    line.add(10, 'a')
    line.add(30, 'c')
    line.add(20, 'b')
    assert [line.at(t) for t in (9, 10, 19, 25, 99)] == [None, 'a', 'a', 'b', 'c']
    assert line.between(10, 30) == ([20, 30], ['b', 'c'])


def test_timeline_is_bounded() -> None:
    line: Timeline[str] = Timeline(most=2)
    for time in (3, 1, 2):
        line.add(time, str(time))
    assert line.items == ['1', '3']


def recording(delays_ms: list[float], lateness_ms: float = 0.0) -> Recording:
    """One tick a frame; command k leaves ``delays_ms[k]`` after the wall time of its frame.

    The simulator's clock runs ``lateness_ms`` later with each frame, as on a slow machine.
    """
    result = Recording(seed=0)
    for k, delay in enumerate(delays_ms):
        stamp = (k + 1) * 100 * MS
        wall = stamp + round(k * lateness_ms * MS) + 5_000_000_000
        result.clock_wall.add(stamp, wall)
        result.images.add(stamp, np.zeros((2, 2, 3), np.uint8))
        result.poses.add(stamp, (0.0, 0.0, 0.0))
        result.commands.add(stamp + 10 * MS, (0.1, 0.0))
        result.command_wall.append(wall + round(delay * MS))
        result.ticks.add(stamp + 10 * MS, PolicyTick({}, None, {}, {}, camera=stamp,
                                               sent=wall + round(delay * MS) + 1000))
    result.decided = 100_000 * MS
    return result


def test_latency_is_from_the_stamp_on_the_clock_to_the_command() -> None:
    assert recording([20, 30, 45]).latencies() * 1e3 == pytest.approx([20, 30, 45])


def test_latency_does_not_blame_the_policy_for_a_slow_simulator() -> None:
    assert recording([20, 20, 20], lateness_ms=40).latencies() * 1e3 == pytest.approx([20] * 3)


def test_latency_counts_a_frame_once() -> None:
    result = recording([20, 30])
    result.ticks.add(260 * MS, PolicyTick({}, None, {}, {}, camera=200 * MS,
                                    sent=result.ticks.items[-1].sent + 50 * MS))
    assert len(result.latencies()) == 2


def test_latency_of_commands_that_stream_between_is_not_taken() -> None:
    result = recording([20, 30])
    # A watchdog's zero after the second tick's report.
    result.commands.add(290 * MS, (0.0, 0.0))
    result.command_wall.append(result.ticks.items[-1].sent + 30 * MS)
    assert result.latencies() * 1e3 == pytest.approx([20, 30])


def test_drive_begins_with_the_first_moving_command() -> None:
    result = Recording(seed=0)
    result.poses.add(1, (0.0, 0.0, 0.0))
    for time, command in ((5, (0.0, 0.0)), (6, (0.0, 0.0)), (7, (0.0, 0.3)), (8, (0.0, 0.0))):
        result.commands.add(time, command)
    assert result.begin == 7
