"""The shapes a model would have, found without giving it memory or values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn, Tensor
from torch.overrides import TorchFunctionMode

_FILL = frozenset({'uniform_', 'normal_', 'orthogonal_', 'xavier_uniform_', 'xavier_normal_',
                   'kaiming_uniform_', 'kaiming_normal_', 'abs', 'neg', 'exp', 'expm1', 'log',
                   'clamp', 'clamp_min'})
_SCALE = frozenset({'mul', 'add', 'sub', 'div'})


class _NoValues(TorchFunctionMode):
    """Skips what only makes values.

    Random numbers and arithmetic on the meta device work too, but through Python code whose first
    use imports half of torch's compiler: two seconds at the start of a robot.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, given = getattr(func, '__name__', ''), kwargs or {}
        if func in (torch.randn, torch.rand):
            func = torch.empty
        value = args[0] if args else given.get('tensor')
        if isinstance(value, Tensor) and value.is_meta:
            other = args[1] if len(args) == 2 else None
            alike = (isinstance(other, (int, float))
                     or (isinstance(other, Tensor) and other.shape == value.shape))
            if name in _FILL or (name in _SCALE and alike):
                return value
        return func(*args, **given)


def shapes_of(build: Callable[..., nn.Module], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    """The ``state_dict`` of a model, on the meta device: shapes and types without memory.

    Args:
        build: Makes the model.
        arguments: By name.

    Raises:
        Exception: Whatever ``build`` raises.
    """
    with torch.device('meta'), _NoValues():
        return build(**arguments).state_dict()
