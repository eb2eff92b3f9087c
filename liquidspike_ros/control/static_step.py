"""One model step a tick in memory that never moves: what a CUDA graph can hold and replay.

Everything that changes from tick to tick (sensor data, which of it is there, dt, the recurrent
state) lies in buffers made once. A tick writes the observation into one block of host memory,
copies the block to the device, runs the model on the buffers, copies the new state over the old
one, and brings action and finite flag back as one row. Nothing here needs a GPU: on the CPU the
host's block is the device's, and the values are those of ``EagerStep``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
import math
from typing import Any

import torch
from torch import Tensor

from ..core.state import leaves, pairs
from ..robot import RobotSpec
from ..sensing.observation import Observation
from .compatibility import check_action
from .eager_step import autocast, Row, to_host, with_finite_flag
from .rehearsal import blank_observation
from .tensors import observation_tensors, scale_camera

ALIGNMENT = 256  # bytes; what device allocations have, and vectorised kernels like
WARM_UP = 3  # ticks on the buffers before they are captured or compiled for good


class StaticStep:
    """Runs the model on fixed buffers; see the module.

    Args:
        model: The policy, on ``device``, with ``init_state``.
        robot: The robot that the observations are of.
        device: Where the model is.
        dtype: Autocast to it; None for the model's own precision. The state keeps its own.

    Attributes:
        state: Recurrent state on the device; the same tensors for life.
    """

    def __init__(self, model: Any, robot: RobotSpec, device: torch.device,
                 dtype: torch.dtype | None = None) -> None:
        self._model, self._robot, self._device, self._dtype = model, robot, device, dtype
        on_gpu = device.type == 'cuda'
        inputs, present = observation_tensors(blank_observation(robot), robot,
                                              camera_dtype=torch.uint8)
        self._names = tuple(inputs)
        examples = [*inputs.values(), present, torch.zeros(1)]
        self._host_block, self._host = _block(examples, torch.device('cpu'), on_gpu)
        self._block, self._buffers = (_block(examples, device) if on_gpu else
                                      (self._host_block, self._host))
        self.state = model.init_state(1, device=device)
        self._rest = [leaf.clone() for leaf in leaves(self.state)]
        width = robot.command.width + 1
        self._host_row = torch.zeros(width, pin_memory=on_gpu)
        self._row = torch.zeros(width, device=device) if on_gpu else self._host_row
        self._stream = torch.cuda.Stream(device) if on_gpu else None
        self._done = torch.cuda.Event() if on_gpu else None
        self._info: Any = None
        self._at_rest = True
        if self._stream is not None:  # weights and buffers may still be on their way
            self._stream.wait_stream(torch.cuda.current_stream(device))

    def reset(self) -> None:
        """Start from rest at the next tick."""
        self._at_rest = True  # no more than that: this is called where the device may be lost

    def step(self, obs: Observation, introspect: bool = False) -> tuple[Row, Any]:
        """One tick; see ``Stepper``.

        Raises:
            ValueError: ``obs.dt`` is negative or not finite.
        """
        self._write(obs)
        with self._on_stream():
            if self._at_rest:
                torch._foreach_copy_(list(leaves(self.state)), self._rest)
                self._at_rest = False
            if self._stream is not None:
                self._block.copy_(self._host_block, non_blocking=True)
            self._advance()
            if self._stream is not None and self._done is not None:
                self._host_row.copy_(self._row, non_blocking=True)
                self._done.record(self._stream)
                self._done.synchronize()  # the tick's only wait
            info = to_host(self._info) if introspect else None
        return self._host_row.numpy().copy(), info

    def _on_stream(self) -> AbstractContextManager[Any]:
        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)

    def _write(self, obs: Observation) -> None:
        """Bring an observation into the host's block."""
        if not 0.0 <= obs.dt < math.inf:
            raise ValueError(f'dt: got {obs.dt!r}, expected seconds, finite and not negative')
        inputs, present = observation_tensors(obs, self._robot, camera_dtype=torch.uint8)
        for buffer, value in zip(self._host, [*inputs.values(), present], strict=False):
            buffer.copy_(value)
        self._host[-1].fill_(obs.dt)

    def _advance(self) -> None:
        """One tick on the device, from the buffers to the state and the row."""
        *inputs, present, dt = self._buffers
        with autocast(self._device, self._dtype):
            action, after, self._info = self._forward(
                dict(zip(self._names, inputs, strict=True)), self.state, dt, present)
        check_action(action.shape, self._robot)
        together = pairs(self.state, after)
        for old, new in together:
            if new.shape != old.shape or new.dtype != old.dtype:
                raise ValueError(f'state: got {new.dtype} of shape {list(new.shape)} after a step, '
                                 f'expected {old.dtype} of shape {list(old.shape)}')
        before, now = map(list, zip(*together, strict=True))
        torch._foreach_copy_(before, now)
        self._row.copy_(with_finite_flag(action, self.state))

    def _forward(self, inputs: Mapping[str, Tensor], state: Any, dt: Tensor, present: Tensor
                 ) -> Any:
        """The model's step: frames are scaled here, so that a quarter of the bytes travel."""
        return self._model.step(scale_camera(inputs), state, dt=dt, present=present,
                                return_info=True)


def _block(examples: Sequence[Tensor], device: torch.device, pinned: bool = False
           ) -> tuple[Tensor, list[Tensor]]:
    """One piece of memory and a view of it like each example, so that one copy moves them all."""
    starts, size = [], 0
    for example in examples:
        starts.append(size)
        size += -(-example.nbytes // ALIGNMENT) * ALIGNMENT
    block = torch.zeros(size, dtype=torch.uint8, device=device, pin_memory=pinned)
    views = [block[start:start + example.nbytes].view(example.dtype)
             .as_strided(example.shape, example.stride())
             for start, example in zip(starts, examples, strict=True)]
    return block, views
