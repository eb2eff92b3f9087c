"""What the policy node can be told beside the robot: one dataclass, one parameter per field."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from ..control.policy_runtime import MODES
from ..control.precision import PRECISIONS
from ..control.safety import SafetyConfig
from ..untrusted.text import brief, Refusal

SYNC_POLICIES = ('snapshot', 'approximate_time')
EXECUTORS = ('auto', 'single', 'events')


class OptionError(Refusal):
    """A node option is out of range; the message names it, what was got and expected."""


def option(
    default: Any,
    description: str,
    *,
    limits: tuple[float, float] | None = None,
    read_only: bool = False,
    live: bool = False,
) -> Any:
    """A dataclass field that also says how to declare itself as a ROS parameter.

    Args:
        default: Default value.
        description: One sentence for ``ros2 param describe``.
        limits: Closed range of a number, declared with the parameter.
        read_only: Fixed for the life of the process.
        live: Takes effect at once; other fields take effect at the next configure.
    """
    metadata = {'description': description, 'limits': limits, 'read_only': read_only, 'live': live}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class SyncOptions:
    """How samples of different sensors are brought together (parameters ``sync.*``)."""

    policy: str = option(
        'snapshot', "'snapshot': newest of each at the tick; 'approximate_time': the sensors of "
        'sync.sensors enter only in sets matched by message_filters')
    slop: float = option(
        0.08, 'approximate_time: largest stamp difference inside a set, s', limits=(0.001, 2.0))
    sensors: tuple[str, ...] = option(
        ('camera', 'lidar'), 'approximate_time: sensors matched into sets; the others (whole '
        'windows such as imu and audio) enter directly')

    def __post_init__(self) -> None:
        _one_of('sync.policy', self.policy, SYNC_POLICIES)
        stamped = {'camera', 'imu', 'lidar'}
        if not set(self.sensors) <= stamped:
            raise OptionError(f'sync.sensors: got {list(self.sensors)}, expected some of '
                              f'{", ".join(sorted(stamped))} (audio has no stamp)')


@dataclass(frozen=True, kw_only=True)
class SafetyOptions:
    """Settings of the safety gate (parameters ``safety.*``), as ``SafetyConfig`` means them."""

    watchdog: float = option(
        0.0, 'STOP after this long without a policy result, s; 0: the larger of 0.1 s and 1.5 '
        'control periods', limits=(0.0, 2.0))
    silence_timeout: float = option(
        0.0, 'STOP after this long without a sample of any sensor, s; 0: the larger of 0.1 s and '
        'two periods of the fastest sensor', limits=(0.0, 2.0))
    optional_speed_cap: float = option(
        0.5, 'Share of the limits left while an optional sensor is masked', limits=(0.0, 1.0))
    overload_share: float = option(
        0.2, 'Share of missed deadlines that is too much', limits=(0.0, 1.0))
    overload_window: float = option(
        1.0, 'How long deadlines are counted, and how long WARN lasts before STOP, s',
        limits=(0.1, 60.0))
    fault_count: int = option(
        3, 'Results that are not finite, within fault_window, that latch FAULT', limits=(1, 1000))
    fault_window: float = option(10.0, 'See fault_count, s', limits=(0.1, 3600.0))
    rearm_ticks: int = option(
        10, 'Healthy ticks after a clock jump before it drives again', limits=(0, 10_000))
    allow_other_publishers: bool = option(
        False, 'Arm although another node publishes on the command topic')
    arm_without: tuple[str, ...] = option(
        ('',), "Sensors that need not be alive to arm and are optional meanwhile; 'outside': "
        "nothing has to see what the robot may run into; 'listener': nobody has to take commands",
        live=True)

    def config(self) -> SafetyConfig:
        """The same for the gate."""
        values = dataclasses.asdict(self)
        values['arm_without'] = tuple(name for name in self.arm_without if name)
        return SafetyConfig(**values)


@dataclass(frozen=True, kw_only=True)
class PolicyOptions:
    """Parameters of the policy node that do not describe the robot."""

    model: str = option('', 'Folder of the checkpoint: config.json and model.safetensors')
    allow_unknown_robot: bool = option(
        False, 'Drive with a checkpoint that does not say which robot it was trained for')
    device: str = option('auto', "'auto', 'cpu', 'cuda' or 'cuda:N'; auto takes a GPU if one works")
    runtime: str = option(
        'auto', "'eager', 'cudagraph' (the whole tick captured and replayed), 'compile' "
        "(torch.compile: minutes to configure) or 'auto': cudagraph on a GPU once it has proved "
        'itself, else eager')
    precision: str = option(
        'float32', "'float32', 'bfloat16', 'float16' or 'auto' (bfloat16 on a GPU that has it); a "
        'lower one only if it keeps the actions of a rehearsal within 1 % of full scale')
    threads: int = option(
        1, 'CPU threads of one inference; more than 1 pays only on large models',
        limits=(1, 64), read_only=True)
    executor: str = option(
        'auto', "'single', 'events' or 'auto' (events where it proves to make progress)",
        read_only=True)
    auto_start: bool = option(
        True, 'Configure and activate at start; false under a lifecycle manager', read_only=True)
    auto_arm: bool = option(False, 'Arm by itself once the inputs are healthy', live=True)
    introspection: bool = option(
        False, 'Publish attention, spikes and the command of every tick on ~/introspection',
        live=True)
    safety: SafetyOptions = field(default_factory=SafetyOptions)
    sync: SyncOptions = field(default_factory=SyncOptions)

    def __post_init__(self) -> None:
        _one_of('executor', self.executor, EXECUTORS)
        _one_of('runtime', self.runtime, MODES)
        _one_of('precision', self.precision, PRECISIONS)
        if self.device not in ('auto', 'cpu') and not self.device.startswith('cuda'):
            raise OptionError(f'device: got {brief(self.device)}, expected '
                              "'auto', 'cpu', 'cuda' or 'cuda:N'")


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise OptionError(f'{name}: got {brief(value)}, expected one of {", ".join(allowed)}')
