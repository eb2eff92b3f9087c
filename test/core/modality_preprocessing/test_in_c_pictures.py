"""The 'efficient' trunk in C: what torch computes, on any picture, by any build and threads."""

from __future__ import annotations

import copy
import pickle
import platform

import pytest
import torch
from torch import nn

from liquidspike_ros.core.modality_preprocessing import in_c_pictures, VisionPreprocessor
from liquidspike_ros.core.modality_preprocessing.in_c import in_c, InC
from liquidspike_ros.core.tick import native
from liquidspike_ros.core.tick.native import library

if native.kernels() is None:
    pytest.skip(native.reason(), allow_module_level=True)


def preprocessor(channels=3, width=24, grid=(3, 5)):
    """With gains and biases that are not those of the start."""
    torch.manual_seed(0)
    module = VisionPreprocessor(channels, width, 'efficient', grid).eval()
    for part in module.modules():
        if isinstance(part, nn.GroupNorm):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.bias, -0.5, 0.5)
    return module


def exact(module, x):
    """By double precision."""
    return copy.deepcopy(module).double()(x.double()).float()


def by_c(module):
    taken = in_c(module)
    assert isinstance(taken, InC)

    def broken(*_):
        raise AssertionError('ran in torch')

    taken.module.forward = broken
    return taken


def assert_alike(found, expected):
    """To 1e-5 of the largest feature."""
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize('channels', [1, 3, 5])
@pytest.mark.parametrize('size', [(224, 224), (96, 72), (33, 57), (32, 31), (9, 2), (1, 40),
                                  (40, 1), (1, 1)], ids=str)
def test_any_size_and_any_number_of_channels(size, channels):
    module = preprocessor(channels)
    x = torch.rand(1, channels, *size)
    with torch.inference_mode():
        expected = exact(module, x)
        assert_alike(by_c(module)(x), expected)


@pytest.mark.parametrize('grid', [(1, 1), (3, 5), (4, 12), (9, 2)], ids=str)
def test_any_grid_also_one_with_more_cells_than_the_map_has_places(grid):
    module, x = preprocessor(grid=grid), torch.rand(1, 3, 96, 130)
    with torch.inference_mode():
        expected = exact(module, x)
        assert_alike(by_c(module)(x), expected)


LAYOUTS = {
    'planes': lambda x: x,
    'channels last': lambda x: x.contiguous(memory_format=torch.channels_last),
    'columns before rows': lambda x: x.mT.contiguous().mT,
    'every other column': lambda x: x.repeat_interleave(2, -1)[..., ::2],
    'part of a larger picture': lambda x: nn.functional.pad(x, (3, 2, 1, 4))[..., 1:-4, 3:-2],
    'one plane for all': lambda x: x[:, :1].expand_as(x),
    'channels the other way round': lambda x: x.movedim(1, -1).contiguous().movedim(-1, 1),
}


@pytest.mark.parametrize('layout', LAYOUTS)
def test_any_layout_gives_the_same_bits(layout):
    fast, x = by_c(preprocessor()), torch.rand(1, 3, 50, 70)
    laid_out = LAYOUTS[layout](x)
    with torch.inference_mode():
        assert torch.equal(fast(laid_out), fast(laid_out.contiguous()))


def test_neither_threads_nor_the_build_change_a_bit(monkeypatch):
    threads, machine = torch.get_num_threads(), platform.machine()
    best = library.variant_for(torch.backends.cpu.get_cpu_capability(), machine)
    variants = {'avx512': ['avx512', 'avx2'], 'avx2': ['avx2'], 'plain': ['plain']}[str(best)]
    module, results = preprocessor(), []
    pictures = [torch.rand(1, 3, *size) for size in ((224, 224), (101, 67), (72, 96))]
    try:
        for variant in variants:
            monkeypatch.setattr(library, 'variant_for', lambda *_, variant=variant: variant)
            opened, why = library.find_library()
            assert opened is not None, why
            monkeypatch.setattr(in_c_pictures, 'kernels', lambda opened=opened: opened)
            fast = in_c(module)
            for count in (1, 2, 3, 5):
                torch.set_num_threads(count)
                with torch.inference_mode():
                    results.append(torch.cat([fast(x) for x in pictures]))
    finally:
        torch.set_num_threads(threads)
    assert len(results) == 4 * len(variants)
    assert all(torch.equal(results[0], other) for other in results[1:])


def test_a_picture_of_one_colour_is_as_in_torch():
    module, x = preprocessor(), torch.full((1, 3, 72, 96), 0.3)
    with torch.inference_mode():
        expected = exact(module, x)
        assert_alike(by_c(module)(x), expected)


def test_what_overflows_comes_out_as_nan():
    fast = by_c(preprocessor())
    with torch.inference_mode():
        assert fast(torch.full((1, 3, 40, 40), 1e30) * torch.rand(1, 1, 40, 40)).isnan().all()


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
@pytest.mark.parametrize('place', [(0, 0), (95, 71), (41, 33)], ids=str)
def test_one_pixel_that_is_no_number_is_seen_in_all_features(value, place):
    x = torch.rand(1, 3, 96, 72)
    x[0, 1, place[0], place[1]] = value
    with torch.inference_mode():
        assert not by_c(preprocessor())(x).isfinite().any()


def test_where_memory_runs_out_it_is_said():
    fast = by_c(preprocessor())
    with torch.inference_mode(), pytest.raises(MemoryError):
        fast(torch.rand(1, 3, 1, 1).expand(1, 3, 4_000_000, 4_000_000))


@pytest.mark.parametrize('again', [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_a_copy_computes_on_its_own_weights(again):
    fast, x = in_c(preprocessor()), torch.rand(1, 3, 40, 60)
    copied = again(fast)
    assert isinstance(copied, InC)
    with torch.inference_mode():
        expected = fast(x)
        for weight in fast.module.parameters():
            weight.zero_()
        del fast
        assert torch.equal(copied(x), expected)


def change(name, **attributes):
    def make(trunk):
        for attribute, value in attributes.items():
            setattr(trunk.get_submodule(name), attribute, value)

    return make


@pytest.mark.parametrize('changed', [
    change('layers.1', eps=1e-3), change('layers.1', num_groups=4),
    change('layers.3.layers.3', padding=(0, 0)), change('layers.4.layers.3', stride=(1, 1)),
    lambda trunk: setattr(trunk.layers[3], 'layers', nn.Sequential(*trunk.layers[3].layers,
                                                                   nn.SiLU())),
    lambda trunk: trunk.layers.append(nn.SiLU()),
    lambda trunk: trunk.layers[1].register_forward_hook(lambda *_: None),
], ids=['eps', 'groups', 'padding', 'stride', 'another layer', 'one at the end', 'hook'])
def test_a_trunk_that_is_not_as_built_stays(changed):
    module = preprocessor()
    changed(module.backbone)
    assert in_c(module) is module


def test_norms_without_gains_stay():
    module = preprocessor()
    module.backbone.layers[1] = nn.GroupNorm(8, 16, affine=False)
    assert in_c(module) is module
