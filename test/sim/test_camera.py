from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
import math
import os
import subprocess
import sys

import numpy as np
import pytest

from liquidspike_ros.sim.camera import Camera
from liquidspike_ros.sim.world import World

COLOURS = ('red', 'green', 'blue')


def picture(message) -> np.ndarray:
    return message.data.reshape(message.height, message.width, 3).astype(int)


def look(layout, seed: int = 0) -> np.ndarray:
    return picture(Camera(seed).measure(World(layout), 0))


def coloured(pixels: np.ndarray, colour: str) -> np.ndarray:
    """Where one channel is well above both others ``[H, W]``."""
    channel = COLOURS.index(colour)
    others = np.delete(pixels, channel, axis=-1).max(axis=-1)
    return pixels[..., channel] > others + 40


def test_the_message_is_what_the_robot_file_says(make_layout):
    message = Camera(0).measure(World(make_layout()), 2_000_000_007)
    assert (message.width, message.height, message.encoding) == (96, 72, 'rgb8')
    assert message.step == 96 * 3
    assert message.data.shape == (96 * 72 * 3,)
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (2, 7)


@pytest.mark.parametrize('colour', COLOURS)
@pytest.mark.parametrize('side', ['left', 'right'])
def test_a_pillar_ahead_to_one_side_is_seen_in_that_half(make_layout, colour, side):
    spots = {'red': (-3.0, 3.0), 'green': (-3.0, -3.0), 'blue': (-3.0, 0.0)}
    spots[colour] = (2.0, 0.8 if side == 'left' else -0.8)
    mask = coloured(look(make_layout(**spots)), colour)
    half, other = (mask[:, :48], mask[:, 48:]) if side == 'left' else (mask[:, 48:], mask[:, :48])
    assert half.sum() > 100
    assert other.sum() == 0


@pytest.mark.parametrize('bearing', [-40, -20, 10, 35])
def test_the_picture_is_90_degrees_wide(make_layout, bearing):
    angle = math.radians(bearing)
    lens = 0.08  # ahead of the robot's centre
    pixels = look(make_layout(blue=(lens + 2.5 * math.cos(angle), 2.5 * math.sin(angle))))
    columns = np.nonzero(coloured(pixels, 'blue').any(axis=0))[0]
    assert columns.mean() + 0.5 == pytest.approx(48 - 48 * math.tan(angle), abs=1.0)
    # The circular outline appears between its two tangents.
    half = math.asin(0.15 / 2.5)
    width = 48 * (math.tan(angle + half) - math.tan(angle - half))
    assert len(columns) == pytest.approx(width, abs=2)


def test_a_pillar_stands_upright_and_as_high_as_it_is(make_layout):
    mask = coloured(look(make_layout(blue=(2.08, 0.0))), 'blue')
    rows = np.nonzero(mask[:, 46:50].all(axis=1))[0]
    # The top is 0.7 m above the lens, the foot 0.3 m below, the near side 1.85 m ahead.
    assert rows[0] == pytest.approx(36 - 48 * 0.7 / 1.85, abs=1.5)
    assert rows[-1] == pytest.approx(36 + 48 * 0.3 / 1.85, abs=1.5)


def test_a_pillar_rises_above_an_obstacle_but_not_above_one_close_by(make_layout, box):
    behind = {'red': (3.0, 0.0), 'blue': (-3.0, 3.0)}
    clear = coloured(look(make_layout(**behind)), 'red').sum()
    half = coloured(look(make_layout(**behind, obstacles=(box(2.0, 0.0),))), 'red').sum()
    none = coloured(look(make_layout(**behind, obstacles=(box(0.6, 0.0),))), 'red').sum()
    assert clear > half > none == 0


def test_floor_wall_and_box_are_told_apart(make_layout, box):
    pixels = look(make_layout(obstacles=(box(1.5, 0.6),)))
    obstacle, floor, wall = pixels[38, 30], pixels[66, 48], pixels[33, 48]
    assert np.abs(obstacle - wall).max() > 30
    assert np.abs(floor - wall).max() > 30
    assert np.ptp(obstacle) < 40  # grey stays grey


def test_pixels_are_noisy_and_exposure_wanders_a_little(make_layout):
    world, camera = World(make_layout()), Camera(4)
    frames = np.stack([picture(camera.measure(world, 0)) for _ in range(60)])
    sky = frames[:, 4:10, :, 0]
    assert sky[0].std() == pytest.approx(2.5, rel=0.4)
    means = sky.mean(axis=(1, 2))
    assert 0.3 < means.std() < 15
    assert np.abs(frames[0] - frames[1]).mean() > 1


def test_several_worlds_share_the_graphics_and_keep_their_own_pictures(make_layout):
    left = World(replace(make_layout(red=(2.0, 1.0)), floor=(0.1, 0.4, 0.1)))
    right = World(replace(make_layout(red=(2.0, -1.0)), floor=(0.1, 0.1, 0.4)))
    cameras = Camera(0), Camera(0)
    for _ in range(3):
        frames = [picture(camera.measure(world, 0))
                  for camera, world in zip(cameras, (left, right), strict=True)]
        masks = [coloured(frame, 'red') for frame in frames]
        halves = [(mask[:, :48].any(), mask[:, 48:].any()) for mask in masks]
        assert halves == [(True, False), (False, True)]
        assert [int(frame[70, 48].argmax()) for frame in frames] == [1, 2]  # green, blue tiles


def in_new_process(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k not in ('MUJOCO_GL', 'PYOPENGL_PLATFORM')}
    return subprocess.run([sys.executable, '-c', code], env={**clean, **environment},
                          capture_output=True, text=True, timeout=60)


def test_without_gl_one_line_says_what_to_install():
    # Both libraries are made unfindable before the simulator looks for them.
    done = in_new_process("""
import ctypes
load = ctypes.CDLL
def missing(name, *args, **kwargs):
    if name and ('EGL' in str(name) or 'OSMesa' in str(name)):
        raise OSError(name)
    return load(name, *args, **kwargs)
ctypes.CDLL = missing
from liquidspike_ros.sim.simulation import Simulation
from liquidspike_ros.sim.graphics import GraphicsError
print(len(Simulation(1, camera=False).advance(100_000_000)))
try:
    Simulation(1)
except GraphicsError as error:
    print(error)
""")
    count, line = done.stdout.strip().split('\n')
    assert int(count) > 20
    assert 'sudo apt-get install' in line


def test_egl_without_a_driver_is_not_chosen():
    done = in_new_process('from liquidspike_ros.sim.graphics import choose_backend\n'
                          'print(choose_backend())', __EGL_VENDOR_LIBRARY_FILENAMES='/none.json')
    assert done.stdout.strip() in ('osmesa', 'disable')


def test_a_chosen_backend_is_left_alone():
    done = in_new_process('import liquidspike_ros.sim, os\nprint(os.environ["MUJOCO_GL"])',
                          MUJOCO_GL='osmesa')
    assert done.stdout.strip() == 'osmesa'


@pytest.mark.skipif(find_spec('triton') is None, reason='needs triton')
@pytest.mark.parametrize('chosen', [{}, {'MUJOCO_GL': 'egl'}], ids=['found', 'told'])
def test_triton_may_be_imported_after_a_picture_was_drawn(chosen):
    done = in_new_process("""
import numpy as np
from liquidspike_ros.sim.simulation import Simulation
Simulation(1).advance(100_000_000)
import triton.language
print('both')
""", **chosen)
    assert (done.stdout.strip(), done.returncode) == ('both', 0)


@pytest.mark.parametrize(('chosen', 'said'), [
    ({}, 'before'), ({'MUJOCO_GL': 'egl'}, 'before'), ({'LIQUIDSPIKE_TRITON': '0'}, ''),
])
def test_triton_is_imported_before_any_gl_library(tmp_path, chosen, said):
    (tmp_path / 'triton.py').write_text("""if True:
        with open('/proc/self/maps') as file:
            maps = file.read()
        print('after' if 'libEGL' in maps or 'libOSMesa' in maps else 'before')""")
    done = in_new_process("""
from liquidspike_ros.sim.graphics import GraphicsError
from liquidspike_ros.sim.simulation import Simulation
try:
    Simulation(1).advance(100_000_000)
except GraphicsError:
    pass
""", PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ.get('PYTHONPATH', '')]), **chosen)
    assert done.stdout.strip() == said


def test_a_triton_that_is_broken_does_not_keep_the_simulator_from_drawing(tmp_path):
    (tmp_path / 'triton.py').write_text('raise RuntimeError("no driver")')
    done = in_new_process('import liquidspike_ros.sim, os\nprint(os.environ["MUJOCO_GL"])',
                          PYTHONPATH=os.pathsep.join(
                              [str(tmp_path), os.environ.get('PYTHONPATH', '')]))
    assert done.stdout.strip() in ('egl', 'osmesa', 'disable')
