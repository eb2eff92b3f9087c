from __future__ import annotations

import pytest
import torch

from liquidspike_ros.core.multimodal_applications import VisionLanguageModel
from liquidspike_ros.core.multimodal_fusion import FusionStrategy

STRATEGIES = [strategy.value for strategy in FusionStrategy]
WORDS, LENGTH = 11, 6


def small(task: str, seed: int = 0, **arguments) -> VisionLanguageModel:
    torch.manual_seed(seed)
    sizes = {'vision_architecture': 'simple', 'encoder_dim': 12, 'liquid_units': 8,
             'spiking_units': 10, 'num_spike_steps': 4}
    return VisionLanguageModel((3, 16, 24), WORDS, LENGTH, 16, 5, task=task,
                               **sizes | arguments).eval()


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(2, 3, 16, 24, generator=generator),
            torch.randint(1, WORDS, (2, LENGTH), generator=generator))


def test_one_class_serves_questions_and_captions():
    images, tokens = batch()
    assert small('classification')(images, tokens).shape == (2, 5)
    assert small('captioning')(images, tokens).shape == (2, LENGTH, WORDS)


@pytest.mark.parametrize('strategy', STRATEGIES)
@pytest.mark.parametrize('place', range(1, LENGTH))
def test_a_later_word_changes_no_earlier_logit(strategy, place):
    model = small('captioning', fusion_strategy=strategy)
    images, tokens = batch()
    changed = tokens.clone()
    changed[:, place:] = (changed[:, place:] + 3) % WORDS
    before, after = model(images, tokens), model(images, changed)
    assert torch.equal(before[:, :place], after[:, :place])
    assert not torch.allclose(before[:, place], after[:, place])


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_no_gradient_flows_back_in_time(strategy):
    """The same by the graph: what is said at a place depends on no later embedding."""
    model = small('captioning', fusion_strategy=strategy)
    images, _ = batch()
    tokens = torch.arange(1, LENGTH + 1).repeat(2, 1)  # every word once: rows tell places apart
    model._readout = lambda: torch.ones(WORDS, 12)  # the readout looks at every word
    model(images, tokens)[:, 2].sum().backward()
    touched = model.words.embedding.weight.grad.abs().sum(1).nonzero().flatten().tolist()
    assert set(touched) <= {1, 2, 3}
    assert 3 in touched


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_word_by_word_is_all_at_once(strategy):
    model = small('captioning', fusion_strategy=strategy)
    images, tokens = batch()
    expected, seen, state = model(images, tokens), model.look(images), None
    for place in range(LENGTH):
        logits, state = model.decode(seen, tokens[:, place:place + 1], state)
        torch.testing.assert_close(logits[:, 0], expected[:, place], rtol=1e-5, atol=1e-5)
    assert state['position'].tolist() == [[LENGTH], [LENGTH]]


@pytest.mark.parametrize('task', ['classification', 'captioning'])
def test_the_image_matters(task):
    model = small(task)
    images, tokens = batch()
    assert not torch.allclose(model(images, tokens), model(1 - images, tokens))


@pytest.mark.parametrize('task', ['classification', 'captioning'])
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_every_subset_of_inputs(task, strategy):
    model = small(task, fusion_strategy=strategy)
    images, tokens = batch()
    _, info = model(images, None, return_modality_features=True)
    assert info.present.flatten(0, -2).tolist() == [[True, False]] * 2
    assert model(images, None).shape == ((2, 5) if task == 'classification' else (2, 1, WORDS))
    assert model(None, tokens).shape == model(images, tokens).shape
    with pytest.raises(ValueError, match='inputs: got none, expected at least one of images'):
        model(None, None)


def test_what_follows_padding_is_not_heard():
    model = small('captioning', text_pad_id=0)
    images, tokens = batch()
    tokens[:, 3:] = 0
    torch.testing.assert_close(model(images, tokens)[:, :3], model(images, tokens[:, :3]))
    _, info = model(images, tokens, return_modality_features=True)
    assert info.present[0, :, 1].tolist() == [True] * 3 + [False] * 3


@pytest.mark.parametrize('strategy', ['hybrid', 'hierarchical'])
def test_captioning_shows_who_attended_where_at_every_word(strategy):
    images, tokens = batch()
    _, info = small('captioning', fusion_strategy=strategy)(
        images, tokens, return_modality_features=True, return_attention_maps=True)
    assert info.features['images'].shape == (2, LENGTH, 12)
    assert info.attention_map('tokens', 'images').shape == (2, LENGTH, 8)
    torch.testing.assert_close(info.attention.sum(-1), torch.ones_like(info.attention[..., 0]))


@pytest.mark.parametrize('task', ['classification', 'captioning'])
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_every_weight_learns(task, strategy):
    model = small(task, fusion_strategy=strategy).train()
    images, tokens = batch()
    torch.manual_seed(1)  # dropout
    score = model(images, tokens).square().sum() + model(images, None).square().sum() \
        + model(None, tokens).square().sum()
    score.backward()
    # What an absent modality does is heard only when it comes back, at a later tick.
    assert [name for name, p in model.named_parameters() if p.requires_grad
            and not name.endswith('.absent') and (p.grad is None or not p.grad.any())] == []


@pytest.mark.slow
def test_it_learns_to_say_what_it_sees():
    """Four colours, a sentence each; the words after the first depend on the image alone."""
    colours = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [1.0, 1.0, 0]])
    images = colours.view(4, 3, 1, 1).expand(-1, -1, 16, 24)
    sentences = torch.tensor([[1, 2, 5], [3, 2, 6], [4, 7, 8], [9, 2, 1]])
    tokens = torch.cat([torch.full((4, 1), 10), sentences[:, :-1]], 1)
    # Wide enough that rounding and seed make no difference to where it gets.
    model = small('captioning', dropout=0.0, encoder_dim=32, spiking_units=32, liquid_units=32,
                  num_spike_steps=8).train()
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(150):
        loss = torch.nn.functional.cross_entropy(model(images, tokens).flatten(0, 1),
                                                 sentences.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05  # log(11) = 2.4 to begin with
    assert model.eval()(images, tokens).argmax(-1).tolist() == sentences.tolist()


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda m, i, t: m(i[:, :, :8], t), r'images: got .* expected \[B, 3, 16, 24\]'),
        (lambda m, i, t: m(i, t.repeat(1, 2)), r'tokens: got shape \(2, 12\), .* 1 to 6'),
        (lambda m, i, t: m(i, t[0]), r'tokens: got shape \(6,\), expected \[B, S\]'),
        (lambda m, i, t: m(i, t + 20), r'tokens: got id \d+, expected within \[0, 11\)'),
        (lambda m, i, t: m(i, t[:1]), 'tokens: got 1 rows, expected 2 like images'),
    ],
)
def test_wrong_inputs_are_named_in_captioning(call, message):
    with pytest.raises(ValueError, match=message):
        call(small('captioning'), *batch())


def test_calls_of_the_other_task_are_refused():
    images, tokens = batch()
    with pytest.raises(ValueError, match="task: got 'classification', expected 'captioning'"):
        small('classification').decode(None, tokens)
    with pytest.raises(ValueError, match="task: got 'captioning', expected 'classification'"):
        small('captioning').step({'images': images})
    with pytest.raises(ValueError, match="task: got 'poetry', expected one of classification"):
        small('poetry')
