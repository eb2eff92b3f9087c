from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
import torch

from liquidspike_ros.core.multimodal_fusion import CrossModalAttentionFusion


@settings(max_examples=25, deadline=None)
@given(heads=st.integers(1, 12), width=st.integers(1, 20), count=st.integers(1, 5))
def test_any_number_of_heads_goes_with_any_width(heads, width, count):
    model = CrossModalAttentionFusion(width, heads)
    tokens, attention = model(torch.randn(2, count, width), torch.ones(2, count, dtype=torch.bool))
    assert tokens.shape == (2, count, width)
    assert attention.shape == (2, heads, count, count)
    torch.testing.assert_close(attention.sum(-1), torch.ones(2, heads, count))


def test_512_wide_with_12_heads_keeps_at_least_the_full_width():
    model = CrossModalAttentionFusion(512, 12)
    assert model.num_heads * model.head_dim >= 512


def test_nobody_attends_to_the_absent():
    torch.manual_seed(0)
    model = CrossModalAttentionFusion(8, 2)
    tokens, present = torch.randn(1, 3, 8), torch.tensor([[True, False, True]])
    fused, attention = model(tokens, present)
    assert attention[..., 1].abs().max() == 0
    other = tokens.clone()
    other[:, 1] = 100.0
    assert torch.equal(model(other, present)[0][:, [0, 2]], fused[:, [0, 2]])


def test_nobody_present_is_finite():
    model = CrossModalAttentionFusion(8, 2)
    tokens = torch.randn(1, 3, 8, requires_grad=True)
    fused, attention = model(tokens, torch.zeros(1, 3, dtype=torch.bool))
    fused.sum().backward()
    assert bool(torch.isfinite(fused).all() and torch.isfinite(tokens.grad).all())
    assert attention.abs().max() == 0


def test_groups_limit_who_attends_to_whom():
    model = CrossModalAttentionFusion(8, 2)
    groups = torch.block_diag(torch.ones(2, 2), torch.ones(1, 1)).bool()
    _, attention = model(torch.randn(1, 3, 8), torch.ones(1, 3, dtype=torch.bool), groups)
    assert attention[..., ~groups].abs().max() == 0
    assert attention[..., groups].min() > 0


def test_the_order_of_modalities_does_not_matter():
    model = CrossModalAttentionFusion(8, 4)
    tokens, present = torch.randn(1, 3, 8), torch.ones(1, 3, dtype=torch.bool)
    torch.testing.assert_close(model(tokens.flip(1), present)[0].flip(1), model(tokens, present)[0])


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [((0, 2), 'embed_dim: got 0'), ((8, 0), 'num_attention_heads: got 0'),
     ((8, 2, 0), 'head_dim: got 0')],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        CrossModalAttentionFusion(*arguments)
