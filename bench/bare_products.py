"""The matrix products and convolutions of a call, and nothing else: what cannot be saved.

A call is run once while its products are taken down; running them again, one after the other on the
very same tensors, is the bare arithmetic of that build: no spikes, no gates, no Python between.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

PRODUCTS = frozenset((
    'linear', 'mm', 'addmm', 'bmm', 'baddbmm', 'mv', 'addmv', 'convolution', '_convolution',
    'mkldnn_convolution', 'linear_backward', 'convolution_backward', 'mkldnn_rnn_layer',
    'mkldnn_rnn_layer_backward', '_native_multi_head_attention',
))


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.products: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.overloadpacket.__name__ in PRODUCTS:
            self.products.append((func, args, kwargs))
            return func(*args, **kwargs)
        if func._can_decompose():  # a GRU or conv2d arrives whole where no gradient is wanted
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        return func(*args, **kwargs)


def bare_products_of(call: Callable[[], object]) -> Callable[[], object]:
    """A call that repeats only the products that ``call`` makes, forward and backward.

    Raises:
        ValueError: ``call`` makes none.
    """
    with _Recorder() as recorder:
        call()
    products = recorder.products
    if not products:
        raise ValueError(f'call: got {call} without any matrix product, expected some')

    @torch.inference_mode()
    def run() -> None:
        for product, args, kwargs in products:
            product(*args, **kwargs)

    return run
