from __future__ import annotations

from itertools import product

import pytest
import torch

from liquidspike_ros.core.multimodal_applications import generate_caption, VisionLanguageModel
from liquidspike_ros.core.multimodal_applications.generation import METHODS

WORDS, LENGTH, EOS, BOS = 7, 8, 6, 5


def small(
    seed: int = 0, kind: type[VisionLanguageModel] = VisionLanguageModel, **arguments
) -> VisionLanguageModel:
    torch.manual_seed(seed)
    sizes = {'vision_architecture': 'simple', 'encoder_dim': 12, 'liquid_units': 8,
             'spiking_units': 10, 'num_spike_steps': 4, 'text_vocab_size': WORDS}
    model = kind((3, 16, 24), text_seq_length=LENGTH, fusion_dim=16, task='captioning',
                 **sizes | arguments).eval()
    with torch.no_grad():  # words of an untrained model hardly differ
        model.words.embedding.weight *= 4.0
    return model


def images(count: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, 16, 24, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def teacher(
    model: VisionLanguageModel, image: torch.Tensor, words: list[int], bos: int = BOS
) -> torch.Tensor:
    """Log-probability of each of ``words``, by teacher forcing in one call."""
    tokens = torch.tensor([[bos, *words[:-1]]])
    scores = model(image.unsqueeze(0), tokens).log_softmax(-1)[0]
    return scores.gather(1, torch.tensor(words).unsqueeze(1)).squeeze(1)


def told(caption: torch.Tensor) -> list[int]:
    words = caption.tolist()
    return words[:words.index(EOS) + 1] if EOS in words else words


@pytest.mark.parametrize('seed', range(4))
def test_greedy_takes_the_likeliest_word_each_time(seed):
    model = small(seed)
    for image in images(seed=seed):
        words = told(generate_caption(model, image, eos_id=EOS, bos_id=BOS))
        tokens = torch.tensor([[BOS, *words[:-1]]])
        assert model(image.unsqueeze(0), tokens)[0].argmax(-1).tolist() == words


@pytest.mark.parametrize('method', METHODS)
def test_images_of_a_batch_are_told_one_by_one(method):
    model = small(1)
    together = generate_caption(model, images(), method, eos_id=EOS, bos_id=BOS,
                                temperature=1e-4)  # cold enough to be certain
    for image, caption in zip(images(), together, strict=True):
        alone = generate_caption(model, image, method, eos_id=EOS, bos_id=BOS, temperature=1e-4)
        assert told(caption) == told(alone)


@pytest.mark.parametrize('method', METHODS)
def test_nothing_comes_after_the_end(method):
    model = small()
    with torch.no_grad():
        model.word_bias[EOS] = 2.0  # every caption soon ends
    for seed in range(5):
        torch.manual_seed(seed)
        for words in generate_caption(model, images(4, seed), method, eos_id=EOS).tolist():
            end = words.index(EOS) if EOS in words else len(words)
            assert set(words[end:]) <= {EOS}
    with torch.no_grad():
        model.word_bias[EOS] = 100.0
    assert generate_caption(model, images(), method, eos_id=EOS).tolist() == [[EOS]] * 3


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('limit', [1, 3, LENGTH, None])
def test_captions_stop_at_the_limit(method, limit):
    model = small()
    with torch.no_grad():
        model.word_bias[EOS] = -100.0  # never ends by itself
    caption = generate_caption(model, images(), method, eos_id=EOS, max_length=limit)
    assert caption.shape == (3, limit or LENGTH)
    assert generate_caption(model, images()[0], method, max_length=limit).dim() == 1


class Remembering(VisionLanguageModel):
    """Every history of words has its own next word, so a state in the wrong row is found out."""

    def decode(self, seen, tokens, state=None, return_info=False):
        code = 0 if state is None else state['code']
        logits = []
        for place in range(tokens.shape[1]):
            code = code * 5 + tokens[:, place:place + 1] + 1
            logits.append(torch.sin(code * torch.arange(1.0, 5.0) * 12.9898) * 3.0)
        return torch.stack(logits, 1), {'code': code}

    def forward(self, images, tokens):
        return self.decode(None, tokens)[0]


def everything(words: int, length: int, eos: int) -> list[list[int]]:
    """Every caption of at most ``length`` words that ends where it says so."""
    found = [list(w) for count in range(1, length + 1) for w in product(range(words), repeat=count)]
    return [w for w in found if eos not in w[:-1] and (w[-1] == eos or len(w) == length)]


@pytest.mark.parametrize('seed', range(6))
@pytest.mark.parametrize('penalty', [0.0, 1.0])
@pytest.mark.parametrize('kind', [VisionLanguageModel, Remembering])
def test_a_wide_beam_finds_the_best_caption_of_all(seed, penalty, kind):
    """Four words, up to four of them, and room for every caption there is."""
    model, image, eos = small(seed, kind, text_vocab_size=4), images(1, seed)[0], seed % 4
    best = max(everything(4, 4, eos), key=lambda words: float(
        teacher(model, image, words, eos).sum()) / len(words) ** penalty)
    found = generate_caption(model, image, 'beam', max_length=4, eos_id=eos, beam_width=64,
                             length_penalty=penalty).tolist()
    assert (found[:found.index(eos) + 1] if eos in found else found) == best


@pytest.mark.parametrize('seed', range(4))
def test_one_beam_is_greedy(seed):
    model = small(seed)
    greedy = generate_caption(model, images(), 'greedy', eos_id=EOS)
    assert generate_caption(model, images(), 'beam', eos_id=EOS, beam_width=1).equal(greedy)


def test_a_beam_is_not_worse_than_greedy():
    better = 0
    for seed in range(12):
        model, image = small(seed), images(1, seed)[0]
        score = {method: float(teacher(model, image, told(generate_caption(
            model, image, method, max_length=3, eos_id=EOS, bos_id=BOS, beam_width=WORDS,
            length_penalty=0.0))).sum()) for method in ('greedy', 'beam')}
        assert score['beam'] >= score['greedy'] - 1e-4
        better += score['beam'] > score['greedy'] + 1e-4
    assert better > 0  # else this test would show nothing


def test_sampling_repeats_with_its_generator():
    model = small()
    first, again, other = (
        generate_caption(model, images(), 'sampling', temperature=3.0,
                         generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert first.equal(again)
    assert not first.equal(other)


def test_sampling_follows_the_probabilities():
    model, image = small(2), images(1)
    expected = model(image, torch.tensor([[EOS]]))[0, 0].div(1.5).softmax(-1)
    words = generate_caption(model, image.expand(4000, -1, -1, -1), 'sampling', max_length=1,
                             temperature=1.5, generator=torch.Generator().manual_seed(0))
    share = torch.bincount(words.flatten(), minlength=WORDS) / 4000
    torch.testing.assert_close(share, expected, rtol=0, atol=0.035)  # over four sigma


def test_top_k_draws_from_the_likeliest_only():
    model, image = small(2), images(1)
    likely = set(model(image, torch.tensor([[EOS]]))[0, 0].topk(2).indices.tolist())
    words = generate_caption(model, image.expand(200, -1, -1, -1), 'sampling', max_length=1,
                             temperature=5.0, top_k=2)
    assert set(words.flatten().tolist()) == likely
    assert generate_caption(model, images(), 'sampling', top_k=1).equal(
        generate_caption(model, images(), 'greedy'))


def test_a_model_in_training_is_left_in_training():
    model = small(dropout=0.5).train()
    first = generate_caption(model, images())
    assert model.training
    assert first.equal(generate_caption(model, images()))  # no dropout in between
    assert not first.requires_grad


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'method': 'guess'}, "method: got 'guess', expected one of greedy, beam, sampling"),
        ({'max_length': 0}, r'max_length: got 0, expected within \[1, 8\]'),
        ({'max_length': 9}, 'max_length: got 9'),
        ({'eos_id': 7}, r'eos_id: got 7, expected within \[0, 6\]'),
        ({'bos_id': -1}, 'bos_id: got -1'),
        ({'beam_width': 0}, 'beam_width: got 0'),
        ({'top_k': 8}, 'top_k: got 8'),
        ({'temperature': 0.0}, 'temperature: got 0.0, expected a number above 0'),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        generate_caption(small(), images(), **arguments)


def test_a_model_for_questions_writes_no_captions():
    model = VisionLanguageModel((3, 16, 24), WORDS, LENGTH, 16, vision_architecture='simple')
    with pytest.raises(ValueError, match="task: got a model for 'classification'"):
        generate_caption(model, images())
