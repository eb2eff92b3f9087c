"""A report counts right, and evaluating drives what it says."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from hypothesis import given, strategies
import pytest

from liquidspike_ros.core.checkpoint import CheckpointError
from liquidspike_ros.sim.evaluation import (
    build_report,
    EpisodeSummary,
    evaluate,
    EvaluateOptions,
    EvaluationError,
    HELD_OUT,
    wilson_interval,
)
from liquidspike_ros.sim.recording import RecordOptions


@pytest.mark.parametrize(('successes', 'trials', 'low', 'high'), [
    # (p + z²/2n ± z √(p (1 − p)/n + z²/4n²)) / (1 + z²/n) with z = 1.959964
    (0, 10, 0.0, 0.27753),
    (8, 10, 0.49016, 0.94332),
    (10, 10, 0.72247, 1.0),
    (45, 50, 0.78640, 0.95652),
    (100, 100, 0.96301, 1.0),
])
def test_wilson_interval_of_known_counts(
        successes: int, trials: int, low: float, high: float) -> None:
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=1e-5)


@given(strategies.integers(1, 10_000), strategies.data())
def test_wilson_interval_holds_the_share_and_stays_within_0_and_1(
        trials: int, data: strategies.DataObject) -> None:
    successes = data.draw(strategies.integers(0, trials))
    low, high = wilson_interval(successes, trials)
    assert 0.0 <= low <= successes / trials <= high <= 1.0
    assert low < high


@pytest.mark.parametrize(('successes', 'trials'), [(1, 0), (-1, 5), (6, 5)])
def test_impossible_counts_are_refused(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match=f'got {successes} of {trials}'):
        wilson_interval(successes, trials)


def episode(seed: int, outcome: str = 'arrived', **values: Any) -> EpisodeSummary:
    return EpisodeSummary(**{'seed': seed, 'outcome': outcome, 'time': 10.0, 'path_length': 4.0,
                             'shortest': 4.0, 'collisions': 0, **values})


def test_a_report_adds_up() -> None:
    report = build_report(EvaluateOptions(episodes=4), [
        episode(1003, 'timeout', time=60.0, collisions=3),
        episode(1000, time=8.0),
        episode(1001, time=20.0, path_length=8.0, collisions=1),
        episode(1002, 'wrong_beacon', time=12.0, collisions=1),
    ], wall=50.0)
    assert (report.successes, report.episodes, report.success_rate) == (2, 4, 0.5)
    assert report.outcomes == {'arrived': 2, 'wrong_beacon': 1, 'timeout': 1}
    assert report.collisions_per_episode == 1.25
    assert report.collision_free_successes == 1
    assert report.time == 14.0
    assert report.path_length == 6.0
    # (4/4 + 4/8 + 0 + 0) / 4
    assert report.spl == pytest.approx(0.375)
    assert (report.simulated, report.wall) == (100.0, 50.0)
    assert [r.seed for r in report.results] == [1000, 1001, 1002, 1003]


def test_a_shorter_way_than_the_expert_s_counts_as_one() -> None:
    report = build_report(EvaluateOptions(episodes=1), [episode(1000, path_length=3.0)], 1.0)
    assert report.spl == 1.0


def test_a_report_without_success_is_still_json() -> None:
    report = build_report(EvaluateOptions(episodes=1), [episode(1000, 'timeout')], 1.0)
    assert math.isnan(report.time)
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert plain['time'] is None
    assert plain['results'][0]['outcome'] == 'timeout'
    assert 'success      0/1 = 0.0 %' in '\n'.join(report.lines())


def test_the_expert_is_evaluated_like_anyone() -> None:
    report = evaluate(EvaluateOptions(episodes=2, progress=False))
    assert report.successes == 2
    assert report.model == 'expert'
    assert [r.seed for r in report.results] == [1000, 1001]
    assert 0.9 < report.spl <= 1.0
    assert all(r.time > 1.0 for r in report.results)


@pytest.mark.slow
def test_several_processes_find_the_same() -> None:
    one, two = (evaluate(EvaluateOptions(episodes=3, workers=workers, progress=False))
                for workers in (1, 2))
    assert one.results == two.results


def test_evaluation_seeds_are_those_recording_refuses() -> None:
    options = EvaluateOptions()
    assert options.seed in HELD_OUT
    assert options.seed + options.episodes - 1 in HELD_OUT
    assert RecordOptions(output=Path()).seed not in HELD_OUT


@pytest.mark.parametrize(('values', 'text'), [
    ({'episodes': 0}, 'episodes: got 0, expected a whole number in'),
    ({'limit_s': 0.0}, r'limit_s: got 0\.0, expected a number in \[0\.1, 3600\] s'),
    ({'mask': ('radar',)}, "mask: got 'radar', expected any of camera, imu, lidar, audio"),
])
def test_wrong_options_are_refused_by_name(values: dict[str, Any], text: str) -> None:
    with pytest.raises(EvaluationError, match=text):
        EvaluateOptions(**values)


def test_a_missing_model_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=str(tmp_path)):
        evaluate(EvaluateOptions(model=tmp_path / 'none', episodes=1, progress=False))
