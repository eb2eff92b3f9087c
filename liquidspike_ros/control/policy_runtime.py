"""One model step a tick, with recurrent state that never leaves the device."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ..core.deployment import deploy
from ..core.multimodal_fusion import MultiModalFusionNetwork
from ..core.tick.native.plain_memory import NotPlain
from ..robot import RobotSpec
from ..sensing.observation import Observation
from .action import TickResult
from .captured_step import CapturedStep
from .compatibility import check_model, PolicyError
from .compiled_step import CompiledStep
from .eager_step import EagerStep, Stepper
from .native_step import NativeStep
from .precision import choose_precision, DTYPES, one_line, PRECISIONS
from .rehearsal import blank_observation, compare, Gap, rehearsal
from .static_step import StaticStep

__all__ = ['MODES', 'PolicyError', 'PolicyRuntime', 'TickResult']

MODES = ('auto', 'eager', 'cudagraph', 'compile')
# How far a graph or compiled code may be from the eager step; rounding is all there should be.
ACTION_TOLERANCE = 1e-3
STATE_TOLERANCE = 1e-2


class PolicyRuntime:
    """Runs a policy tick by tick.

    Until ``warm_up`` it runs the model eagerly in its own precision. That is also where it falls
    back to when something else was asked for and does not work, or does not give what the eager
    step gives; ``reason`` and ``precision_reason`` then say why.

    Args:
        model: A ``RobotMultiSensorModel`` (or anything with its ``step`` and ``modalities``). The
            runtime works on a copy, and leaves it as it is.
        robot: The robot that the observations are of.
        device: Where the model and its state live.
        runtime: ``'eager'``: operator by operator, on the CPU in C where there is code for it.
            ``'cudagraph'``: the whole tick captured once and replayed. ``'compile'``: through
            ``torch.compile``, which takes seconds to minutes in ``warm_up``. ``'auto'``: cudagraph
            on a CUDA device, else eager.
        precision: ``'float32'``, ``'bfloat16'``, ``'float16'`` or ``'auto'``; see
            ``choose_precision``. The state is always float32.

    Attributes:
        model: The runtime's copy; changes to its weights need not take effect.
        mode: How it runs: ``'eager'``, ``'cudagraph'`` or ``'compile'``.
        reason: Why ``mode`` is not what was asked for, or ''.
        precision: ``'float32'``, ``'bfloat16'`` or ``'float16'``.
        precision_reason: Why ``precision`` is not what was asked for, or ''.
        warm: Whether ``warm_up`` went through.

    Raises:
        PolicyError: The model's inputs or outputs are not this robot's.
        ValueError: Unknown ``runtime`` or ``precision``.
    """

    def __init__(self, model: nn.Module, robot: RobotSpec, device: str | torch.device = 'cpu', *,
                 runtime: str = 'auto', precision: str = 'float32') -> None:
        for name, value, options in (('runtime', runtime, MODES),
                                     ('precision', precision, PRECISIONS)):
            if value not in options:
                raise ValueError(f'{name}: got {value!r}, expected one of {", ".join(options)}')
        check_model(model, robot)
        self.device = torch.device(device)
        self.robot = robot
        self.model = deploy(model, self.device)
        self.mode, self.reason = 'eager', ''
        self.precision, self.precision_reason = 'float32', ''
        self.warm = False
        self._asked, self._asked_precision = runtime, precision
        self._stepper: Stepper = EagerStep(self.model, robot, self.device)

    def reset(self) -> None:
        """Start the recurrent state from rest at the next tick."""
        self._stepper.reset()

    @torch.inference_mode()
    def warm_up(self, ticks: int = 3) -> None:
        """Settle how to run, so that the first real tick is as fast as the others; then reset.

        Raises:
            PolicyError: The model gives NaN or Inf, or the wrong number of actions.
        """
        self._step_on_zeros(ticks)
        if not self.warm:
            self._settle()
            if (self.mode, self.precision, self.reason) != ('eager', 'float32', ''):
                self._step_on_zeros(ticks)  # also after a failure: does eager still work?
            self.reset()  # whichever way was chosen has just been rehearsed
        self.warm = True

    @property
    def native_reason(self) -> str:
        """Why the ticks do not run in C (see ``core.tick.native``); '' if they do."""
        if (self.mode, self.precision) != ('eager', 'float32'):
            return f'runs as {self.mode} in {self.precision}'
        networks = [part for part in self.model.modules()
                    if isinstance(part, MultiModalFusionNetwork)]
        return networks[0].native_reason() if networks else 'another kind of model'

    def _step_on_zeros(self, ticks: int) -> None:
        blank = blank_observation(self.robot)
        self.reset()
        for tick in range(ticks):
            result = self.step(blank, introspect=tick == 0)
            if not result.finite:
                raise PolicyError(f'model: output or state is not finite on zeros (tick {tick + 1})'
                                  ', expected finite values; train again')
        self.reset()

    def _settle(self) -> None:
        """Choose precision and mode, and prove both."""
        self.precision, self.precision_reason = choose_precision(
            self._asked_precision, self.model, self.robot, self.device)
        dtype = DTYPES[self.precision]
        eager = EagerStep(self.model, self.robot, self.device, dtype)
        self._stepper = eager
        wanted = self._asked
        if wanted == 'auto':
            # On the CPU static buffers (0.95 to 1.00 times as fast as eager) do not pay, nor did
            # compiled code; see bench/policy_runtime.py.
            wanted = 'cudagraph' if self.device.type == 'cuda' else 'eager'
        if wanted == 'eager':
            self._stepper = self._in_one_call(eager)
            return
        if wanted == 'cudagraph' and self.device.type != 'cuda':
            self.reason = f'cudagraph: got device {self.device}, expected a CUDA device'
            return
        kind: type[StaticStep] = CapturedStep if wanted == 'cudagraph' else CompiledStep
        try:
            stepper = kind(self.model, self.robot, self.device, dtype)
            gap = compare(eager, stepper, rehearsal(self.robot))
        except Exception as error:  # whatever it is, the robot can still be driven eagerly
            self.reason = f'{wanted}: {one_line(error)}'
        else:
            if _is_same(gap):
                self._stepper, self.mode = stepper, wanted
            else:
                self.reason = (f'{wanted}: differs from eager by up to {gap.action:.2g} in actions '
                               f'and {gap.state:.2g} in the state, expected at most '
                               f'{ACTION_TOLERANCE:g} and {STATE_TOLERANCE:g}')
        eager.reset()

    def _in_one_call(self, eager: EagerStep) -> Stepper:
        """The eager step by one call of the C code, where that can do it and acts the same."""
        if (self.precision, self.device.type) != ('float32', 'cpu'):
            return eager
        try:
            native = NativeStep(self.model, self.robot)
        except NotPlain:
            return eager
        gap = compare(eager, native, rehearsal(self.robot))
        return native if _is_same(gap) else eager

    @torch.inference_mode()
    def step(self, obs: Observation, introspect: bool = False) -> TickResult:
        """One tick, from rest after a clock jump, a long silence or a state that is not finite.

        NaN never leaves a recurrent state by itself, hence the latter.

        Args:
            obs: What was sensed.
            introspect: Whether to fetch what the model attended to (costs further transfers).
        """
        if obs.restarted:
            self.reset()
        packed, info = self._stepper.step(obs, introspect)
        finite = bool(packed[-1] == 1.0)
        if not finite:
            self.reset()
        return TickResult(packed[:-1].astype(np.float64), finite, info)


def _is_same(gap: Gap) -> bool:
    return gap.action <= ACTION_TOLERANCE and gap.state <= STATE_TOLERANCE
