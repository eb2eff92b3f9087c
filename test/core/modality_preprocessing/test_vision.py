from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from liquidspike_ros.core.modality_preprocessing import VisionPreprocessor
from liquidspike_ros.core.modality_preprocessing.vision import ARCHITECTURES


def flops(architecture: str, height: int, width: int) -> float:
    model = VisionPreprocessor(3, 128, architecture)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.rand(1, 3, height, width))
    return counter.get_total_flops()


@pytest.mark.parametrize('architecture', ARCHITECTURES)
@pytest.mark.parametrize('size', [(72, 96), (224, 224), (33, 47)])
def test_images_of_any_size_become_features(architecture, size):
    model = VisionPreprocessor(3, 16, architecture).eval()
    assert model(torch.rand(2, 3, *size)).shape == (2, 16)


def test_default_is_what_was_agreed():
    model = VisionPreprocessor()
    assert (model.input_channels, model.output_dim) == (3, 2048)


@pytest.mark.parametrize(
    ('architecture', 'size', 'limit'),
    [('simple', (224, 224), 0.1e9), ('efficient', (224, 224), 0.5e9), ('simple', (72, 96), 8e6)],
)
def test_cost_stays_below_its_limit(architecture, size, limit):
    assert 0 < flops(architecture, *size) < limit


@pytest.mark.parametrize('architecture', ['simple', 'efficient'])
def test_rows_of_a_batch_do_not_see_each_other(architecture):
    torch.manual_seed(0)
    model = VisionPreprocessor(3, 16, architecture).train()
    images = torch.rand(3, 3, 48, 64)
    alone = model(images[1:2])
    torch.testing.assert_close(model(images)[1:2], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('architecture', ['simple', 'efficient'])
def test_bearing_of_a_coloured_pillar_survives_the_pooling(architecture):
    """A linear probe on the untrained trunk reads the column of a 4 pixel wide red pillar."""
    torch.manual_seed(0)
    model = VisionPreprocessor(3, 256, architecture).eval()
    columns = torch.randint(0, 92, (600,))
    images = torch.rand(600, 3, 72, 96) * 0.2 + 0.4
    for image, column in zip(images, columns.tolist(), strict=True):
        image[:, 20:50, column:column + 4] = torch.tensor([0.9, 0.1, 0.1]).view(3, 1, 1)
    with torch.no_grad():
        maps = model.backbone(model.normalise(images))
        cells = torch.nn.functional.adaptive_avg_pool2d(maps, model.grid).flatten(1).double()
    cells = torch.cat([cells - cells.mean(0), torch.ones(600, 1)], 1)
    target = columns.double() / 96 - 0.5
    train, test = slice(0, 450), slice(450, 600)
    gram = cells[train] @ cells[train].T
    gram += 1e-3 * gram.diagonal().mean() * torch.eye(450)
    predicted = cells[test] @ cells[train].T @ torch.linalg.solve(gram, target[train])
    error = (predicted - target[test]).square().mean() / target[test].var()
    assert error < 0.1


def test_images_are_normalised_inside_by_the_imagenet_statistics():
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    images = torch.rand(2, 3, 8, 8)
    expected = (images - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    got = VisionPreprocessor(architecture='simple').normalise(images)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_gray_images_are_taken_when_asked_for():
    assert VisionPreprocessor(1, 8, 'simple')(torch.rand(2, 1, 48, 64)).shape == (2, 8)


@pytest.mark.parametrize(
    ('images', 'message'),
    [
        (torch.zeros(2, 1, 8, 8), r'images: got shape \(2, 1, 8, 8\), expected \[B, 3, H, W\]'),
        (torch.zeros(3, 8, 8), r'images: got shape \(3, 8, 8\)'),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), 'images: got torch.uint8, expected floating'),
    ],
)
def test_wrong_images_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        VisionPreprocessor(3, 8, 'simple')(images)


def test_unknown_architecture_lists_the_known():
    with pytest.raises(ValueError, match="got 'vit', expected one of resnet, efficient, simple"):
        VisionPreprocessor(architecture='vit')
