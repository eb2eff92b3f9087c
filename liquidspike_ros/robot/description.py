"""One robot: its sensors, its command, its control period; and the file that says so."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from dataclasses import dataclass, field
import math
from pathlib import Path
import types
from typing import Any

from ..settings import build, check, setting
from ..untrusted.parameter_file import read_parameter_file
from ..untrusted.text import Refusal
from .audio import AudioSpec
from .camera import CameraSpec
from .command import CommandSpec
from .imu import ImuSpec
from .lidar import LidarSpec
from .sensor import require_field, RobotError, SensorSpec

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
        require_field(bool(self.sensors), 'sensors', 'none enabled', 'at least one enabled sensor')
        options = ('timer', *self.sensors)
        require_field(self.trigger in options, 'trigger', self.trigger,
                      f'one of {", ".join(options)}')
        if self.audio.enabled:
            least = math.ceil(self.audio.sample_rate / self.rate)
            require_field(self.audio.window >= least, 'sensors.audio.window', self.audio.window,
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
            name: build(SENSOR_TYPES[name], sensors[name], RobotError, 'robot', f'sensors.{name}')
            for name in sensors
        }
        if 'command' in values:
            parts['command'] = build(CommandSpec, values.pop('command'), RobotError, 'robot',
                                     'command')
        overlap = set(values) & set(SENSOR_TYPES)
        if overlap:
            raise RobotError(f'{sorted(overlap)[0]}: belongs under sensors')
        return build(cls, {**values, **parts}, RobotError, 'robot')

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
