"""One model step a tick in C as a whole: from what the sensors measured to action and flag.

What is left of ``EagerStep`` around the C code of ``core.tick.native`` are a hundred small calls,
which cost more between the ticks of a robot, with caches full of other things, than one after
the other.
"""

from __future__ import annotations

from collections.abc import Mapping
import ctypes
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from ..core.modality_preprocessing.in_c import InC
from ..core.multimodal_applications import RobotMultiSensorModel
from ..core.state import leaves
from ..core.tick.native import kernels, structures
from ..core.tick.native.plain_memory import NotPlain
from ..robot import RobotSpec
from ..sensing.observation import Observation
from .compatibility import check_action
from .eager_step import Row, to_host, with_finite_flag
from .rehearsal import blank_observation
from .tensors import INPUT_NAMES, observation_tensors, scale_camera, sensor_scale

_KINDS: Mapping[type, int] = {structures.SimpleImage: 0, structures.Window: 1, structures.Sound: 2,
                               structures.EfficientImage: 3}
Array = NDArray[Any]


class NativeStep:
    """Runs a deployed policy by one call; insight into the model takes the model's own step.

    Args:
        model: From ``deploy``, on the CPU.
        robot: The robot that the observations are of.

    Raises:
        NotPlain: Some of the model does not run in C.
    """

    def __init__(self, model: Any, robot: RobotSpec) -> None:
        library = kernels()
        if library is None or type(model) is not RobotMultiSensorModel:
            raise NotPlain
        self._model, self._robot, self._run = model, robot, library.policy
        network = model.network
        native = network.native
        if native is None or network.modalities != tuple(map(INPUT_NAMES.get, robot.sensors)):
            raise NotPlain
        check_action((1, model.action_dim), robot)
        self._names = tuple(robot.sensors)
        self._scales = {name: scale for name in self._names
                        if (scale := sensor_scale(name, robot)) is not None}
        self._scaled = {name: np.empty(robot.sensors[name].shape, np.float32)
                        for name in self._scales}
        self._senses = (structures.Sense * len(self._names))(*_senses(model, robot))
        cells, early = len(self._names), isinstance(native.structure, structures.EarlyTick)
        populations = 1 if early else cells
        sizes = native.state_sizes
        self._logits = network.modality_logits.detach().clone()
        self._native = native  # what the addresses below point to
        self._w = structures.Policy(
            ctypes.addressof(self._senses), ctypes.addressof(native.structure),
            self._logits.data_ptr(), native.usual, cells, network.feature_dims[INPUT_NAMES[
                self._names[0]]], early, populations, sizes[0], sizes[populations],
            sum(sizes[2 * populations:]),
            native.structure.adapters.layers.outputs if early else 0, model.action_dim)
        self._given = ctypes.c_void_p * cells
        self._block = np.zeros(sum(sizes), np.float32)
        self._views = _views(network.state_sizes, self._block, populations)
        self._at_rest = True

    @property
    def state(self) -> Any:
        """Recurrent state after the last tick, see ``Stepper``."""
        return None if self._at_rest else self._views

    def reset(self) -> None:
        """Start from rest at the next tick."""
        self._at_rest = True

    def step(self, obs: Observation, introspect: bool = False) -> tuple[Row, Any]:
        """One tick; see ``Stepper``.

        Raises:
            ValueError: ``obs.dt`` is negative or not finite, or a sensor's value is of another
                shape.
        """
        if not 0.0 <= obs.dt < math.inf:
            raise ValueError(f'dt: got {obs.dt!r}, expected seconds, finite and not negative')
        if introspect:
            return self._step_in_torch(obs)
        if self._at_rest:
            self._block.fill(0.0)
        values = [self._value(name, obs.values[name]) for name in self._names]
        flags = [obs.present[name] for name in self._names]
        present = None if all(flags) else np.array(flags, np.uint8)
        row = np.empty(self._w.actions + 1, np.float32)
        if self._run(ctypes.byref(self._w), self._given(*(value.ctypes.data for value in values)),
                     None if present is None else present.ctypes.data, obs.dt,
                     torch.get_num_threads(), self._block.ctypes.data, row.ctypes.data):
            raise MemoryError('no memory for a tick')
        self._at_rest = False
        return row, None

    def _value(self, name: str, value: Array) -> Array:
        """What a sensor measured, as the C code takes it, which looks at no size."""
        expected = self._robot.sensors[name].shape
        if value.shape != expected:
            raise ValueError(f'{name}: got shape {value.shape}, expected {expected}')
        scale = self._scales.get(name)
        if scale is not None:
            return np.divide(value, scale, out=self._scaled[name])
        return np.ascontiguousarray(value, np.uint8 if name == 'camera' else np.float32)

    def _step_in_torch(self, obs: Observation) -> tuple[Row, Any]:
        inputs, present = observation_tensors(obs, self._robot, camera_dtype=torch.uint8)
        action, after, info = self._model.step(scale_camera(inputs), self.state, dt=obs.dt,
                                               present=present, return_info=True)
        row: Row = with_finite_flag(action, after).numpy()
        for view, value in zip(leaves(self._views), leaves(after), strict=True):
            view.copy_(value)
        self._at_rest = False
        return row, to_host(info)


def _senses(model: RobotMultiSensorModel, robot: RobotSpec) -> list[structures.Sense]:
    """How each sense of the model is run on what the robot's sensors measure."""
    inputs, _ = observation_tensors(blank_observation(robot), robot)
    model._check(inputs, 1)
    found = []
    for name, spec in robot.sensors.items():
        preprocessor = model.network.preprocessors[INPUT_NAMES[name]]
        if not isinstance(preprocessor, InC) or not preprocessor.fits(inputs[INPUT_NAMES[name]]):
            raise NotPlain
        kind = _KINDS[type(preprocessor.structure)]
        height, width = spec.shape[:2] if name == 'camera' else (1, spec.shape[-1])
        found.append(structures.Sense(ctypes.addressof(preprocessor.structure), kind, height,
                                      width))
    return found


def _views(sizes: Mapping[str, Any], block: Array, populations: int) -> Any:
    """The state as the model has it, in the memory of the C code.

    There the membranes of all populations come first, then their cells, then the joint memory.
    """
    everything = torch.from_numpy(block)
    start = 0

    def view(size: int) -> Tensor:
        nonlocal start
        start += size
        return everything[start - size:start].unsqueeze(0)

    cells = sizes.get('encoders', {'shared': sizes.get('shared')})
    assert len(cells) == populations
    membranes = {name: view(each['membrane']) for name, each in cells.items()}
    found = {name: {'membrane': membranes[name], 'hx': view(each['hx'])}
             for name, each in cells.items()}
    if 'encoders' not in sizes:
        return found
    memory = {'memory': {'hx': view(sizes['memory']['hx'])}} if 'memory' in sizes else {}
    return {'encoders': found} | memory
