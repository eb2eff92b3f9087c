"""What one neuron can do in a tick where rounding may decide whether it fires.

The equations are those of ``core.spiking.lif``, in double precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

MOST = 64  # courses of one neuron that are followed at a time, those of the closest decisions first
ALIKE = 1e-7  # membranes that differ by less go the same way from there


class Neuron(NamedTuple):
    """One neuron at the begin of a tick.

    Attributes:
        start: Its membrane potential.
        currents: One for each spike step.
        beta: Its decay per spike step.
        threshold: Where it fires.
        reset: What a spike does to the membrane: ``'subtract'``, ``'zero'`` or ``'none'``.
    """

    start: float
    currents: Sequence[float]
    beta: float
    threshold: float
    reset: str


class Course(NamedTuple):
    """One way through a tick.

    Attributes:
        membrane: Potential at the end.
        fires: Whether it fires at the last step; the membrane feels it one step later.
        spikes: How often it has fired.
        steps: Of how many times.
        distance: How far the membrane was from the threshold, at most, where it was decided
            otherwise than by comparing them; 0 if nowhere.
    """

    membrane: float
    fires: bool
    spikes: int
    steps: int
    distance: float

    @property
    def rate(self) -> float:
        """Share of steps with a spike."""
        return self.spikes / self.steps


def courses(neuron: Neuron, reach: float) -> list[Course]:
    """All ways through a tick, the one without a wrong decision first.

    Args:
        neuron: Before it.
        reach: Up to which distance from the threshold it may fall to either side.
    """
    # The spike before the first step is decided anew from the membrane that was carried there.
    found = [course._replace(spikes=0, steps=0) for course in
             _decide(Course(neuron.start, False, 0, 0, 0.0), neuron.start, neuron, reach)]
    for current in neuron.currents:
        onwards = [later for course in found
                   for later in _decide(course, _next(neuron, course, current), neuron, reach)]
        found = onwards if len(onwards) == 1 else _thinned(onwards)
    return found


def _next(neuron: Neuron, course: Course, current: float) -> float:
    """The membrane one step later."""
    kept = 0.0 if course.fires and neuron.reset == 'zero' else course.membrane
    taken = neuron.threshold if course.fires and neuron.reset == 'subtract' else 0.0
    return neuron.beta * kept + current - taken


def _decide(course: Course, membrane: float, neuron: Neuron, reach: float) -> list[Course]:
    """The course goes on to a membrane and fires there or not, or may do either."""
    away = abs(membrane - neuron.threshold)
    fires = membrane > neuron.threshold
    spikes, steps = course.spikes, course.steps + 1
    found = [Course(membrane, fires, spikes + fires, steps, course.distance)]
    if away <= reach:
        found.append(Course(membrane, not fires, spikes + (not fires), steps,
                            max(course.distance, away)))
    return found


def _thinned(found: list[Course]) -> list[Course]:
    """Without those that go the same way as one of closer decisions."""
    kept: dict[tuple[int, bool, int], Course] = {}
    for course in sorted(found, key=lambda course: course.distance):
        kept.setdefault((round(course.membrane / ALIKE), course.fires, course.spikes), course)
    return list(kept.values())[:MOST]
