"""The plan view's own reading of ears and camera is right (delays: test_microphones)."""

from __future__ import annotations

import math

import numpy as np
import pytest

from liquidspike_ros.sim.directions import heard_direction, seen_directions


def test_silence_has_no_direction() -> None:
    assert math.isnan(heard_direction(np.zeros((2, 1600), np.float32)))


@pytest.mark.parametrize(('lead', 'sign'), [(4, 1), (-4, -1), (0, 0)])
def test_the_ear_that_hears_first_is_on_the_side_of_the_sound(lead: int, sign: int) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 2000).astype(np.float32)
    angle = heard_direction(np.stack([noise[200 + lead:1800 + lead], noise[200:1800]]))
    assert angle == pytest.approx(math.asin(sign * 4 / 16000 * 343 / 0.18), abs=0.02)


def picture(column: int, colour: tuple[int, int, int]) -> np.ndarray:
    image = np.full((72, 96, 3), (150, 130, 95), np.uint8)
    image[20:50, column:column + 4] = colour
    return image


@pytest.mark.parametrize(('index', 'colour'), [(0, (150, 14, 14)), (1, (12, 110, 20)),
                                                (2, (18, 30, 150))])
def test_a_pillar_is_seen_where_its_column_is(index: int, colour: tuple[int, int, int]) -> None:
    seen = seen_directions(picture(70, colour))
    # 90 degrees over 96 columns: the focal length is 48 columns.
    assert seen[index] == pytest.approx(math.atan((48 - 72) / 48), abs=0.02)
    assert np.isnan(np.delete(seen, index)).all()


def test_obstacles_and_walls_are_no_pillars() -> None:
    assert np.isnan(seen_directions(picture(10, (120, 104, 75)))).all()
