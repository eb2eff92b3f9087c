"""What a robot senses and how it is commanded: the one description every layer shares.

A robot file is an ordinary ROS 2 parameter file (``/**: ros__parameters:``), so the very same
YAML is given to ``ros2 launch``, to the nodes and to the ``liquidspike`` command line.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from dataclasses import dataclass, field
import math
from pathlib import Path
import re
import types
from typing import Any, get_type_hints

from .settings import check, Effect, setting
from .untrusted.fields import coerce, require
from .untrusted.parameter_file import read_parameter_file
from .untrusted.text import Refusal

IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
IMU_TYPES = ('sensor_msgs/msg/Imu',)
LIDAR_TYPES = ('sensor_msgs/msg/LaserScan', 'sensor_msgs/msg/PointCloud2')
AUDIO_TYPES = (
    'std_msgs/msg/Int16MultiArray',
    'audio_common_msgs/msg/AudioData',
    'audio_common_msgs/msg/AudioDataStamped',
)
RELIABILITIES = ('auto', 'reliable', 'best_effort')
# Unit a topic may be in -> what makes rad/s and m/s² of it.
ANGULAR_VELOCITY_UNITS = {'rad/s': 1.0, 'deg/s': math.pi / 180}
ACCELERATION_UNITS = {'m/s2': 1.0, 'g': 9.80665}
# What drivers write where nothing came back (REP 117 wants +Inf, which always counts).
NO_RETURNS = ('inf', 'nan', 'zero', 'negative', 'beyond_max')
# Names as in audio_common_msgs/AudioInfo (GStreamer's).
SAMPLE_FORMATS = ('S16LE', 'S16BE', 'S8', 'U8', 'S24LE', 'S24BE', 'S32LE', 'S32BE', 'F32LE',
                  'F32BE', 'F64LE', 'F64BE')
LOWEST_SOURCE_RATE = 1000
"""Of an audio topic, Hz."""
# Kind of a command -> interface type it is sent as.
COMMAND_INTERFACES: Mapping[str, str] = types.MappingProxyType({
    'twist': 'geometry_msgs/msg/Twist',
    'twist_stamped': 'geometry_msgs/msg/TwistStamped',
    'float64_multi_array': 'std_msgs/msg/Float64MultiArray',
})
ON_STOP = ('safe', 'zero', 'hold')
LONGEST_STOP = 2.0
"""Longest time a STOP from full scale may take, s."""
_VALUES = (-1e9, 1e9)  # of a command, in whatever unit
_SLOPES = (1e-9, 1e9)  # of a command, per second


class RobotError(Refusal):
    """A robot description is wrong; the message names the field, what was got and expected."""


def _require(condition: bool, name: str, got: object, expected: str) -> None:
    require(condition, name, got, expected, RobotError)


_TOKEN = r'(?:[A-Za-z_]|\{\w+\})(?:\w|\{\w+\})*'
_TOPIC = re.compile(rf'(?:~/|/)?{_TOKEN}(?:/{_TOKEN})*', re.ASCII)


def _require_topic(name: str, topic: str) -> None:
    """Hold a topic to the rules of ROS 2, so that a bad one is refused with its field's name."""
    _require(bool(_TOPIC.fullmatch(topic)), name, topic,
             'a topic name: words of letters, digits and _ with single / between, none beginning '
             'with a digit, / or ~/ in front at most')


_TYPE = 'Interface type of the topic'


@dataclass(frozen=True, kw_only=True)
class SensorSpec:
    """What all sensors have in common."""

    enabled: bool = setting(True, 'Whether the policy uses this sensor')
    topic: str = setting('', 'Topic of the sensor, relative so that namespaces and remaps work')
    type: str = setting('', _TYPE)
    rate: float = setting(10.0, 'Nominal rate of the sensor', limits=(0.1, 10_000.0), unit='Hz')
    max_age: float = setting(
        0.2, 'Age after which the newest sample is masked', limits=(0.001, 60.0), unit='s')
    required: bool = setting(
        False, 'Whether losing this sensor stops the robot; by default, where it sees obstacles')
    max_frozen: float = setting(
        0.5, 'Longest time the very same payload may repeat while the robot moves, before the '
        'sensor counts as frozen and is masked until it changes; 0 turns the check off',
        limits=(0.0, 3600.0), unit='s')
    reliability: str = setting(
        'auto', 'Reliability to subscribe with; auto: reliable where every publisher of the topic '
        'is', choices=RELIABILITIES)

    @property
    def sees_outside(self) -> bool:
        """Whether it sees what the robot could run into."""
        return False

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of this sensor's array in an ``Observation``."""
        raise NotImplementedError(f'{type(self).__name__} is abstract')

    def _check(self, name: str) -> None:
        check(self, RobotError, f'{name}.')
        _require_topic(f'{name}.topic', self.topic)


@dataclass(frozen=True, kw_only=True)
class CameraSpec(SensorSpec):
    """A colour camera; frames reach the model as uint8 RGB ``[height, width, 3]``."""

    topic: str = 'camera/image_raw'
    type: str = setting(IMAGE_TYPES[0], _TYPE, choices=IMAGE_TYPES)
    rate: float = 15.0
    required: bool = True
    width: int = setting(96, 'Image width the model sees', limits=(8, 4096), unit='px')
    height: int = setting(72, 'Image height the model sees', limits=(8, 4096), unit='px')

    def __post_init__(self) -> None:
        self._check('sensors.camera')
        _require(self.width * self.height <= 1 << 23, 'sensors.camera.width', self.width,
                 f'at most {(1 << 23) // self.height} with a height of {self.height}')

    @property
    def sees_outside(self) -> bool:
        """Whether it sees what the robot could run into."""
        return True

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an ``Observation`` array."""
        return (self.height, self.width, 3)


@dataclass(frozen=True, kw_only=True)
class ImuSpec(SensorSpec):
    """An IMU; every sample since the last tick, resampled to float32 ``[6, window]``.

    Rows: angular velocity x, y, z (rad/s), linear acceleration x, y, z (m/s²), in the robot's axes:
    x ahead, y left, z up.
    """

    topic: str = 'imu'
    type: str = setting(IMU_TYPES[0], _TYPE, choices=IMU_TYPES)
    rate: float = 200.0
    max_age: float = 0.1
    window: int = setting(
        16, 'IMU samples per tick after resampling', limits=(1, 1024), unit='samples')
    acceleration_unit: str = setting(
        'm/s2', 'Unit of the topic', choices=tuple(ACCELERATION_UNITS))
    angular_velocity_unit: str = setting(
        'rad/s', 'Unit of the topic', choices=tuple(ANGULAR_VELOCITY_UNITS))
    rotation: tuple[float, ...] = setting(
        (0.0, 0.0, 0.0), 'Roll, pitch, yaw of the IMU in the robot, as in URDF: turns what it '
        'measures to x ahead, y left, z up; zeros leave it as it is, or turn it from the axes of '
        'a camera where its frame is called optical', limits=(-2 * math.pi, 2 * math.pi),
        unit='rad')

    def __post_init__(self) -> None:
        self._check('sensors.imu')
        _require(len(self.rotation) == 3, 'sensors.imu.rotation', self.rotation,
                 'roll, pitch and yaw in rad')

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an ``Observation`` array."""
        return (6, self.window)


@dataclass(frozen=True, kw_only=True)
class LidarSpec(SensorSpec):
    """A planar LiDAR (or a point cloud projected to one), resampled by angle.

    Reaches the model as float32 ``[2, beams]``: range (m) and validity (0 or 1). Beam ``i`` looks
    along ``angle_min + (i + 0.5) · (angle_max − angle_min) / beams``; by default all around.
    """

    topic: str = 'scan'
    type: str = setting(LIDAR_TYPES[0], _TYPE, choices=LIDAR_TYPES)
    rate: float = 10.0
    required: bool = True
    beams: int = setting(180, 'LiDAR beams after resampling by angle', limits=(4, 8192))
    angle_min: float = setting(
        -math.pi, 'Angle of the first edge of the field of view', limits=(-6.3, 6.3), unit='rad')
    angle_max: float = setting(
        math.pi, 'Angle of the last edge of the field of view', limits=(-6.3, 6.3), unit='rad')
    range_min: float = setting(
        0.05, 'Ranges below count as this', limits=(0.0, 1000.0), unit='m')
    range_max: float = setting(8.0, 'Range of no return', limits=(0.01, 1000.0), unit='m')
    z_min: float = setting(
        -0.2, 'Points lower than this are left out of the scan (point clouds)',
        limits=(-1000.0, 1000.0), unit='m')
    z_max: float = setting(
        1.0, 'Points higher than this are left out of the scan (point clouds)',
        limits=(-1000.0, 1000.0), unit='m')
    no_return: str = setting(
        'inf', 'What the driver writes where nothing came back, which then reads range_max: one '
        f'or more of {", ".join(NO_RETURNS)}, with commas between')
    transform: tuple[float, ...] = setting(
        (0.0, 0.0, 0.0, 0.0, 0.0, 0.0), "Pose of a point cloud's frame in the robot: x, y, z in m, "
        'roll, pitch, yaw in rad; zeros leave a cloud as it is, or turn it from the axes of a '
        'camera where its frame is called optical', limits=(-1000.0, 1000.0))

    def __post_init__(self) -> None:
        self._check('sensors.lidar')
        span = self.angle_max - self.angle_min
        _require(0 < span <= 2 * math.pi + 1e-6, 'sensors.lidar.angle_max', self.angle_max,
                 f'more than angle_min ({self.angle_min}), by at most a full circle')
        _require(self.range_min < self.range_max, 'sensors.lidar.range_max', self.range_max,
                 f'more than range_min ({self.range_min})')
        _require(self.z_min < self.z_max, 'sensors.lidar.z_max', self.z_max,
                 f'more than z_min ({self.z_min})')
        _require(self.no_returns <= set(NO_RETURNS), 'sensors.lidar.no_return', self.no_return,
                 f'one or more of {", ".join(NO_RETURNS)}')
        _require(len(self.transform) == 6, 'sensors.lidar.transform', self.transform,
                 'x, y, z in m; roll, pitch, yaw in rad')
        _require(self.type == LIDAR_TYPES[1] or not any(self.transform),
                 'sensors.lidar.transform', self.transform, f'zeros where type is {self.type}')

    @property
    def no_returns(self) -> frozenset[str]:
        """The parts of ``no_return``, and ``inf``, which always says so."""
        return frozenset(part.strip() for part in f'{self.no_return},inf'.split(','))

    @property
    def sees_outside(self) -> bool:
        """Whether it sees what the robot could run into."""
        return True

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an ``Observation`` array."""
        return (2, self.beams)


@dataclass(frozen=True, kw_only=True)
class AudioSpec(SensorSpec):
    """PCM audio; the last ``window`` samples as float32 ``[channels, window]`` in [−1, 1].

    A topic of another rate or channel count is converted. The names of ``sample_format`` are those
    of GStreamer and of audio_common_msgs/AudioInfo.
    """

    topic: str = 'audio'
    type: str = setting(AUDIO_TYPES[0], _TYPE, choices=AUDIO_TYPES)
    rate: float = 50.0
    max_age: float = 0.1
    sample_rate: int = setting(
        16000, 'Audio samples per second and channel', limits=(1000, 384_000), unit='Hz')
    channels: int = setting(2, 'Audio channels the model hears', limits=(1, 16))
    window: int = setting(
        1600, 'Audio samples per tick; at least one control period, so that none is skipped',
        limits=(64, 1_048_576), unit='samples')
    source_rate: int = setting(
        0, 'Sample rate of the topic, resampled if another; 0: sample_rate; else at least '
        f'{LOWEST_SOURCE_RATE}', limits=(0, 768_000), unit='Hz')
    source_channels: int = setting(
        0, 'Channels of the topic, mixed if another number; 0: channels; a count in the message '
        'layout goes first', limits=(0, 16))
    sample_format: str = setting(
        'S16LE', 'How AudioData holds a sample', choices=SAMPLE_FORMATS)

    def __post_init__(self) -> None:
        self._check('sensors.audio')
        _require(self.source_rate == 0 or self.source_rate >= LOWEST_SOURCE_RATE,
                 'sensors.audio.source_rate', self.source_rate,
                 f'0 or a rate of at least {LOWEST_SOURCE_RATE} Hz')

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an ``Observation`` array."""
        return (self.channels, self.window)


@dataclass(frozen=True, kw_only=True)
class CommandSpec:
    """The command the policy gives and its limits, one entry per action dimension.

    A model output of ±1 means the larger of ``|lower|`` and ``|upper|``.
    """

    kind: str = setting(
        'twist', 'Message the commands are sent as', choices=tuple(COMMAND_INTERFACES))
    topic: str = setting('cmd_vel', 'Topic the commands are published on')
    frame_id: str = setting('base_link', 'Header frame of stamped commands')
    names: tuple[str, ...] = setting(
        ('linear.x', 'angular.z'),
        'Twist fields (linear.x … angular.z), or free names for a multi array')
    lower: tuple[float, ...] = setting(
        (-0.2, -2.0), 'Lowest command, one for each of names; m/s or rad/s for twists',
        limits=_VALUES, effect=Effect.LOWERED_AT_ONCE)
    upper: tuple[float, ...] = setting(
        (0.6, 2.0), 'Highest command, one for each of names; m/s or rad/s for twists',
        limits=_VALUES, effect=Effect.LOWERED_AT_ONCE)
    max_acceleration: tuple[float, ...] = setting(
        (1.5, 8.0), 'Largest speeding up while driving, one for each of names; units of the '
        'command per second', limits=_SLOPES)
    max_deceleration: tuple[float, ...] = setting(
        (2.5, 8.0), 'Largest slowing down while driving, one for each of names; units of the '
        'command per second', limits=_SLOPES)
    stop_deceleration: tuple[float, ...] = setting(
        (10.0, 30.0), 'Slowing down of a STOP, one for each of names; units of the command per '
        f'second; from full scale it may take at most {LONGEST_STOP:g} s', limits=_SLOPES)
    safe: tuple[float, ...] = setting(
        (0.0, 0.0), 'Command a STOP ends in with on_stop: safe, one for each of names; a twist '
        'always ends in zeros', limits=_VALUES)
    on_stop: str = setting(
        'safe', 'What a STOP does: safe goes to safe, zero to zeros, hold keeps sending the last '
        'command (an arm under position control must not fall to a pose); a twist always ends in '
        'zeros, as a base that keeps its last one drives on', choices=ON_STOP)

    def __post_init__(self) -> None:
        check(self, RobotError, 'command.')
        _require(not (self.is_twist and self.on_stop == 'hold'), 'command.on_stop', self.on_stop,
                 f'zero for a {self.kind}: a base that holds its last twist drives on')
        _require_topic('command.topic', self.topic)
        width = len(self.names)
        _require(width > 0, 'command.names', self.names, 'at least one name')
        for name in ('lower', 'upper', 'max_acceleration', 'max_deceleration',
                     'stop_deceleration', 'safe'):
            value = getattr(self, name)
            _require(len(value) == width, f'command.{name}', value,
                     f'{width} finite numbers, one for each of names')
        for i, name in enumerate(self.names):
            _require(self.lower[i] <= self.safe[i] <= self.upper[i] and
                     self.lower[i] < self.upper[i], f'command.safe[{i}] ({name})', self.safe[i],
                     f'within lower {self.lower[i]} and upper {self.upper[i]}')
        for i, (name, stop) in enumerate(zip(self.names, self.rest, strict=True)):
            _require(self.lower[i] <= stop <= self.upper[i], f'command.lower[{i}] ({name})',
                     self.lower[i], f'limits around {stop:g}, which a STOP ends in')
            least = max(self.upper[i] - stop, stop - self.lower[i]) / LONGEST_STOP
            _require(self.on_stop == 'hold' or self.stop_deceleration[i] >= least * (1 - 1e-9),
                     f'command.stop_deceleration[{i}] ({name})', self.stop_deceleration[i],
                     f'at least {least:.4g}, to stop from full scale within {LONGEST_STOP:g} s')
        if self.is_twist:
            fields = {f'{part}.{axis}' for part in ('linear', 'angular') for axis in 'xyz'}
            _require(set(self.names) <= fields and len(set(self.names)) == width,
                     'command.names', self.names, 'different Twist fields such as linear.x')

    @property
    def is_twist(self) -> bool:
        """Whether it is a velocity of a base, whose STOP is always zero."""
        return self.kind != 'float64_multi_array'

    @property
    def rest(self) -> tuple[float, ...]:
        """What a STOP ends in; with ``hold``, around what commands are capped."""
        if self.is_twist or self.on_stop == 'zero':
            return (0.0,) * len(self.names)
        return self.safe

    @property
    def width(self) -> int:
        """Number of action dimensions."""
        return len(self.names)

    @property
    def scale(self) -> tuple[float, ...]:
        """Physical value of a model output of 1, per dimension."""
        return tuple(max(abs(lo), abs(hi)) for lo, hi in zip(self.lower, self.upper, strict=True))


SENSOR_TYPES: Mapping[str, type[SensorSpec]] = types.MappingProxyType(
    {'camera': CameraSpec, 'imu': ImuSpec, 'lidar': LidarSpec, 'audio': AudioSpec}
)


@dataclass(frozen=True, kw_only=True)
class RobotSpec:
    """One robot: its sensors, its command, its control period.

    Disabled sensors are left out of ``sensors``.
    """

    name: str = setting('robot', 'Free name of the robot, stored in checkpoints')
    rate: float = setting(15.0, 'Control rate', limits=(0.1, 1000.0), unit='Hz')
    trigger: str = setting(
        'camera', "Sensor whose sample starts a control tick, or 'timer' for a plain clock")
    camera: CameraSpec = field(default_factory=CameraSpec)
    imu: ImuSpec = field(default_factory=ImuSpec)
    lidar: LidarSpec = field(default_factory=LidarSpec)
    audio: AudioSpec = field(default_factory=AudioSpec)
    command: CommandSpec = field(default_factory=CommandSpec)

    def __post_init__(self) -> None:
        check(self, RobotError)
        _require(bool(self.sensors), 'sensors', 'none enabled', 'at least one enabled sensor')
        options = ('timer', *self.sensors)
        _require(self.trigger in options, 'trigger', self.trigger, f'one of {", ".join(options)}')
        if self.audio.enabled:
            least = math.ceil(self.audio.sample_rate / self.rate)
            _require(self.audio.window >= least, 'sensors.audio.window', self.audio.window,
                     f'at least one control period ({least} samples)')

    @property
    def period(self) -> float:
        """Nominal control period, s."""
        return 1.0 / self.rate

    @property
    def sensors(self) -> dict[str, SensorSpec]:
        """The enabled sensors by name, in the fixed order camera, imu, lidar, audio."""
        specs = {name: getattr(self, name) for name in SENSOR_TYPES}
        return {name: spec for name, spec in specs.items() if spec.enabled}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RobotSpec:
        """Build from the nested form of a robot file (keys ``sensors``, ``command``, …).

        Raises:
            RobotError: An unknown key, a wrong type or a value out of range.
        """
        values = dict(_mapping('robot', values))
        sensors = _mapping('sensors', values.pop('sensors', {}))
        unknown = set(sensors) - set(SENSOR_TYPES)
        if unknown:
            raise RobotError(f'sensors.{min(map(str, unknown))}: unknown sensor, '
                             f'expected one of {", ".join(SENSOR_TYPES)}')
        parts: dict[str, Any] = {
            name: _build(SENSOR_TYPES[name], f'sensors.{name}', sensors[name]) for name in sensors
        }
        if 'command' in values:
            parts['command'] = _build(CommandSpec, 'command', values.pop('command'))
        overlap = set(values) & set(SENSOR_TYPES)
        if overlap:
            raise RobotError(f'{sorted(overlap)[0]}: belongs under sensors')
        return _build(cls, '', {**values, **parts})

    def to_dict(self) -> dict[str, Any]:
        """The nested plain form ``from_dict`` reads (JSON and ROS parameter types only)."""
        values = dataclasses.asdict(self)
        values['sensors'] = {name: _lists(values.pop(name)) for name in SENSOR_TYPES}
        values['command'] = _lists(values['command'])
        return values


def _lists(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}


def _mapping(name: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise RobotError(f'{name}: got {type(value).__name__}, expected a mapping')
    return value


def _build(cls: type, prefix: str, values: object) -> Any:
    values = _mapping(prefix or 'robot', values)
    hints = get_type_hints(cls)
    kwargs = {}
    for key, value in values.items():
        name = f'{prefix}.{key}' if prefix else str(key)
        if key not in hints:
            raise RobotError(f'{name}: unknown key, expected one of {", ".join(sorted(hints))}')
        kwargs[key] = coerce(name, value, hints[key], RobotError)
    return cls(**kwargs)


def load_robot(path: str | Path) -> RobotSpec:
    """Read a robot file: a ROS 2 parameter file whose ``ros__parameters`` describe a robot.

    Keys that belong to the nodes only (``model``, ``device``, …) may stand in other files; this
    one must hold nothing but the robot.

    Raises:
        RobotError: The file is missing, no file, not YAML, or describes no valid robot.
    """
    try:
        values = read_parameter_file(path)
    except Refusal as error:
        raise RobotError(str(error)) from None
    try:
        return RobotSpec.from_dict(_mapping('ros__parameters', values))
    except RobotError as error:
        raise RobotError(f'{path}: {error}') from None
