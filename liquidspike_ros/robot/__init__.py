"""What a robot senses and how it is commanded: the one description every layer shares.

A robot file is an ordinary ROS 2 parameter file (``/**: ros__parameters:``), so the very same
YAML is given to ``ros2 launch``, to the nodes and to the ``liquidspike`` command line.

``description`` is the whole robot and reads its file; ``sensor`` is what all sensors have in
common, one module a kind the rest: ``camera``, ``imu``, ``lidar``, ``audio``; ``command`` is what
goes out.
"""

from __future__ import annotations

from .audio import AUDIO_TYPES, AudioSpec, SAMPLE_FORMATS
from .camera import CameraSpec, IMAGE_TYPES
from .command import COMMAND_INTERFACES, CommandSpec
from .description import load_robot, RobotSpec, SENSOR_TYPES
from .imu import ACCELERATION_UNITS, ANGULAR_VELOCITY_UNITS, IMU_TYPES, ImuSpec
from .lidar import LIDAR_TYPES, LidarSpec
from .sensor import RobotError, SensorSpec

__all__ = [
    'ACCELERATION_UNITS',
    'ANGULAR_VELOCITY_UNITS',
    'AUDIO_TYPES',
    'COMMAND_INTERFACES',
    'IMAGE_TYPES',
    'IMU_TYPES',
    'LIDAR_TYPES',
    'SAMPLE_FORMATS',
    'SENSOR_TYPES',
    'AudioSpec',
    'CameraSpec',
    'CommandSpec',
    'ImuSpec',
    'LidarSpec',
    'RobotError',
    'RobotSpec',
    'SensorSpec',
    'load_robot',
]
