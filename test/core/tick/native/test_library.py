"""The C code is opened where it fits, and where it does not, one line says why."""

from __future__ import annotations

import platform
import shutil
import subprocess

import pytest
import torch

from liquidspike_ros.core.tick import native
from liquidspike_ros.core.tick.native import library, structures

CAPABILITY = torch.backends.cpu.get_cpu_capability()
BUILT = library.variant_for(CAPABILITY, platform.machine()) is not None


@pytest.fixture(autouse=True)
def nobody_switched_it_off(monkeypatch):
    monkeypatch.delenv('LIQUIDSPIKE_NATIVE', raising=False)


@pytest.mark.parametrize(('capability', 'machine', 'variant'), [
    ('AVX512', 'x86_64', 'avx512'), ('AVX2', 'x86_64', 'avx2'), ('AVX2', 'AMD64', 'avx2'),
    ('DEFAULT', 'x86_64', None), ('NO AVX', 'x86_64', None), ('SVE256', 'aarch64', 'plain'),
    ('DEFAULT', 'aarch64', 'plain'),
])
def test_a_processor_gets_the_build_that_it_can_run(capability, machine, variant):
    assert library.variant_for(capability, machine) == variant


@pytest.mark.skipif(not BUILT or shutil.which('cc') is None, reason='needs a C compiler')
def test_where_there_is_a_compiler_the_code_is_there(pytestconfig):
    if pytestconfig.getoption('junitprefix') and not any(library.FOLDER.glob('_stages_*')):
        pytest.skip('colcon builds elsewhere; here it takes `python setup.py build_ext --inplace`')
    found, why = library.find_library()
    assert why == ''
    assert found is not None
    assert found.variant == library.variant_for(CAPABILITY, platform.machine())


def test_it_can_be_switched_off(monkeypatch):
    monkeypatch.setenv('LIQUIDSPIKE_NATIVE', '0')
    assert library.find_library() == (None, 'LIQUIDSPIKE_NATIVE=0 is set')


def test_what_was_not_built_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(library, 'variant_for', lambda *_: 'other')
    found, why = library.find_library()
    assert found is None
    assert why.startswith('_stages_other')
    assert why.endswith('was not built; install again where there is a C compiler')
    monkeypatch.setattr(library, 'variant_for', lambda *_: None)
    assert library.find_library() == (
        None, f'got a processor of kind {CAPABILITY}, expected AVX2 or AVX512')


def test_a_file_that_is_no_library_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(library, 'FOLDER', tmp_path)
    monkeypatch.setattr(library, 'variant_for', lambda *_: 'plain')
    suffix = library.sysconfig.get_config_var('EXT_SUFFIX')
    (tmp_path / f'_stages_plain{suffix}').write_text('nothing to open')
    found, why = library.find_library()
    assert found is None
    assert f'_stages_plain{suffix}' in why
    assert '\n' not in why


@pytest.mark.skipif(native.kernels() is None, reason=f'no C code: {native.reason()}')
def test_a_library_of_another_version_is_refused(monkeypatch):
    monkeypatch.setattr(structures, 'sizes', lambda: 1)
    found, why = library.find_library()
    assert found is None
    assert why.endswith('was built for another version of the package; install again')


@pytest.mark.skipif(native.kernels() is None, reason=f'no C code: {native.reason()}')
def test_a_library_of_other_sources_is_refused(monkeypatch, tmp_path):
    folder = tmp_path / 'native'
    shutil.copytree(library.FOLDER, folder)
    monkeypatch.setattr(library, 'FOLDER', folder)
    assert library.find_library()[1] == ''
    for source in folder.glob('*.[ch]'):
        kept = source.read_text()
        source.write_text(f'{kept}/* changed */\n')
        found, why = library.find_library()
        assert found is None
        assert why.endswith('was built for another version of the package; install again')
        source.write_text(kept)
    for source in folder.glob('*.[ch]'):
        source.unlink()
    assert library.find_library()[1] == ''  # installed, where there are no sources


@pytest.mark.skipif(native.kernels() is None, reason=f'no C code: {native.reason()}')
def test_what_it_takes():
    assert native.takes(torch.zeros(1))
    assert not native.takes(torch.zeros(1, dtype=torch.float64))
    assert not native.takes(torch.zeros(1, device='meta'))


ACCURACY = r"""
#include <stdio.h>
#include "silus.h"
#include "vectors.h"
int main(void)
{
    float x;
    while (fread(&x, sizeof x, 1, stdin) == 1) {
        float y[6] = {exponential(x), sigmoid(x), silu(x), hyperbolic_tangent(x)};
        silu_of_pair(x, 0.25f * x, y + 4, y + 5);
        fwrite(y, sizeof y, 1, stdout);
    }
}
"""


FUNCTIONS = (torch.exp, torch.sigmoid, torch.nn.functional.silu, torch.tanh)


@pytest.fixture
def in_c(tmp_path):
    """What the functions of vectors.h give, and of silus.h for x and x / 4, ``[N, 6]``."""
    if shutil.which('cc') is None:
        pytest.skip('needs a C compiler')
    source, program = tmp_path / 'main.c', tmp_path / 'main'
    source.write_text(ACCURACY)
    subprocess.run(['cc', '-O1', '-std=c11', f'-I{library.FOLDER}', source, '-o', program, '-lm'],
                   check=True)

    def run(x):
        ran = subprocess.run([program], input=x.numpy().tobytes(), capture_output=True, check=True)
        return torch.frombuffer(bytearray(ran.stdout), dtype=torch.float32).view(-1, 6)

    return run


def test_its_functions_are_as_exact_as_single_precision_allows(in_c):
    torch.manual_seed(0)
    x = torch.cat([torch.linspace(-86, 86, 20001), torch.randn(20000), 1e-3 * torch.randn(1000),
                   torch.zeros(1)])
    got, exact = in_c(x).double(), x.double()
    for column, function in enumerate(FUNCTIONS):
        torch.testing.assert_close(got[:, column], function(exact), rtol=4e-7, atol=1e-37)


def test_its_functions_end_where_they_should_and_let_nan_through(in_c):
    x = torch.tensor([-torch.inf, -1e38, -1e30, -200.0, 200.0, 1e30, 1e38, torch.inf, torch.nan])
    for column, function in enumerate(FUNCTIONS):
        torch.testing.assert_close(in_c(x)[:, column], function(x), rtol=0, atol=1e-37,
                                   equal_nan=True)


def test_silus_by_the_pair_are_exact_and_nothing_far_below_zero(in_c):
    torch.manual_seed(0)
    x = torch.cat([torch.linspace(-300, 300, 40001), 4 * torch.randn(20000), torch.zeros(1),
                   1e-3 * torch.randn(1000), torch.tensor([1e-45, -1e-45, 1e30, torch.inf])])
    got = in_c(x)[:, 4:].double()
    for column, share in enumerate((1.0, 0.25)):
        exact = torch.nn.functional.silu(share * x.double())
        torch.testing.assert_close(got[:, column], exact, rtol=5e-7, atol=2e-15)
    both = in_c(torch.tensor([torch.nan]))[:, 4:]
    assert both.isnan().all()
