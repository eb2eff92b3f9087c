"""How to train, as one validated description: ``config/train.yaml``, overrides on top."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from dataclasses import dataclass, field
import math
from pathlib import Path
import re
from typing import Any, get_type_hints

from ..robot import SENSOR_TYPES
from ..untrusted.fields import coerce, require
from ..untrusted.parameter_file import read_parameter_file
from ..untrusted.text import Refusal

MOST_EPOCHS = 100_000


class TrainingError(Refusal):
    """A training setting is wrong or training cannot go on; the text says what to do."""


def _require(condition: bool, name: str, got: object, expected: str) -> None:
    require(condition, name, got, expected, TrainingError)


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """From recordings to batches.

    Attributes:
        label_shift: The label of a tick is the command in force this much later, s.
        label_max_age: Ticks whose last command is older carry no label, s.
        validation: Share of the recordings kept for validation (none of fewer than two).
        lanes: Sequences trained side by side, ``B``.
        ticks: Ticks of truncated back-propagation through time, ``T``.
        workers: Processes that convert recordings; 0 means one for each core.
        cache: Folder for converted recordings; empty for a temporary one.
        label_from: ``command``, or ``odometry``: what the robot did, where nobody sent commands.
        odometry_topic: ``nav_msgs/msg/Odometry`` whose twist is the label then.
        namespace: Put in front of the relative topics of the robot file and of odometry_topic.
        allow_missing: Sensors that may be fresh at less than half of a recording's ticks, or not
            recorded at all; without it such a recording is not used.
    """

    label_shift: float = 0.0
    label_max_age: float = 0.5
    validation: float = 0.1
    lanes: int = 16
    ticks: int = 32
    workers: int = 0
    cache: str = ''
    label_from: str = 'command'
    odometry_topic: str = 'odom'
    namespace: str = ''
    allow_missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # A ROS parameter cannot be an empty list: [''] stands for one.
        object.__setattr__(self, 'allow_missing', tuple(filter(None, self.allow_missing)))
        _require(self.label_from in ('command', 'odometry'), 'data.label_from', self.label_from,
                 'command or odometry')
        for name in self.allow_missing:
            _require(name in SENSOR_TYPES, 'data.allow_missing', name,
                     f'one of {", ".join(SENSOR_TYPES)}')
        _require(re.fullmatch(r'/?([A-Za-z_]\w*(/[A-Za-z_]\w*)*)?/?', self.namespace, re.ASCII)
                 is not None, 'data.namespace', self.namespace, 'a ROS namespace such as tb1')
        _require(abs(self.label_shift) <= 10, 'data.label_shift', self.label_shift, 's in ±10')
        _require(0 < self.label_max_age <= 3600, 'data.label_max_age', self.label_max_age,
                 's above 0, at most 3600')
        _require(0 <= self.validation <= 0.9, 'data.validation', self.validation, 'in [0, 0.9]')
        for name in ('lanes', 'ticks'):
            value = getattr(self, name)
            _require(1 <= value <= 4096, f'data.{name}', value, 'in [1, 4096]')
        _require(self.lanes * self.ticks <= 1 << 16, 'data.lanes', self.lanes,
                 f'with {self.ticks} ticks at most {(1 << 16) // self.ticks}: all are in memory')
        _require(0 <= self.workers <= 256, 'data.workers', self.workers, 'in [0, 256]')


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Variations of the recorded sequences, drawn anew each time a sequence is entered.

    Attributes:
        mirror: Probability of exchanging left and right.
        brightness: Camera gain is drawn from ``[1 − b, 1 + b]``, offset from ``±b/4``.
        drop_camera, drop_imu, drop_lidar, drop_audio: Share of time a sensor is taken away.
        drop_seconds: Mean length of such a loss, s.
    """

    mirror: float = 0.0
    brightness: float = 0.0
    drop_camera: float = 0.0
    drop_imu: float = 0.0
    drop_lidar: float = 0.0
    drop_audio: float = 0.0
    drop_seconds: float = 2.0

    def __post_init__(self) -> None:
        _require(0 <= self.mirror <= 1, 'augment.mirror', self.mirror, 'in [0, 1]')
        _require(0 <= self.brightness < 1, 'augment.brightness', self.brightness, 'in [0, 1)')
        for name in ('drop_camera', 'drop_imu', 'drop_lidar', 'drop_audio'):
            value = getattr(self, name)
            _require(0 <= value < 1, f'augment.{name}', value, 'a share in [0, 1)')
        _require(0 < self.drop_seconds <= 3600, 'augment.drop_seconds', self.drop_seconds,
                 's above 0, at most 3600')


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """What is minimised.

    Attributes:
        kind: ``huber`` or ``mse``, on model units (1 is full command).
        huber_delta: Where Huber turns from quadratic to linear, model units.
        weights: One for each action dimension; one alone, or none, for equal weights.
    """

    kind: str = 'huber'
    huber_delta: float = 0.25
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        _require(self.kind in ('huber', 'mse'), 'loss.kind', self.kind, 'huber or mse')
        _require(self.huber_delta > 0, 'loss.huber_delta', self.huber_delta, 'above 0')
        _require(all(math.isfinite(w) and w >= 0 for w in self.weights) and
                 (not self.weights or sum(self.weights) > 0),
                 'loss.weights', self.weights, 'numbers of at least 0, one of them above')


@dataclass(frozen=True, kw_only=True)
class OptimiserConfig:
    """AdamW with linear warm-up and cosine decay.

    Attributes:
        epochs: Passes over the training sequences.
        max_minutes: Time budget the schedule is fitted to; 0 for none.
        learning_rate: Peak rate.
        final_share: Rate at the end as a share of the peak.
        warm_up: Share of the training spent warming up.
        weight_decay: Decoupled decay of matrices, not of biases, gains or the cells' own values.
        clip: Largest gradient norm; 0 for no limit.
        average: Decay of the exponential moving average of the weights per step; 0 for none.
    """

    epochs: int = 10
    max_minutes: float = 0.0
    learning_rate: float = 2e-3
    final_share: float = 0.02
    warm_up: float = 0.05
    weight_decay: float = 1e-4
    clip: float = 1.0
    average: float = 0.995

    def __post_init__(self) -> None:
        _require(1 <= self.epochs <= MOST_EPOCHS, 'optimiser.epochs', self.epochs,
                 f'at least 1, at most {MOST_EPOCHS}')
        _require(0 <= self.max_minutes <= 1e6, 'optimiser.max_minutes', self.max_minutes,
                 'in [0, 1e6]')
        _require(0 < self.learning_rate < 1, 'optimiser.learning_rate', self.learning_rate,
                 'in (0, 1)')
        for name in ('final_share', 'warm_up', 'average'):
            value = getattr(self, name)
            _require(0 <= value < 1, f'optimiser.{name}', value, 'in [0, 1)')
        _require(self.weight_decay >= 0, 'optimiser.weight_decay', self.weight_decay, 'at least 0')
        _require(self.clip >= 0, 'optimiser.clip', self.clip, 'at least 0')


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything a training run depends on besides the recordings and the robot.

    Attributes:
        model: Options of ``RobotMultiSensorModel`` beyond what the robot file fixes.
        data, augment, loss, optimiser: See there.
        seed: Of weights, order and augmentation.
        threads: Of torch; 0 leaves torch's own choice.
        device: Torch device.
    """

    model: Mapping[str, Any] = field(default_factory=dict)
    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    seed: int = 0
    threads: int = 0
    device: str = 'cpu'

    def __post_init__(self) -> None:
        _require(0 <= self.seed < 1 << 32, 'seed', self.seed, 'in [0, 2**32)')
        _require(0 <= self.threads <= 1024, 'threads', self.threads, 'in [0, 1024]')

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainConfig:
        """Build from the nested form of ``train.yaml``.

        Raises:
            TrainingError: An unknown key, a wrong type or a value out of range.
        """
        return _build(cls, '', values)

    def to_dict(self) -> dict[str, Any]:
        """The nested plain form ``from_dict`` reads."""
        values = dataclasses.asdict(dataclasses.replace(self, model=dict(self.model)))
        values['loss']['weights'] = list(self.loss.weights)
        values['data']['allow_missing'] = list(self.data.allow_missing)
        return values

    def override(self, values: Mapping[str, Any]) -> TrainConfig:
        """A copy with dotted settings replaced, e.g. ``{'optimiser.epochs': 50}``.

        Raises:
            TrainingError: As ``from_dict``.
        """
        nested = self.to_dict()
        for key, value in values.items():
            *parts, last = key.split('.')
            target = nested
            for part in parts:
                _require(isinstance(target.get(part), dict), key, value, 'a known setting')
                target = target[part]
            target[last] = value
        return self.from_dict(nested)


def _build(cls: type, prefix: str, values: object) -> Any:
    name = prefix or 'train'
    if not isinstance(values, Mapping):
        raise TrainingError(f'{name}: got {type(values).__name__}, expected a mapping')
    hints = get_type_hints(cls)
    kwargs = {}
    for key, value in values.items():
        dotted = f'{prefix}.{key}' if prefix else str(key)
        if key not in hints:
            raise TrainingError(f'{dotted}: unknown key, expected one of {", ".join(hints)}')
        kwargs[key] = _coerce(dotted, value, hints[key])
    return cls(**kwargs)


def _coerce(name: str, value: Any, hint: Any) -> Any:
    if dataclasses.is_dataclass(hint):
        return _build(hint, name, value)  # type: ignore[arg-type]
    if hint == tuple[float, ...]:  # a parameter file cannot hold an empty list
        value = () if value == '' else [value] if isinstance(value, (int, float)) else value
    if hint == tuple[str, ...] and isinstance(value, str):
        value = [value] if value else ()
    if hint == Mapping[str, Any]:
        _require(isinstance(value, Mapping), name, value, 'a mapping')
        return dict(value)
    return coerce(name, value, hint, TrainingError, longest=4096)  # paths among them


def load_train_config(path: str | Path) -> TrainConfig:
    """Read a training file: a ROS 2 parameter file, as the robot file is one.

    Raises:
        TrainingError: The file is missing, no file, not YAML, or a setting is wrong.
    """
    try:
        values = read_parameter_file(path)
    except Refusal as error:
        raise TrainingError(str(error)) from None
    try:
        return TrainConfig.from_dict(values)
    except TrainingError as error:
        raise TrainingError(f'{path}: {error}') from None
