from __future__ import annotations

from pathlib import Path
import pickle

import pytest
import safetensors.torch
import torch

from liquidspike_ros.core.modality_preprocessing import VisionPreprocessor

# Numbers of torchvision's models: all weights, those of the classifier, tensors less its two.
PUBLISHED = {'resnet': (11_689_512, 513_000, 60), 'resnet50': (25_557_032, 2_049_000, 159)}


def published(architecture: str, seed: int = 1) -> dict[str, torch.Tensor]:
    """A weight file's content: the trunk's names and shapes, other numbers, a classifier."""
    torch.manual_seed(seed)
    trunk = VisionPreprocessor(3, 8, architecture).backbone
    weights = {name: torch.rand_like(value) if value.is_floating_point() else value
               for name, value in trunk.state_dict().items()}
    return weights | {'fc.weight': torch.rand(1000, 512), 'fc.bias': torch.rand(1000)}


@pytest.mark.parametrize('architecture', PUBLISHED)
def test_trunk_has_the_parameters_of_torchvision(architecture):
    trunk = VisionPreprocessor(3, 8, architecture).backbone
    total, classifier, tensors = PUBLISHED[architecture]
    assert len(list(trunk.parameters())) == tensors
    assert sum(p.numel() for p in trunk.parameters()) == total - classifier


def test_resnet50_has_torchvisions_names_and_shapes():
    state = VisionPreprocessor(3, 8, 'resnet50').backbone.state_dict()
    assert {'layer1.0.conv3.weight', 'layer1.0.downsample.0.weight', 'layer4.2.bn3.running_var',
            'layer3.5.conv2.weight'} <= state.keys()
    assert state['layer2.0.conv2.weight'].shape == (128, 128, 3, 3)
    assert state['layer4.2.conv3.weight'].shape == (2048, 512, 1, 1)


def test_resnet50_strides_in_the_middle_convolution():
    """The v1.5 that torchvision's weights were trained with."""
    block = VisionPreprocessor(3, 8, 'resnet50').backbone.layer2[0]
    assert (block.conv1.stride, block.conv2.stride) == ((1, 1), (2, 2))


@pytest.mark.parametrize('architecture', PUBLISHED)
@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_weight_files_load_by_path(tmp_path: Path, architecture, suffix):
    weights = published(architecture)
    path = tmp_path / f'weights{suffix}'
    if suffix == '.pth':
        torch.save(weights, path)
    else:
        safetensors.torch.save_file(weights, path)
    model = VisionPreprocessor(3, 8, architecture)
    head = model.head.weight.clone()
    model.load_weights(path)
    for name, value in model.backbone.state_dict().items():
        torch.testing.assert_close(value, weights[name])
    torch.testing.assert_close(model.head.weight, head)


def test_weights_from_before_batches_were_counted_load(tmp_path: Path):
    weights = {name: value for name, value in published('resnet').items()
               if not name.endswith('num_batches_tracked')}
    torch.save(weights, tmp_path / 'old.pth')
    VisionPreprocessor(3, 8, 'resnet').load_weights(tmp_path / 'old.pth')


class Evil:
    def __reduce__(self):
        return (print, ('ran',))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda w: w.pop('bn1.bias'), r'bn1.bias: missing, expected shape \(64,\)'),
        (lambda w: w.update({'bn1.bias': torch.zeros(3)}), r'bn1.bias: got shape \(3,\), expected'),
        (lambda w: w.update({'layer9.weight': torch.zeros(3)}), 'layer9.weight: got a tensor'),
    ],
)
def test_wrong_weights_are_named_and_change_nothing(tmp_path: Path, change, message):
    weights = published('resnet')
    change(weights)
    torch.save(weights, tmp_path / 'w.pth')
    model = VisionPreprocessor(3, 8, 'resnet')
    before = model.backbone.conv1.weight.clone()
    with pytest.raises(ValueError, match=message):
        model.load_weights(tmp_path / 'w.pth')
    torch.testing.assert_close(model.backbone.conv1.weight, before)


@pytest.mark.parametrize('name', ['w.pth', 'w.safetensors', 'w.onnx', 'missing.pth'])
def test_files_that_are_no_weights_are_refused(tmp_path: Path, capsys, name):
    if name != 'missing.pth':
        (tmp_path / name).write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ValueError, match=rf'{name}: '):
        VisionPreprocessor(3, 8, 'resnet').load_weights(tmp_path / name)
    assert capsys.readouterr().out == ''  # nothing in the file was run


@pytest.mark.parametrize('architecture', PUBLISHED)
def test_a_batch_of_one_small_picture_can_be_trained_on(architecture):
    vision = VisionPreprocessor(3, 8, architecture).train()
    vision(torch.rand(1, 3, 32, 32)).sum().backward()
    assert vision.backbone.conv1.weight.grad.isfinite().all()
