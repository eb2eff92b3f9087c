"""In C the preprocessors give what they give in torch; what C is not for goes to torch."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations
from torch.utils._python_dispatch import TorchDispatchMode

from liquidspike_ros.core.modality_preprocessing import (
    AudioPreprocessor,
    LidarPreprocessor,
    SensorPreprocessor,
    VisionPreprocessor,
)
from liquidspike_ros.core.modality_preprocessing.in_c import in_c, InC
from liquidspike_ros.core.tick import native

if native.kernels() is None:
    pytest.skip(native.reason(), allow_module_level=True)


def scan(beams: int) -> torch.Tensor:
    return torch.stack([torch.rand(beams), (torch.rand(beams) < 0.9).float()]).unsqueeze(0)


def sound(*shape: int) -> torch.Tensor:
    return torch.rand(1, *shape) * 2 - 1


KINDS = {
    'frame': (lambda: VisionPreprocessor(3, 40, 'simple'),
              lambda: torch.rand(1, 72, 96, 3).movedim(-1, 1)),
    'planes': (lambda: VisionPreprocessor(2, 7, 'simple', (3, 5)),
               lambda: torch.rand(1, 2, 101, 67)),
    'smallest frame': (lambda: VisionPreprocessor(1, 8, 'simple'),
                       lambda: torch.rand(1, 1, 4, 4)),
    'efficient frame': (lambda: VisionPreprocessor(3, 40, 'efficient'),
                        lambda: torch.rand(1, 72, 96, 3).movedim(-1, 1)),
    'efficient planes': (lambda: VisionPreprocessor(2, 7, 'efficient', (2, 3)),
                         lambda: torch.rand(1, 2, 33, 57)),
    'window': (lambda: SensorPreprocessor(6, 32), lambda: torch.randn(1, 6, 16)),
    'reading': (lambda: SensorPreprocessor(10, 32), lambda: torch.randn(1, 10)),
    'one place of a circle': (lambda: SensorPreprocessor(3, 20, circular=True, stride=2),
                              lambda: torch.randn(1, 3, 1)),
    'three places of a circle': (lambda: SensorPreprocessor(3, 20, circular=True, stride=2),
                                 lambda: torch.randn(1, 3, 3)),
    'odd sizes': (lambda: SensorPreprocessor(3, 5, hidden_channels=13, positions=7),
                  lambda: torch.randn(1, 3, 40)),
    'transposed': (lambda: SensorPreprocessor(6, 32), lambda: torch.randn(1, 16, 6).mT),
    'scan': (lambda: LidarPreprocessor(180, 32), lambda: scan(180)),
    'open scan': (lambda: LidarPreprocessor(181, 32, circular=False), lambda: scan(181)),
    'smallest scan': (lambda: LidarPreprocessor(4, 32), lambda: scan(4)),
    'stereo': (lambda: AudioPreprocessor(16000, 40, 32, channels=2), lambda: sound(2, 4096)),
    'mono': (lambda: AudioPreprocessor(16000, 128, 32), lambda: sound(4096)),
    'three ears': (lambda: AudioPreprocessor(16000, 20, 32, channels=3, max_lag=5, n_fft=128,
                                             hop_length=50), lambda: sound(3, 1999)),
    'short': (lambda: AudioPreprocessor(16000, 40, 32, channels=2), lambda: sound(2, 1)),
    'smallest transform': (lambda: AudioPreprocessor(16000, 3, 32, channels=2, n_fft=4,
                                                     hop_length=3, max_lag=1),
                           lambda: sound(2, 50)),
    'silence': (lambda: AudioPreprocessor(16000, 40, 32, channels=2),
                lambda: torch.zeros(1, 2, 4096)),
    'loud': (lambda: AudioPreprocessor(16000, 40, 32, channels=2),
             lambda: 1e6 * sound(2, 4096)),
    'one band': (lambda: AudioPreprocessor(16000, 1, 32, hidden_dim=1), lambda: sound(4096)),
    'odd bands': (lambda: AudioPreprocessor(8000, 21, 5, channels=2, max_lag=0, hidden_dim=13),
                  lambda: sound(2, 8000)),
    'stereo, last state': (lambda: AudioPreprocessor(16000, 40, 32, channels=2, pooling='last'),
                           lambda: sound(2, 1600)),
    'mono, last state': (lambda: AudioPreprocessor(16000, 128, 32, pooling='last'),
                         lambda: sound(4096)),
    'short, last state': (lambda: AudioPreprocessor(16000, 40, 32, channels=3, pooling='last'),
                          lambda: sound(3, 1)),
}


@pytest.fixture(params=KINDS)
def kind(request):
    torch.manual_seed(0)
    make, sample = KINDS[request.param]
    return make().eval(), sample


@pytest.fixture
def c_only(monkeypatch):
    """Lets nothing but the C code answer."""
    def broken(self, *_):
        raise AssertionError('ran in torch')

    def allow(module):
        for part in (VisionPreprocessor, SensorPreprocessor, LidarPreprocessor, AudioPreprocessor):
            monkeypatch.setattr(part, 'forward', broken)
        return module

    return allow


def test_it_gives_the_features_that_torch_gives(kind, c_only):
    module, sample = kind
    samples = [sample() for _ in range(3)]
    with torch.inference_mode():
        expected = [module(x) for x in samples]
        fast = c_only(in_c(module))
        assert isinstance(fast, InC)
        for x, features in zip(samples, expected, strict=True):
            torch.testing.assert_close(fast(x), features, rtol=1e-4, atol=2e-6)


def test_threads_change_no_bit(kind):
    module, sample = kind
    fast, x = in_c(module), sample()
    threads, found = torch.get_num_threads(), []
    try:
        with torch.inference_mode():
            for count in (1, 2, 3):
                torch.set_num_threads(count)
                found.append(fast(x))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_what_is_not_finite_comes_out_as_not_finite(kind, value):
    module, sample = kind
    x = sample()
    x[..., 0] = value
    if isinstance(module, LidarPreprocessor):
        x[0, 0, 0], x[0, 1] = value, 1.0
    with torch.inference_mode():
        expected, features = module(x), in_c(module)(x)
    assert not expected.isfinite().all()
    assert torch.equal(expected.isfinite(), features.isfinite()) or not features.isfinite().any()


def test_more_rows_other_precisions_and_gradients_run_in_torch(kind):
    module, sample = kind
    fast, x = in_c(module), sample()
    two = torch.cat([x, x])
    with torch.no_grad():
        assert torch.equal(fast(two), module(two))
        assert torch.equal(fast(x), in_c(module)(x))
    x.requires_grad_()
    fast(x).sum().backward()
    assert x.grad is not None


class Recorder(TorchDispatchMode):
    """Counts operator calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.calls += 1
        return function(*args, **(kwargs or {}))


def test_whoever_records_the_calls_sees_them():
    fast = in_c(SensorPreprocessor(6, 32).eval())
    with torch.no_grad(), Recorder() as recorder:
        fast(torch.randn(1, 6, 16))
    assert recorder.calls > 5
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
        assert fast(torch.randn(1, 6, 16)).dtype == torch.bfloat16


def test_zeros_without_memory_run_in_torch():
    fast = in_c(SensorPreprocessor(6, 32).eval())
    with torch.inference_mode():
        expected = fast(torch.zeros(1, 6, 16))
        torch.testing.assert_close(fast(torch._efficientzerotensor((1, 6, 16))), expected)


def test_wrong_shapes_are_refused_as_in_torch():
    fast = in_c(LidarPreprocessor(180, 32).eval())
    with torch.no_grad(), pytest.raises(ValueError, match=r'lidar: got shape \(1, 2, 90\)'):
        fast(scan(90))
    fast = in_c(VisionPreprocessor(3, 32, 'simple').eval())
    with torch.no_grad(), pytest.raises(ValueError, match='images: got shape'):
        fast(torch.rand(1, 1, 72, 96))


@pytest.mark.parametrize('again', [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_a_copy_computes_on_its_own_weights(again):
    torch.manual_seed(0)
    fast, x = in_c(SensorPreprocessor(6, 32).eval()), torch.randn(1, 6, 16)
    copied = again(fast)
    assert isinstance(copied, InC)
    with torch.inference_mode():
        expected = fast(x)
        del fast
        assert torch.equal(copied(x), expected)


@pytest.mark.parametrize('change', [
    lambda module: module.register_forward_hook(lambda *_: None),
    lambda module: module.convolutions[0].register_forward_pre_hook(lambda *_: None),
    lambda module: parametrizations.weight_norm(module.head),
    lambda module: setattr(module, 'head', nn.Sequential(module.head, nn.Tanh())),
    lambda module: module.double(),
], ids=['hook', 'inner hook', 'weight norm', 'another layer', 'double precision'])
def test_a_module_that_does_more_than_its_class_says_stays(change):
    module = SensorPreprocessor(6, 32).eval()
    change(module)
    assert in_c(module) is module


@pytest.mark.parametrize('module', [
    VisionPreprocessor(3, 32, 'resnet'), AudioPreprocessor(n_fft=500, output_dim=32),
    nn.Identity(), nn.Linear(3, 3)])
def test_a_module_that_c_knows_nothing_of_stays(module):
    assert in_c(module) is module


def test_somebody_elses_kind_of_preprocessor_stays():
    class Mine(SensorPreprocessor):
        def forward(self, readings):
            return super().forward(readings) + 1

    module = Mine(6, 32)
    assert in_c(module) is module
