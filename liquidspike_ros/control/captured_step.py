"""The whole tick as one CUDA graph."""

from __future__ import annotations

from typing import Any

import torch

from ..robot import RobotSpec
from .static_step import StaticStep, WARM_UP


class CapturedStep(StaticStep):
    """Replays the whole tick as one CUDA graph, captured here.

    What the model tells about a tick is captured too: it lies in the graph's memory and is
    fetched when asked for, at no cost to other ticks.

    Args:
        model: As for ``StaticStep``.
        robot: As for ``StaticStep``.
        device: A CUDA device.
        dtype: As for ``StaticStep``.

    Raises:
        RuntimeError: The model does what no graph can hold: looks at a value, copies from the host.
    """

    def __init__(self, model: Any, robot: RobotSpec, device: torch.device,
                 dtype: torch.dtype | None = None) -> None:
        super().__init__(model, robot, device, dtype)
        assert self._stream is not None
        self._graph: torch.cuda.CUDAGraph | None = None
        graph = torch.cuda.CUDAGraph()
        # Around the capture too: one that fails leaves its stream the current one.
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            for _ in range(WARM_UP):
                self._advance()
            # Other threads of a node may allocate meanwhile; that is not this capture's business.
            with torch.cuda.graph(graph, stream=self._stream, capture_error_mode='thread_local'):
                self._advance()
        self._graph = graph

    def _advance(self) -> None:
        if self._graph is None:
            super()._advance()
        else:
            self._graph.replay()
