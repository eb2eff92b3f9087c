"""Header stamps on another clock than the log: measured per recording, and taken out.

A simulator recorded without ``--use-sim-time`` stamps with seconds since its start and is logged
at wall time; so does a recorder whose clock was never set. Where all stamped sensors of a robot
agree on the offset, log times are moved onto the clock of the stamps, which is the clock that a
robot with ``use_sim_time`` would have lived by. An offset may drift (a simulator slower than real
time) or step (one that was reset); the moved times follow. A single sensor that is off is *not*
moved: it would be refused on the robot too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

SECOND = 1_000_000_000
WINDOW = SECOND // 4  # of log time; the shortest lag in each is kept
SMALL = SECOND // 10  # what stamps may be off without any of this
AGREE = SECOND // 5  # by how much the lags of sensors on one clock may differ
OTHER_CLOCK = 3600 * SECOND  # no sensor is an hour late: a lag like this is another clock
STEADY = SECOND // 20  # range of an offset that counts as constant
_MOST_WINDOWS = 200_000


class StampTrack:
    """How far the stamps of one topic lie behind its log times.

    Attributes:
        zeros: Messages whose stamp was zero.
    """

    def __init__(self) -> None:
        self.zeros = 0
        self._windows: dict[int, tuple[int, int]] = {}
        self._first = self._last = (0, 0)
        self._count = 0

    def add(self, time: int, stamp: int) -> None:
        """Take a message logged at ``time`` and stamped ``stamp``, ns."""
        if stamp == 0:
            self.zeros += 1
            return
        self._first = self._first if self._count else (time, stamp)
        self._last = (time, stamp)
        self._count += 1
        window, lag = time // WINDOW, time - stamp
        best = self._windows.get(window)
        if (best is None and len(self._windows) < _MOST_WINDOWS) or (best and lag < best[0]):
            self._windows[window] = (lag, time)

    @property
    def tells(self) -> bool:
        """Whether its stamps say anything about a clock: some, and going on as time does."""
        elapsed = self._last[0] - self._first[0]
        return self._count >= 3 and self._last[1] - self._first[1] > elapsed // 50

    @property
    def knots(self) -> NDArray[np.int64]:
        """``[K, 2]``: log time and shortest lag there, ns, in time order."""
        found = sorted((time, lag) for lag, time in self._windows.values())
        return np.array(found, np.int64).reshape(-1, 2)

    @property
    def lag(self) -> int:
        """Typical shortest lag, ns: positive where the stamps are older than the log times."""
        return int(np.median(self.knots[:, 1])) if self._windows else 0


@dataclass(frozen=True)
class TimeShift:
    """Moves log times onto the clock of the stamps.

    Attributes:
        times: Log times of the knots, ns, in order.
        lags: What is taken off there, ns; linear in between. One knot: constant.
        sensors: Whose stamps agreed.
    """

    times: tuple[int, ...]
    lags: tuple[int, ...]
    sensors: tuple[str, ...] = ()

    def __call__(self, time: int) -> int:
        """The time on the clock of the stamps, ns."""
        if len(self.times) == 1:
            return time - self.lags[0]
        # Before the first knot and after the last, the nearest stretch goes on.
        after = min(max(bisect_right(self.times, time), 1), len(self.times) - 1)
        begin, end = self.times[after - 1], self.times[after]
        low, high = self.lags[after - 1], self.lags[after]
        if not begin <= time <= end and end - begin < WINDOW // 4:  # too short to tell a rate
            return time - (low if time < begin else high)
        return time - low - (high - low) * (time - begin) // max(end - begin, 1)

    def follower(self) -> Callable[[int], int]:
        """As ``__call__``, for times in order: jitter never makes the result go back."""
        last = -1

        def follow(time: int) -> int:
            nonlocal last
            moved = self(time)
            last = last if 0 < last - moved < SECOND // 2 else moved
            return last

        return follow

    @property
    def line(self) -> str:
        """What is done, in one line."""
        who = ', '.join(self.sensors)
        if len(self.times) == 1:
            return (f'stamps of {who} lie {seconds(self.lags[0])} the log time, all alike: '
                    'taken out (a simulator is recorded with ros2 bag record --use-sim-time)')
        change = (self.lags[-1] - self.lags[0]) / max(self.times[-1] - self.times[0], 1)
        return (f'stamps of {who} lie {seconds(self.lags[0])} the log time and run at '
                f'{1 - change:.2f} of its speed: log times are moved onto them (a simulator is '
                'recorded with ros2 bag record --use-sim-time)')


def seconds(lag: int) -> str:
    """``0.300 s behind`` or ``0.150 s ahead of``."""
    return f'{abs(lag) / SECOND:.3f} s {"behind" if lag >= 0 else "ahead of"}'


def remaining_lag(track: StampTrack, shift: TimeShift | None) -> int:
    """Typical lag of a topic once the recording's own offset is taken out, ns."""
    if shift is None or not track.tells:
        return track.lag
    knots = track.knots
    return int(np.median(knots[:, 1] - np.interp(knots[:, 0], shift.times, shift.lags)))


def find_shift(sensors: Mapping[str, StampTrack],
               others: Mapping[str, StampTrack]) -> TimeShift | None:
    """The offset that a whole recording has, or None.

    Args:
        sensors: Tracks of the robot's enabled sensors that are stamped, by sensor name.
        others: Tracks of all other topics, by topic: witnesses where there is one sensor only.
    """
    tracks = {name: track for name, track in sensors.items() if track.tells}
    if not tracks or any(abs(track.lag) <= SMALL for track in tracks.values()):
        return None
    group = max((_agreeing(track, tracks) for track in tracks.values()),
                key=lambda names: (len(names), -min(abs(tracks[n].lag) for n in names)))
    if len(group) == 1:
        (track,) = tracks.values() if len(tracks) == 1 else (None,)
        if track is None or not _is_the_recordings(track, others):
            return None
    elif len(group) * 2 <= len(tracks):
        return None
    return _shift([tracks[name] for name in group], tuple(group))


def _is_the_recordings(track: StampTrack, others: Mapping[str, StampTrack]) -> bool:
    """Whether the offset of the only stamped sensor is one of the clock, not of the sensor."""
    witnesses = {topic: other for topic, other in others.items() if other.tells}
    if any(abs(other.lag) <= SMALL for other in witnesses.values()):
        return bool(_agreeing(track, {'/clock': witnesses['/clock']})
                    if '/clock' in witnesses else False)
    return bool(_agreeing(track, witnesses)) or abs(track.lag) > OTHER_CLOCK


def _agreeing(reference: StampTrack, tracks: Mapping[str, StampTrack]) -> list[str]:
    knots = reference.knots
    found = []
    for name, track in tracks.items():
        theirs = track.knots[::max(1, len(track.knots) // 400)]
        expected = np.interp(theirs[:, 0], knots[:, 0], knots[:, 1])
        if abs(np.median(theirs[:, 1] - expected)) <= AGREE:
            found.append(name)
    return found


def _shift(tracks: Sequence[StampTrack], names: tuple[str, ...]) -> TimeShift:
    best: dict[int, tuple[int, int]] = {}
    for time, lag in np.concatenate([track.knots for track in tracks]).tolist():
        window = time // WINDOW
        if window not in best or lag < best[window][1]:
            best[window] = (time, lag)
    knots = sorted(best.values())
    lags = np.array([lag for _, lag in knots], np.int64)
    low, high = np.quantile(lags, [0.05, 0.95])
    if high - low <= STEADY:
        return TimeShift((knots[0][0],), (int(np.median(lags)),), names)
    followed = [knots[0]]
    for (before, old), (time, lag) in pairwise(knots):
        elapsed = time - before
        if not -10 * elapsed - SECOND // 2 <= lag - old <= elapsed + SECOND // 2:
            followed.append((time - 1, old))  # the clock of the stamps stepped
        followed.append((time, lag))
    return TimeShift(tuple(time for time, _ in followed), tuple(lag for _, lag in followed), names)
