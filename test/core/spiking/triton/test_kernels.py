from __future__ import annotations

import os

import pytest


@pytest.mark.skipif(os.environ.get('TRITON_INTERPRET') == '1', reason='nothing is compiled there')
@pytest.mark.slow
@pytest.mark.parametrize('capability', [75, 80, 90])
@pytest.mark.parametrize('steps', [1, 5, 32])
def test_kernels_compile_for_gpus_that_are_not_here(capability, steps):
    """The interpreter takes more than the compiler does; this needs Triton, but no GPU."""
    triton = pytest.importorskip('triton', minversion='3.6')
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from liquidspike_ros.core.spiking.triton.kernels import lif_backward, lif_forward

    halves = {'current', 'out', 'grad_out', 'grad_current'}
    singles = {'membrane', 'beta', 'threshold', 'after', 'marks', 'grad_after', 'grad_membrane',
               'grad_beta', 'grad_threshold'}
    for rates in (True, False):
        constants = {'STEPS': steps, 'RATES': rates, 'EVEN': steps == 32, 'CHUNK': 8, 'BR': 4,
                     'BC': 64, 'MARK': True, 'FOR_BETA': True, 'FOR_THRESHOLD': True,
                     'NAME': 'sigmoid', 'A': 25.0, 'B': 0.0}
        for kernel in (lif_forward, lif_backward):
            names = kernel.arg_names
            signature = {name: '*fp16' if name in halves else '*fp32' if name in singles else
                         'constexpr' if name in constants else 'i32' for name in names}
            source = ASTSource(
                fn=kernel, signature=signature,
                constexprs={(names.index(name),): value for name, value in constants.items()
                            if name in names})
            built = triton.compile(source, target=GPUTarget('cuda', capability, 32))
            assert built.asm['cubin']
