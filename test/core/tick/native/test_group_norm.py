"""Group norms in C: factors and summands as in double precision, whatever the mean."""

from __future__ import annotations

import shutil
import subprocess

import pytest
import torch

from liquidspike_ros.core.tick.native import library

GROUPS, EPS = 8, 1e-5
PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include "group_norm.h"
int main(int argc, char **argv)
{
    count places = atol(argv[1]), channels = atol(argv[2]), tile = atol(argv[3]);
    float *x = malloc(places * channels * sizeof *x), *gain = malloc(channels * sizeof *gain);
    float *bias = malloc(channels * sizeof *bias);
    if (argc != 4 || fread(x, sizeof *x, places * channels, stdin) != (size_t)(places * channels)
        || fread(gain, sizeof *gain, channels, stdin) != (size_t)channels
        || fread(bias, sizeof *bias, channels, stdin) != (size_t)channels)
        return 1;
    const GroupNorm norm = {gain, bias, channels, 8, 1e-5f, 0};
    float *moments = malloc((places / tile + 1) * 2 * channels * sizeof *moments);
    float *found = malloc(2 * channels * sizeof *found);
    double *work = malloc(2 * channels * sizeof *work);
    const Map map = {x, moments, &norm, places, channels, tile};
    for (count t = 0; t < tiles_of(&map); t++) take_moments(&map, t);
    affine_of_norm(&map, work, found, found + channels);
    fwrite(found, sizeof *found, 2 * channels, stdout);
    return 0;
}
"""


@pytest.fixture(scope='module')
def norm_of(tmp_path_factory):
    """Gives factor and summand ``[2, C]`` of a map ``[places, C]``."""
    if shutil.which('cc') is None:
        pytest.skip('needs a C compiler')
    folder = tmp_path_factory.mktemp('group_norm')
    source, program = folder / 'main.c', folder / 'main'
    source.write_text(PROGRAM)
    subprocess.run(['cc', '-O1', '-std=c11', f'-I{library.FOLDER}', source,
                    library.FOLDER / 'group_norm.c', '-o', program, '-lm'], check=True)

    def run(x, gain, bias, tile):
        ran = subprocess.run([program, *map(str, (*x.shape, tile))], capture_output=True,
                             check=True, input=torch.cat([x, gain[None], bias[None]]).numpy()
                             .tobytes())
        return torch.frombuffer(bytearray(ran.stdout), dtype=torch.float32).view(2, -1)

    return run


def by_double(x, gain, bias):
    groups = x.double().unflatten(1, (GROUPS, -1))
    mean, variance = groups.mean((0, 2)), groups.var((0, 2), correction=0)
    each = groups.shape[2]
    scale = (variance + EPS).rsqrt().repeat_interleave(each)
    return torch.stack([gain * scale, bias - mean.repeat_interleave(each) * gain * scale])


@pytest.mark.parametrize('offset', [0.0, 30.0, -1000.0])
@pytest.mark.parametrize(('places', 'channels', 'tile'), [
    (1, 16, 8), (7, 24, 8), (64, 40, 64), (200, 32, 64), (1000, 16, 112), (4096, 96, 1)])
def test_they_are_those_of_double_precision(norm_of, offset, places, channels, tile):
    """Of squares summed as they are nothing would be left at a thousand deviations' mean."""
    torch.manual_seed(0)
    x = offset + torch.randn(places, channels) * (1.0 + torch.arange(channels) % 3)
    gain, bias = torch.rand(channels) + 0.5, torch.randn(channels)
    torch.testing.assert_close(norm_of(x, gain, bias, tile).double(), by_double(x, gain, bias),
                               rtol=1e-5, atol=1e-6)


def test_channels_may_be_far_apart_within_a_group_and_drift_from_tile_to_tile(norm_of):
    torch.manual_seed(0)
    x = torch.randn(300, 32) + 50.0 * torch.arange(32) + torch.arange(300)[:, None]
    ones = torch.ones(32)
    torch.testing.assert_close(norm_of(x, ones, ones, 16).double(), by_double(x, ones, ones),
                               rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('tile', [8, 7, 49])
def test_values_that_are_all_equal_have_no_variance_however_large(norm_of, tile):
    ones = torch.ones(16)
    factor, _ = norm_of(torch.full((100, 16), 12345.678), ones, ones, tile)
    torch.testing.assert_close(factor, ones * EPS**-0.5, rtol=1e-5, atol=0.0)
