"""Settings of the safety gate."""

from __future__ import annotations

from dataclasses import dataclass

LISTENER = 'listener'
"""Waived by this name: that nobody takes the commands."""


class SafetyError(ValueError):
    """A safety setting is out of range; the message names it."""


@dataclass(frozen=True, kw_only=True)
class SafetyConfig:
    """Limits of the gate; times in s of the steady clock.

    Attributes:
        watchdog: Longest time without a policy result; 0 for the larger of 0.1 s and 1.5 periods.
        silence_timeout: Longest time without a sample from any sensor; 0 for the larger of 0.1 s
            and two periods of the fastest sensor.
        optional_speed_cap: Share of the limits left while an optional sensor is masked.
        overload_share: Share of missed deadlines within ``overload_window`` that is too much.
        overload_window: How long deadlines are counted, and how long WARN lasts before STOP.
        fault_count: Results that are not finite within ``fault_window`` that latch FAULT.
        fault_window: See above.
        rearm_ticks: Healthy ticks after a clock jump before it drives again.
        allow_other_publishers: Whether arming is allowed with others on the command topic.
        arm_without: Sensors that need not be alive to arm, and that count as optional for as long
            as they stand here; ``outside`` where nothing is to see what the robot may run into,
            ``listener`` where nobody has to take the commands.
        quiet_after: How long zeros are streamed after disarming.
    """

    watchdog: float = 0.0
    silence_timeout: float = 0.0
    optional_speed_cap: float = 0.5
    overload_share: float = 0.2
    overload_window: float = 1.0
    fault_count: int = 3
    fault_window: float = 10.0
    rearm_ticks: int = 10
    allow_other_publishers: bool = False
    arm_without: tuple[str, ...] = ()
    quiet_after: float = 0.2

    def __post_init__(self) -> None:
        for name, low, high in (
            ('watchdog', 0.0, 2.0), ('silence_timeout', 0.0, 2.0),
            ('optional_speed_cap', 0.0, 1.0), ('overload_share', 0.0, 1.0),
            ('overload_window', 0.1, 60.0), ('fault_count', 1, 1000),
            ('fault_window', 0.1, 3600.0), ('rearm_ticks', 0, 10000), ('quiet_after', 0.0, 5.0),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise SafetyError(f'safety.{name}: got {value!r}, expected {low} to {high}')
