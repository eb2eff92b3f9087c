"""What the policy node can be told beside the robot: one parameter per field."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..control.policy_runtime import MODES
from ..control.precision import PRECISIONS
from ..control.safety import SafetyConfig
from ..settings import check, Effect, setting
from ..untrusted.text import brief, Refusal

SYNC_POLICIES = ('snapshot', 'approximate_time')
EXECUTORS = ('auto', 'single', 'events')


class OptionError(Refusal):
    """A node option is out of range; the message names it, what was got and expected."""


@dataclass(frozen=True, kw_only=True)
class SyncOptions:
    """How samples of different sensors are brought together (parameters ``sync.*``)."""

    policy: str = setting(
        'snapshot', 'snapshot: newest of each at the tick; approximate_time: the sensors of '
        'sync.sensors enter only in sets matched by message_filters', choices=SYNC_POLICIES)
    slop: float = setting(
        0.08, 'approximate_time: largest stamp difference inside a set', limits=(0.001, 2.0),
        unit='s')
    sensors: tuple[str, ...] = setting(
        ('camera', 'lidar'), 'approximate_time: sensors matched into sets; the others (whole '
        'windows such as imu and audio) enter directly; audio has no stamp to be matched by',
        choices=('camera', 'imu', 'lidar'))

    def __post_init__(self) -> None:
        check(self, OptionError, 'sync.')


@dataclass(frozen=True, kw_only=True)
class PolicyOptions:
    """Parameters of the policy node that do not describe the robot."""

    model: str = setting('', 'Folder of the checkpoint: config.json and model.safetensors')
    allow_unknown_robot: bool = setting(
        False, 'Drive with a checkpoint that does not say which robot it was trained for')
    device: str = setting(
        'auto', "Where inference runs: 'cpu', 'cuda', 'cuda:N' or 'auto', a GPU if one works")
    runtime: str = setting(
        'auto', 'How a tick is run; cudagraph: captured as a whole and replayed; compile: by '
        'torch.compile, minutes to configure; auto: cudagraph on a GPU once it has proved to act '
        'as eager does, else eager', choices=MODES)
    precision: str = setting(
        'float32', 'Numbers to compute with; auto: bfloat16 on a GPU that has it; a lower one '
        'only if it keeps the actions of a rehearsal within 1 % of full scale',
        choices=PRECISIONS)
    threads: int = setting(
        1, 'CPU threads of one inference; more than 1 pays only on large models',
        limits=(1, 64), effect=Effect.START)
    executor: str = setting(
        'auto', 'Executor of the node; auto: events where it proves to make progress, else single',
        choices=EXECUTORS, effect=Effect.START)
    auto_start: bool = setting(
        True, 'Configure and activate at start; false under a lifecycle manager',
        effect=Effect.START)
    auto_arm: bool = setting(
        False, 'Arm by itself once the inputs are healthy', effect=Effect.AT_ONCE)
    introspection: bool = setting(
        False, 'Publish attention, spikes and the command of every tick on ~/introspection',
        effect=Effect.AT_ONCE)
    safety: SafetyConfig = field(default_factory=SafetyConfig)
    sync: SyncOptions = field(default_factory=SyncOptions)

    def __post_init__(self) -> None:
        check(self, OptionError)
        if self.device not in ('auto', 'cpu') and not self.device.startswith('cuda'):
            raise OptionError(f'device: got {brief(self.device)}, expected '
                              "'auto', 'cpu', 'cuda' or 'cuda:N'")
