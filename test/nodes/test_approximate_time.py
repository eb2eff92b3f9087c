from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from liquidspike_ros.nodes.approximate_time import ApproximateTimeSynchronizer


class Source:
    """Anything with registerCallback can feed a synchroniser."""

    def __init__(self) -> None:
        self.callbacks = []

    def registerCallback(self, callback, *args):
        self.callbacks.append((callback, args))

    def send(self, stamp: float) -> None:
        ns = round(stamp * 1e9)
        header = SimpleNamespace(stamp=time_of(ns))
        for callback, args in self.callbacks:
            callback(SimpleNamespace(header=header, ns=ns), *args)


def time_of(ns: int):
    from builtin_interfaces.msg import Time
    return Time(sec=ns // 10**9, nanosec=ns % 10**9)


def matched(kind, streams: list[tuple[int, float]], inputs: int, queue_size=10, slop=0.05):
    sources = [Source() for _ in range(inputs)]
    synchronizer = kind(fs=sources, queue_size=queue_size, slop=slop)
    sets = []
    synchronizer.registerCallback(lambda *messages: sets.append(tuple(m.ns for m in messages)))
    for index, stamp in streams:
        sources[index].send(stamp)
    return sets


def test_messages_within_the_slop_make_a_set_in_input_order():
    sets = matched(ApproximateTimeSynchronizer, [(1, 1.00), (0, 1.03)], 2)
    assert sets == [(1_030_000_000, 1_000_000_000)]


def test_messages_apart_make_none():
    assert matched(ApproximateTimeSynchronizer, [(1, 1.00), (0, 1.06)], 2) == []


def test_the_nearest_partner_is_taken_and_used_up():
    sets = matched(ApproximateTimeSynchronizer, [(1, 1.00), (1, 1.02), (0, 1.03), (0, 1.04)], 2)
    assert sets == [(1_030_000_000, 1_020_000_000), (1_040_000_000, 1_000_000_000)]


def test_nearest_is_not_newest():
    sets = matched(ApproximateTimeSynchronizer, [(1, 1.00), (1, 1.04), (0, 1.01)], 2)
    assert sets == [(1_010_000_000, 1_000_000_000)]


def test_the_queue_forgets_the_oldest():
    stream = [(0, 1.0)] + [(0, 2.0 + i) for i in range(3)] + [(1, 1.0)]
    assert matched(ApproximateTimeSynchronizer, stream, 2, queue_size=3) == []


def test_a_callback_that_raises_does_not_lock_the_others_out():
    sources = [Source(), Source()]
    synchronizer = ApproximateTimeSynchronizer(fs=sources, queue_size=3, slop=0.1)

    def fail(*messages):
        raise RuntimeError('no')

    synchronizer.registerCallback(fail)
    sources[0].send(1.0)
    with pytest.raises(RuntimeError):
        sources[1].send(1.0)
    assert synchronizer.lock.acquire(blocking=False)


@pytest.mark.parametrize('inputs', [2, 3])
@pytest.mark.parametrize('seed', range(5))
def test_same_sets_as_message_filters(inputs: int, seed: int):
    stock = pytest.importorskip('message_filters').ApproximateTimeSynchronizer
    rng = np.random.default_rng(seed)
    stream = []
    for index in range(inputs):
        rate = rng.uniform(8, 40)
        stamps = np.arange(0, 3, 1 / rate)
        stamps += rng.uniform(-0.02, 0.02, len(stamps))
        arrivals = stamps + rng.uniform(0.1, 0.15, len(stamps))
        stream += [(arrival, index, 10 + stamp)
                   for arrival, stamp in zip(arrivals, stamps, strict=True)]
    order = [(index, stamp) for _, index, stamp in sorted(stream)]
    ours = matched(ApproximateTimeSynchronizer, order, inputs)
    assert ours == matched(stock, order, inputs)
    assert len(ours) > 10
