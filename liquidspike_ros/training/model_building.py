"""The model that training starts from: new and fitted to a robot, or a checkpoint that fits it."""

from __future__ import annotations

from pathlib import Path

import torch

from ..control.tensors import robot_model_config
from ..core.blueprint import shapes_of
from ..core.checkpoint import from_pretrained
from ..core.multimodal_applications import RobotMultiSensorModel
from ..core.sizes import LARGEST_BYTES
from ..robot import RobotSpec
from ..untrusted.text import reason
from .configuration import TrainConfig, TrainingError


def build_model(robot: RobotSpec, config: TrainConfig, init_from: str | Path | None = None
                ) -> RobotMultiSensorModel:
    """A new model for a robot, or one to go on from.

    Args:
        robot: Fixes inputs and outputs.
        config: ``model`` options and seed; the options of ``init_from`` win over them.
        init_from: Checkpoint folder to fine-tune.

    Raises:
        TrainingError: An option is unknown, or the checkpoint is of another robot's shape.
        CheckpointError: The checkpoint cannot be read.
    """
    wanted = robot_model_config(robot)
    torch.manual_seed(config.seed)
    if init_from is None:
        try:
            arguments = {**wanted, **config.model}
            size = sum(value.nbytes for value in
                       shapes_of(RobotMultiSensorModel, arguments).values())
            if size > LARGEST_BYTES:
                raise ValueError(f'got {size:,} bytes of weights, expected at most '
                                 f'{LARGEST_BYTES:,}')
            return RobotMultiSensorModel(**arguments)
        except (TypeError, ValueError, RuntimeError, MemoryError) as error:
            raise TrainingError(f'model: {reason(error)}') from None
    model, _ = from_pretrained(init_from)
    if not isinstance(model, RobotMultiSensorModel):
        raise TrainingError(f'{init_from}: got a {type(model).__name__}, '
                            'expected a RobotMultiSensorModel')
    for name, value in wanted.items():
        got = model.config.get(name)
        if (tuple(got) if isinstance(got, list) else got) != value:
            raise TrainingError(f'{init_from}: {name} is {got}, expected {value} for robot '
                                f'{robot.name!r}; train from scratch')
    return model
