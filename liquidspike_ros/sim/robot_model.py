"""The simulated robot in MJCF: a round differential-drive base with camera, IMU and LiDAR.

About 8 kg with a low centre of mass, two driven wheels inside the round footprint (they can touch
nothing but the floor) and four low-friction casters. Axes follow REP 103: x forward, y left, z up;
``base_link`` is on the floor midway between the wheels.
"""

from __future__ import annotations

import math

ROBOT_RADIUS = 0.17
WHEEL_RADIUS = 0.05
WHEEL_TRACK = 0.28
CAMERA_OFFSET = (0.08, 0.0, 0.30)
LIDAR_HEIGHT = 0.20
IMU_HEIGHT = 0.08
CAMERA_WIDTH = 96
CAMERA_HEIGHT = 72
CAMERA_HORIZONTAL_FOV = math.pi / 2

CAMERA_VERTICAL_FOV = 2 * math.atan(
    math.tan(CAMERA_HORIZONTAL_FOV / 2) * CAMERA_HEIGHT / CAMERA_WIDTH)

_MAX_TORQUE = 1.0  # N m a wheel: about 5 m/s² for the whole robot, about what the tyres hold
_MAX_SPEED = 20.0  # rad/s, that is 1 m/s
_SERVO_GAIN = 0.25  # N m s/rad: with half the robot's mass on each wheel, a lag of about 40 ms


def robot_body(start: tuple[float, float, float]) -> str:
    """The robot's body element, standing at ``start`` (x, y, yaw), m and rad.

    Its geoms are in group 1, everything else in group 0, so that rays can leave it out.
    """
    x, y, yaw = start
    camera = ' '.join(str(v) for v in CAMERA_OFFSET)
    wheels = ''.join(
        f'<body name="{side}_wheel" pos="0 {sign * WHEEL_TRACK / 2} {WHEEL_RADIUS}">'
        f'<joint name="{side}_wheel" type="hinge" axis="0 1 0" damping="0.002" armature="0.001"/>'
        f'<geom name="{side}_wheel" type="ellipsoid" euler="90 0 0" group="1" mass="0.25" '
        f'size="{WHEEL_RADIUS} {WHEEL_RADIUS} 0.014" condim="4" priority="1" '
        f'friction="0.6 0.002 0.0001" rgba="0.1 0.1 0.1 1"/></body>'
        for side, sign in (('left', 1), ('right', -1)))
    casters = ''.join(
        f'<geom name="caster_{i}" type="sphere" pos="{cx} {cy} 0.021" size="0.02" group="1" '
        f'mass="0.05" priority="1" friction="0.02 0.001 0.0001" rgba="0.3 0.3 0.3 1"/>'
        for i, (cx, cy) in enumerate(((0.13, 0.05), (0.13, -0.05), (-0.13, 0.05), (-0.13, -0.05))))
    return f"""
    <body name="base_link" pos="{x!r} {y!r} 0"
      quat="{math.cos(yaw / 2)!r} 0 0 {math.sin(yaw / 2)!r}">
      <freejoint name="base"/>
      <geom name="body" type="cylinder" pos="0 0 0.085" size="{ROBOT_RADIUS} 0.065" group="1"
        mass="7.3" rgba="0.85 0.85 0.88 1"/>
      <geom name="mast" type="cylinder" pos="0 0 0.22" size="0.03 0.07" group="1" mass="0.1"
        contype="0" conaffinity="0" rgba="0.25 0.25 0.28 1"/>
      {casters}
      <site name="imu" pos="0 0 {IMU_HEIGHT}"/>
      <site name="lidar" pos="0 0 {LIDAR_HEIGHT}"/>
      <camera name="camera" pos="{camera}" xyaxes="0 -1 0 0 0 1"
        fovy="{math.degrees(CAMERA_VERTICAL_FOV)!r}"/>
      {wheels}
    </body>"""


ROBOT_ACTUATORS = ''.join(
    f'<velocity name="{side}_wheel" joint="{side}_wheel" kv="{_SERVO_GAIN}" '
    f'ctrlrange="-{_MAX_SPEED} {_MAX_SPEED}" forcerange="-{_MAX_TORQUE} {_MAX_TORQUE}"/>'
    for side in ('left', 'right'))

ROBOT_SENSORS = """
    <gyro name="gyro" site="imu"/>
    <accelerometer name="accelerometer" site="imu"/>"""
