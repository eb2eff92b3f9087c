"""How to train, as one validated description: ``config/train.yaml``, overrides on top."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
import re
from typing import Any

from ..robot import SENSOR_TYPES
from ..settings import build, check, setting
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
    """From recordings to batches."""

    label_shift: float = setting(
        0.0, 'The label of a tick is the command in force this much later',
        limits=(-10.0, 10.0), unit='s')
    label_max_age: float = setting(
        0.5, 'Ticks whose last command is older carry no label', limits=(0.001, 3600.0), unit='s')
    validation: float = setting(
        0.1, 'Share of the recordings kept for validation; none of fewer than two',
        limits=(0.0, 0.9))
    lanes: int = setting(
        16, 'Sequences trained side by side, the batch size B', limits=(1, 4096))
    ticks: int = setting(
        32, 'Ticks of truncated back-propagation through time, T', limits=(1, 4096))
    workers: int = setting(
        0, 'Processes that convert recordings; 0: one for each core', limits=(0, 256))
    cache: str = setting('', 'Folder for converted recordings; empty: a temporary one')
    label_from: str = setting(
        'command', 'Where labels come from; odometry: what the robot did, where nobody sent '
        'commands', choices=('command', 'odometry'))
    odometry_topic: str = setting(
        'odom', 'Topic of nav_msgs/msg/Odometry whose twist is the label then')
    namespace: str = setting(
        '', 'Put in front of the relative topics of the robot file and of odometry_topic')
    allow_missing: tuple[str, ...] = setting(
        (), "Sensors that may be fresh at less than half of a recording's ticks, or not recorded "
        'at all; without it such a recording is not used', choices=tuple(SENSOR_TYPES))

    def __post_init__(self) -> None:
        # A ROS parameter cannot be an empty list: [''] stands for one.
        object.__setattr__(self, 'allow_missing', tuple(filter(None, self.allow_missing)))
        check(self, TrainingError, 'data.')
        _require(re.fullmatch(r'/?([A-Za-z_]\w*(/[A-Za-z_]\w*)*)?/?', self.namespace, re.ASCII)
                 is not None, 'data.namespace', self.namespace, 'a ROS namespace such as tb1')
        _require(self.lanes * self.ticks <= 1 << 16, 'data.lanes', self.lanes,
                 f'with {self.ticks} ticks at most {(1 << 16) // self.ticks}: all are in memory')


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Variations of the recorded sequences, drawn anew each time a sequence is entered."""

    mirror: float = setting(0.0, 'Probability of exchanging left and right', limits=(0.0, 1.0))
    brightness: float = setting(
        0.0, 'b: the gain of the camera is drawn from [1 − b, 1 + b], its offset from ±b/4',
        limits=(0.0, 0.99))
    drop_camera: float = setting(
        0.0, 'Share of time the camera is taken away', limits=(0.0, 0.99))
    drop_imu: float = setting(0.0, 'Share of time the IMU is taken away', limits=(0.0, 0.99))
    drop_lidar: float = setting(0.0, 'Share of time the LiDAR is taken away', limits=(0.0, 0.99))
    drop_audio: float = setting(0.0, 'Share of time the sound is taken away', limits=(0.0, 0.99))
    drop_seconds: float = setting(
        2.0, 'Mean length of such a loss', limits=(0.001, 3600.0), unit='s')

    def __post_init__(self) -> None:
        check(self, TrainingError, 'augment.')


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """What is minimised, on model units (1 is full command)."""

    kind: str = setting('huber', 'Loss of the difference', choices=('huber', 'mse'))
    huber_delta: float = setting(
        0.25, 'Where Huber turns from quadratic to linear, model units', limits=(1e-6, 1e6))
    weights: tuple[float, ...] = setting(
        (), 'One for each action dimension; one alone, or none, for equal weights',
        limits=(0.0, 1e6))

    def __post_init__(self) -> None:
        check(self, TrainingError, 'loss.')
        _require(not self.weights or sum(self.weights) > 0, 'loss.weights', self.weights,
                 'at least one of them above 0')


@dataclass(frozen=True, kw_only=True)
class OptimiserConfig:
    """AdamW with linear warm-up and cosine decay."""

    epochs: int = setting(
        10, 'Passes over the training sequences', limits=(1, MOST_EPOCHS))
    max_minutes: float = setting(
        0.0, 'Time budget the schedule is fitted to; 0: none', limits=(0.0, 1e6), unit='min')
    learning_rate: float = setting(2e-3, 'Peak learning rate', limits=(1e-9, 1.0))
    final_share: float = setting(
        0.02, 'Learning rate at the end as a share of the peak', limits=(0.0, 1.0))
    warm_up: float = setting(0.05, 'Share of the training spent warming up', limits=(0.0, 0.99))
    weight_decay: float = setting(
        1e-4, "Decoupled decay of matrices, not of biases, gains or the cells' own values",
        limits=(0.0, 1e3))
    clip: float = setting(1.0, 'Largest gradient norm; 0: no limit', limits=(0.0, 1e9))
    average: float = setting(
        0.995, 'Decay of the exponential moving average of the weights per step; 0: none',
        limits=(0.0, 0.999999))

    def __post_init__(self) -> None:
        check(self, TrainingError, 'optimiser.')


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything a training run depends on besides the recordings and the robot.

    Attributes:
        model: Options of ``RobotMultiSensorModel`` beyond what the robot file fixes.
        data, augment, loss, optimiser: See there.
    """

    model: Mapping[str, Any] = field(default_factory=dict)
    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    seed: int = setting(
        0, 'Seed of weights, order and augmentation', limits=(0, (1 << 32) - 1))
    threads: int = setting(0, "Threads of torch; 0: torch's own choice", limits=(0, 1024))
    device: str = setting('cpu', 'Torch device')

    def __post_init__(self) -> None:
        check(self, TrainingError)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainConfig:
        """Build from the nested form of ``train.yaml``.

        Raises:
            TrainingError: An unknown key, a wrong type or a value out of range.
        """
        return build(cls, values, TrainingError, 'train', read=_coerce)

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


def _coerce(name: str, value: Any, hint: Any) -> Any:
    if dataclasses.is_dataclass(hint):
        return build(hint, value, TrainingError, 'train', name, _coerce)
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
