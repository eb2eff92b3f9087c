from __future__ import annotations

import copy

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
import torch

from liquidspike_ros.core.modality_preprocessing import TextPreprocessor, TokenEmbedding
from liquidspike_ros.core.modality_preprocessing.text import sinusoids

PAD = 0


def small(**arguments) -> TextPreprocessor:
    torch.manual_seed(0)
    sizes = {'max_length': 12, 'embedding_dim': 16, 'num_queries': 4}
    return TextPreprocessor(30, 8, **sizes | arguments).eval()


def test_defaults_are_what_was_agreed():
    model = TextPreprocessor()
    assert model.tokens.vocab_size == 50257
    assert model(torch.randint(0, 50257, (2, 128))).shape == (2, 512)


@settings(max_examples=30, deadline=None)
@given(length=st.integers(1, 9), left=st.integers(0, 3), right=st.integers(0, 3),
       seed=st.integers(0, 100), pad=st.sampled_from([PAD, 29, -1]))
def test_padding_on_either_side_changes_nothing(length, left, right, seed, pad):
    model = small(max_length=15, pad_id=pad)
    tokens = torch.randint(1, 29, (2, length), generator=torch.Generator().manual_seed(seed))
    padded = torch.nn.functional.pad(tokens, (left, right), value=pad)
    torch.testing.assert_close(model(padded), model(tokens), rtol=1e-5, atol=1e-6)


def test_the_order_of_words_matters():
    model = small()
    tokens = torch.tensor([[3, 7, 9, 11, 2]])
    assert (model(tokens) - model(tokens.flip(1))).abs().max() > 1e-3


def test_what_stands_in_the_padding_gets_no_gradient():
    model = small()
    model(torch.tensor([[5, 6, PAD, PAD]])).sum().backward()
    touched = model.tokens.embedding.weight.grad.abs().sum(1).nonzero().flatten().tolist()
    assert touched == [5, 6]


def test_nothing_but_padding_is_finite_in_value_and_gradient():
    model = small()
    features = model(torch.full((2, 4), PAD))
    torch.testing.assert_close(features, model(torch.full((2, 9), PAD)))  # no text is no text
    features.sum().backward()
    assert bool(torch.isfinite(features).all())
    assert all(bool(torch.isfinite(p.grad).all()) for p in model.parameters()
               if p.grad is not None)


def test_every_id_may_be_a_word():
    model = small(pad_id=-1)
    tokens = torch.tensor([[3, 4, 0, 0]])
    assert (model(tokens) - model(tokens[:, :2])).abs().max() > 1e-3
    torch.testing.assert_close(model(torch.tensor([[3, 4, -1, -1]])), model(tokens[:, :2]))


def test_positional_encoding_is_that_of_the_paper():
    """Vaswani et al.: PE(pos, 2i) = sin(pos / 10000^(2i/d)), PE(pos, 2i+1) = cos of the same."""
    table = sinusoids(50, 6)
    for position in (0, 1, 49):
        for index in range(3):
            angle = torch.tensor(position / 10000 ** (2 * index / 6))
            torch.testing.assert_close(table[position, 2 * index], angle.sin())
            torch.testing.assert_close(table[position, 2 * index + 1], angle.cos())
    assert sinusoids(3, 5).shape == (3, 5)


def test_a_token_knows_its_place_when_it_comes_alone():
    """What step by step decoding needs: position 3 by itself is position 3 of the whole."""
    embed = TokenEmbedding(30, 16, 12)
    tokens = torch.randint(0, 30, (2, 5))
    alone = embed(tokens[:, 3:4], torch.full((2, 1), 3))
    torch.testing.assert_close(alone, embed(tokens)[:, 3:4])


def test_copies_and_weights():
    model = small()
    tokens = torch.randint(1, 30, (2, 6))
    torch.testing.assert_close(copy.deepcopy(model)(tokens), model(tokens))
    assert 'tokens.embedding.weight' in model.state_dict()


@pytest.mark.parametrize(
    ('tokens', 'message'),
    [
        (torch.zeros(2, 13, dtype=torch.long), r'tokens: got shape \(2, 13\), .* from 1 to 12'),
        (torch.zeros(2, 0, dtype=torch.long), r'tokens: got shape \(2, 0\)'),
        (torch.zeros(5, dtype=torch.long), r'tokens: got shape \(5,\)'),
        (torch.zeros(2, 5), 'tokens: got torch.float32, expected torch.int64'),
        (torch.tensor([[1, 30]]), r'tokens: got id 30, expected within \[0, 30\)'),
        (torch.tensor([[1, -2]]), 'tokens: got id -2'),
    ],
)
def test_wrong_tokens_are_refused(tokens, message):
    with pytest.raises(ValueError, match=message):
        small()(tokens)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'pad_id': 30}, r'pad_id: got 30, expected within \[-1, 30\)'),
        ({'max_length': 0}, 'max_length: got 0'),
        ({'embedding_dim': 18}, 'embedding_dim: got 18, expected a multiple of num_queries=4'),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        small(**arguments)
