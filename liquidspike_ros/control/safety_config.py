"""Settings of the safety gate."""

from __future__ import annotations

from dataclasses import dataclass

from ..settings import check, Effect, setting
from ..untrusted.text import Refusal

LISTENER = 'listener'
"""Waived by this name: that nobody takes the commands."""


class SafetyError(Refusal):
    """A safety setting is out of range; the message names it."""


@dataclass(frozen=True, kw_only=True)
class SafetyConfig:
    """Limits of the gate (parameters ``safety.*``); times are of the steady clock."""

    watchdog: float = setting(
        0.0, 'STOP after this long without a policy result; 0: the larger of 0.1 s and 1.5 control '
        'periods', limits=(0.0, 2.0), unit='s')
    silence_timeout: float = setting(
        0.0, 'STOP after this long without a sample of any sensor; 0: the larger of 0.1 s and two '
        'periods of the fastest sensor', limits=(0.0, 2.0), unit='s')
    optional_speed_cap: float = setting(
        0.5, 'Share of the limits left while an optional sensor is masked', limits=(0.0, 1.0))
    overload_share: float = setting(
        0.2, 'Share of missed deadlines within overload_window that is too much',
        limits=(0.0, 1.0))
    overload_window: float = setting(
        1.0, 'How long deadlines are counted, and how long WARN lasts before STOP',
        limits=(0.1, 60.0), unit='s')
    fault_count: int = setting(
        3, 'Results that are not finite, within fault_window, that latch FAULT', limits=(1, 1000))
    fault_window: float = setting(
        10.0, 'Time within which fault_count results that are not finite latch FAULT',
        limits=(0.1, 3600.0), unit='s')
    rearm_ticks: int = setting(
        10, 'Healthy ticks after a clock jump before it drives again', limits=(0, 10_000))
    allow_other_publishers: bool = setting(
        False, 'Arm although another node publishes on the command topic')
    arm_without: tuple[str, ...] = setting(
        (), 'Sensors that need not be alive to arm and are optional for as long as they stand '
        "here; 'outside': nothing has to see what the robot may run into; 'listener': nobody has "
        'to take the commands', effect=Effect.AT_ONCE)
    quiet_after: float = setting(
        0.2, 'How long zeros are sent after disarming, once the command is at rest',
        limits=(0.0, 5.0), unit='s')

    def __post_init__(self) -> None:
        check(self, SafetyError, 'safety.')
