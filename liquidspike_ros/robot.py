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
# Unit a topic may be in -> what makes rad/s and m/s² of it.
ANGULAR_VELOCITY_UNITS = {'rad/s': 1.0, 'deg/s': math.pi / 180}
ACCELERATION_UNITS = {'m/s2': 1.0, 'g': 9.80665}
# What drivers write where nothing came back (REP 117 wants +Inf, which always counts).
NO_RETURNS = ('inf', 'nan', 'zero', 'negative', 'beyond_max')
# Names as in audio_common_msgs/AudioInfo (GStreamer's).
SAMPLE_FORMATS = ('S16LE', 'S16BE', 'S8', 'U8', 'S24LE', 'S24BE', 'S32LE', 'S32BE', 'F32LE',
                  'F32BE', 'F64LE', 'F64BE')
COMMAND_KINDS = ('twist', 'twist_stamped', 'float64_multi_array')
ON_STOP = ('safe', 'zero', 'hold')
LONGEST_STOP = 2.0
"""Longest time a STOP from full scale may take, s."""


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


@dataclass(frozen=True, kw_only=True)
class SensorSpec:
    """What all sensors have in common.

    Attributes:
        enabled: Whether the policy uses this sensor.
        topic: Topic name, relative so that namespaces and remaps work.
        type: Interface type, e.g. ``sensor_msgs/msg/Image``.
        rate: Nominal rate, Hz.
        max_age: Age after which the newest sample is masked, s.
        required: Whether losing this sensor stops the robot; by default, whether it sees
            obstacles.
        max_frozen: Longest time the very same payload may repeat while the robot moves, before the
            sensor counts as frozen and is masked until it changes, s; 0 turns the check off.
    """

    enabled: bool = True
    topic: str = ''
    type: str = ''
    rate: float = 10.0
    max_age: float = 0.2
    required: bool = False
    max_frozen: float = 0.5

    @property
    def sees_outside(self) -> bool:
        """Whether it sees what the robot could run into."""
        return False

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of this sensor's array in an ``Observation``."""
        raise NotImplementedError(f'{type(self).__name__} is abstract')

    def _check(self, name: str, allowed: tuple[str, ...]) -> None:
        _require_topic(f'{name}.topic', self.topic)
        _require(self.type in allowed, f'{name}.type', self.type, f'one of {", ".join(allowed)}')
        _require(0 < self.rate <= 10_000, f'{name}.rate', self.rate, 'Hz above 0, at most 10000')
        _require(0 < self.max_age <= 60, f'{name}.max_age', self.max_age, 's above 0, at most 60')
        _require(0 <= self.max_frozen <= 3600, f'{name}.max_frozen', self.max_frozen,
                 's in [0, 3600], 0 = never')


@dataclass(frozen=True, kw_only=True)
class CameraSpec(SensorSpec):
    """A colour camera; frames reach the model as uint8 RGB ``[height, width, 3]``."""

    topic: str = 'camera/image_raw'
    type: str = IMAGE_TYPES[0]
    rate: float = 15.0
    required: bool = True
    width: int = 96
    height: int = 72

    def __post_init__(self) -> None:
        self._check('sensors.camera', IMAGE_TYPES)
        for name in ('width', 'height'):
            value = getattr(self, name)
            _require(8 <= value <= 4096, f'sensors.camera.{name}', value, 'pixels in [8, 4096]')
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

    Rows: angular velocity x, y, z (rad/s), linear acceleration x, y, z (m/s²). The units are those
    of the topic. ``rotation`` (roll, pitch, yaw of the sensor in the robot, rad, as in URDF) turns
    what it measures into the robot's axes: x ahead, y left, z up. Zeros leave it as it is, or turn
    it from the axes of a camera where its frame is called optical.
    """

    topic: str = 'imu'
    type: str = IMU_TYPES[0]
    rate: float = 200.0
    max_age: float = 0.1
    window: int = 16
    acceleration_unit: str = 'm/s2'
    angular_velocity_unit: str = 'rad/s'
    rotation: tuple[float, ...] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        self._check('sensors.imu', IMU_TYPES)
        _require(1 <= self.window <= 1024, 'sensors.imu.window', self.window, 'in [1, 1024]')
        for name, units in (('acceleration_unit', ACCELERATION_UNITS),
                            ('angular_velocity_unit', ANGULAR_VELOCITY_UNITS)):
            _require(getattr(self, name) in units, f'sensors.imu.{name}', getattr(self, name),
                     f'one of {", ".join(units)}')
        _require(len(self.rotation) == 3 and all(abs(v) <= 2 * math.pi for v in self.rotation),
                 'sensors.imu.rotation', self.rotation, 'roll, pitch and yaw in rad')

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an ``Observation`` array."""
        return (6, self.window)


@dataclass(frozen=True, kw_only=True)
class LidarSpec(SensorSpec):
    """A planar LiDAR (or a point cloud projected to one), resampled by angle.

    Reaches the model as float32 ``[2, beams]``: range (m) and validity (0 or 1). Beam ``i`` looks
    along ``angle_min + (i + 0.5) · (angle_max − angle_min) / beams``; by default all around.

    ``no_return`` says what the driver writes where nothing came back, one or more of
    ``NO_RETURNS`` with commas; such rays read ``range_max``. ``transform`` (x, y, z in m; roll,
    pitch, yaw in rad) is the pose of a point cloud's frame in the robot; zeros leave a cloud as it
    is, or turn it from the axes of a camera where its frame is called optical.
    """

    topic: str = 'scan'
    type: str = LIDAR_TYPES[0]
    rate: float = 10.0
    required: bool = True
    beams: int = 180
    angle_min: float = -math.pi
    angle_max: float = math.pi
    range_min: float = 0.05
    range_max: float = 8.0
    z_min: float = -0.2
    z_max: float = 1.0
    no_return: str = 'inf'
    transform: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        self._check('sensors.lidar', LIDAR_TYPES)
        _require(4 <= self.beams <= 8192, 'sensors.lidar.beams', self.beams, 'in [4, 8192]')
        for name in ('angle_min', 'angle_max'):
            value = getattr(self, name)
            _require(abs(value) <= 6.3, f'sensors.lidar.{name}', value, 'rad in [-6.3, 6.3]')
        for name in ('z_min', 'z_max'):
            value = getattr(self, name)
            _require(abs(value) <= 1000, f'sensors.lidar.{name}', value, 'm in [-1000, 1000]')
        span = self.angle_max - self.angle_min
        _require(0 < span <= 2 * math.pi + 1e-6, 'sensors.lidar.angle_max', self.angle_max,
                 f'more than angle_min ({self.angle_min}), by at most a full circle')
        _require(0 <= self.range_min < self.range_max <= 1000, 'sensors.lidar.range_max',
                 self.range_max, f'm above range_min ({self.range_min}), at most 1000')
        _require(self.z_min < self.z_max, 'sensors.lidar.z_max', self.z_max,
                 f'more than z_min ({self.z_min})')
        _require(self.no_returns <= set(NO_RETURNS), 'sensors.lidar.no_return', self.no_return,
                 f'one or more of {", ".join(NO_RETURNS)}')
        _require(len(self.transform) == 6 and all(map(math.isfinite, self.transform)),
                 'sensors.lidar.transform', self.transform, 'x, y, z in m; roll, pitch, yaw in rad')
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

    ``window`` is at least one control period long, so that no sample is ever skipped. Where the
    topic's rate or channel count differ from the model's, ``source_rate`` and ``source_channels``
    name them (0: the same; a channel count in the message layout goes first). ``sample_format`` is
    how AudioData holds a sample, by the names of GStreamer and AudioInfo (``SAMPLE_FORMATS``).
    """

    topic: str = 'audio'
    type: str = AUDIO_TYPES[0]
    rate: float = 50.0
    max_age: float = 0.1
    sample_rate: int = 16000
    channels: int = 2
    window: int = 1600
    source_rate: int = 0
    source_channels: int = 0
    sample_format: str = 'S16LE'

    def __post_init__(self) -> None:
        self._check('sensors.audio', AUDIO_TYPES)
        _require(1000 <= self.sample_rate <= 384_000, 'sensors.audio.sample_rate',
                 self.sample_rate, 'Hz in [1000, 384000]')
        _require(self.source_rate == 0 or 1000 <= self.source_rate <= 768_000,
                 'sensors.audio.source_rate', self.source_rate, '0 or a rate in [1000, 768000] Hz')
        _require(0 <= self.source_channels <= 16, 'sensors.audio.source_channels',
                 self.source_channels, 'in [0, 16]')
        _require(1 <= self.channels <= 16, 'sensors.audio.channels', self.channels, 'in [1, 16]')
        _require(self.sample_format in SAMPLE_FORMATS, 'sensors.audio.sample_format',
                 self.sample_format, f'one of {", ".join(SAMPLE_FORMATS)}')
        _require(64 <= self.window <= 1_048_576, 'sensors.audio.window', self.window,
                 'samples in [64, 1048576]')

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an ``Observation`` array."""
        return (self.channels, self.window)


@dataclass(frozen=True, kw_only=True)
class CommandSpec:
    """The command the policy gives and its limits, one entry per action dimension.

    A model output of ±1 means the larger of ``|lower|`` and ``|upper|``.

    Attributes:
        kind: ``twist``, ``twist_stamped`` or ``float64_multi_array``.
        topic: Command topic.
        frame_id: Header frame of stamped commands.
        names: Twist fields (``linear.x`` … ``angular.z``) or free names for a multi array.
        lower, upper: Limits, m/s or rad/s for twists.
        max_acceleration, max_deceleration: Rate limits while driving, units/s.
        stop_deceleration: Rate limit of a STOP, units/s; from full scale it takes at most
            ``LONGEST_STOP``.
        safe: What a STOP ends in with ``on_stop: safe``.
        on_stop: What a STOP does: ``safe`` goes to ``safe``, ``zero`` to zeros, ``hold`` keeps
            sending the last command (an arm under position control must not fall to a pose). A
            twist always ends in zeros: a base that keeps its last one drives on.
    """

    kind: str = 'twist'
    topic: str = 'cmd_vel'
    frame_id: str = 'base_link'
    names: tuple[str, ...] = ('linear.x', 'angular.z')
    lower: tuple[float, ...] = (-0.2, -2.0)
    upper: tuple[float, ...] = (0.6, 2.0)
    max_acceleration: tuple[float, ...] = (1.5, 8.0)
    max_deceleration: tuple[float, ...] = (2.5, 8.0)
    stop_deceleration: tuple[float, ...] = (10.0, 30.0)
    safe: tuple[float, ...] = (0.0, 0.0)
    on_stop: str = 'safe'

    def __post_init__(self) -> None:
        _require(self.kind in COMMAND_KINDS, 'command.kind', self.kind,
                 f'one of {", ".join(COMMAND_KINDS)}')
        _require(self.on_stop in ON_STOP, 'command.on_stop', self.on_stop,
                 f'one of {", ".join(ON_STOP)}')
        _require(not (self.is_twist and self.on_stop == 'hold'), 'command.on_stop', self.on_stop,
                 f'zero for a {self.kind}: a base that holds its last twist drives on')
        _require_topic('command.topic', self.topic)
        width = len(self.names)
        _require(width > 0, 'command.names', self.names, 'at least one name')
        for name in ('lower', 'upper', 'max_acceleration', 'max_deceleration',
                     'stop_deceleration', 'safe'):
            value = getattr(self, name)
            _require(len(value) == width and all(abs(v) <= 1e9 for v in value),
                     f'command.{name}', value,
                     f'{width} finite numbers in ±1e9, one for each of names')
        for i, name in enumerate(self.names):
            _require(self.lower[i] <= self.safe[i] <= self.upper[i] and
                     self.lower[i] < self.upper[i], f'command.safe[{i}] ({name})', self.safe[i],
                     f'within lower {self.lower[i]} and upper {self.upper[i]}')
        for name in ('max_acceleration', 'max_deceleration', 'stop_deceleration'):
            _require(all(v > 0 for v in getattr(self, name)), f'command.{name}',
                     getattr(self, name), 'numbers above 0')
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

    Attributes:
        name: Free name, stored in checkpoints.
        rate: Control rate, Hz.
        trigger: Sensor whose arrival starts a tick (``timer`` for a plain clock).
        camera, imu, lidar, audio: Sensors; disabled ones are left out of ``sensors``.
        command: Command topic and limits.
    """

    name: str = 'robot'
    rate: float = 15.0
    trigger: str = 'camera'
    camera: CameraSpec = field(default_factory=CameraSpec)
    imu: ImuSpec = field(default_factory=ImuSpec)
    lidar: LidarSpec = field(default_factory=LidarSpec)
    audio: AudioSpec = field(default_factory=AudioSpec)
    command: CommandSpec = field(default_factory=CommandSpec)

    def __post_init__(self) -> None:
        _require(0.1 <= self.rate <= 1000, 'rate', self.rate, 'Hz in [0.1, 1000]')
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
