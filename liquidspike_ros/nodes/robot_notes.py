"""What each field of a robot description means, for ``ros2 param describe``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Note:
    """Description of a robot parameter and, for single numbers, its closed range."""

    description: str
    limits: tuple[float, float] | None = None


_NOTES = {
    'name': Note('Free name of the robot, stored in checkpoints'),
    'rate': Note('Control rate, Hz', (0.1, 1000.0)),
    'trigger': Note("Sensor whose sample starts a control tick, or 'timer'"),
    'enabled': Note('Whether the policy uses this sensor'),
    'type': Note('Interface type, e.g. sensor_msgs/msg/Image'),
    'max_age': Note('Age after which the newest sample is masked, s', (0.001, 60.0)),
    'max_frozen': Note('Longest time the same payload may repeat while the robot moves, s; 0 turns '
                       'the check off', (0.0, 3600.0)),
    'required': Note('Whether losing this sensor stops the robot; true where it sees obstacles'),
    'width': Note('Image width the model sees, px', (8, 4096)),
    'height': Note('Image height the model sees, px', (8, 4096)),
    'imu.window': Note('IMU samples per tick after resampling', (1, 1024)),
    'acceleration_unit': Note('Unit of the topic: m/s2 or g'),
    'angular_velocity_unit': Note('Unit of the topic: rad/s or deg/s'),
    'rotation': Note('Roll, pitch, yaw of the IMU in the robot, rad; turns it to x ahead, z up'),
    'audio.window': Note('Audio samples per tick; at least one control period', (64, 1_048_576)),
    'beams': Note('LiDAR beams after resampling by angle', (4, 8192)),
    'angle_min': Note('Angle of the first edge of the field of view, rad', (-6.3, 6.3)),
    'angle_max': Note('Angle of the last edge of the field of view, rad', (-6.3, 6.3)),
    'range_min': Note('Ranges below count as this, m', (0.0, 1000.0)),
    'range_max': Note('Range of no return, m', (0.01, 1000.0)),
    'z_min': Note('Points lower than this are left out of the scan (point clouds), m'),
    'z_max': Note('Points higher than this are left out of the scan (point clouds), m'),
    'no_return': Note('What no return looks like: inf, nan, zero, negative, beyond_max (commas)'),
    'transform': Note("Pose of a cloud's frame in the robot: x, y, z (m), roll, pitch, yaw (rad)"),
    'sample_format': Note('How AudioData holds a sample: S16LE, S16BE, U8, S32LE, F32LE, …'),
    'sample_rate': Note('Audio samples per second and channel', (1000, 384_000)),
    'source_rate': Note('Samples per second of the topic, resampled if another; 0: sample_rate'),
    'channels': Note('Audio channels the model hears', (1, 16)),
    'source_channels': Note('Channels of the topic, mixed if another number; 0: channels', (0, 16)),
    'command.kind': Note('twist, twist_stamped or float64_multi_array'),
    'command.topic': Note('Topic the commands are published on'),
    'frame_id': Note('Header frame of stamped commands'),
    'names': Note('Twist fields (linear.x … angular.z), or free names for a multi array'),
    'lower': Note('Lowest command, one per name (m/s or rad/s for twists)'),
    'upper': Note('Highest command, one per name (m/s or rad/s for twists)'),
    'max_acceleration': Note('Largest speeding up while driving, units/s'),
    'max_deceleration': Note('Largest slowing down while driving, units/s'),
    'stop_deceleration': Note('Slowing down of a STOP, units/s; from full scale at most 2 s'),
    'safe': Note('Command a STOP ends in with on_stop: safe; a twist always ends in zeros'),
    'on_stop': Note("What a STOP does: 'safe', 'zero' or 'hold' (keep sending the last command)"),
}
_SENSOR_NOTES = {
    'rate': Note('Nominal rate of the sensor, Hz', (0.1, 10_000.0)),
    'topic': Note('Topic of the sensor, relative so that namespaces and remaps work'),
}


def note_of(name: str) -> Note:
    """Note of a dotted robot parameter name; an empty one for a field that has none yet."""
    last_two, last = '.'.join(name.split('.')[-2:]), name.rpartition('.')[2]
    if name.startswith('sensors.') and last in _SENSOR_NOTES:
        return _SENSOR_NOTES[last]
    return _NOTES.get(last_two) or _NOTES.get(last) or Note('')
