"""Block-causal FLARE against FLARE over the nodes of all steps so far."""

import pytest
import torch

from flare_mesh.ops import (
    flare_attention,
    flare_block_causal_attention,
    flare_causal_attention,
)

H, M, D = 2, 4, 3
PTR = torch.tensor([0, 5, 5, 12, 20, 26])  # one step has no nodes
SERIES = torch.tensor([0, 3, 3, 5])


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.fixture
def tensors():
    tensors = [normal(H, M, D), normal(26, H, D, seed=1), normal(26, H, D, seed=2)]
    return [t.requires_grad_() for t in tensors]


def test_values_and_gradients(tensors):
    query, key, value = tensors
    weight = normal(26, seed=3).exp()
    got = flare_block_causal_attention(*tensors, ptr=PTR, series=SERIES, weight=weight)
    rows = []
    for first, last in ((0, 3), (3, 5)):
        for step in range(first, last):
            seen = slice(int(PTR[first]), int(PTR[step + 1]))
            one = torch.tensor([0, seen.stop - seen.start])
            out = flare_attention(
                query, key[seen], value[seen], ptr=one, weight=weight[seen], backend="reference"
            )
            rows.append(out[int(PTR[step]) - seen.start :])
    want = torch.cat(rows)
    torch.testing.assert_close(got, want)
    grad = normal(26, H, D, seed=4)
    grads = (torch.autograd.grad(y, tensors, grad) for y in (got, want))
    for ours, theirs in zip(*grads, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_steps_of_one_node_are_tokens(tensors):
    got = flare_block_causal_attention(*tensors, ptr=torch.arange(27))
    torch.testing.assert_close(got, flare_causal_attention(*tensors, ptr=torch.tensor([0, 26])))


def test_one_step_is_the_mixer(tensors):
    ptr = torch.tensor([0, 11, 26])
    got = flare_block_causal_attention(*tensors, ptr=ptr, series=torch.arange(3))
    torch.testing.assert_close(got, flare_attention(*tensors, ptr=ptr))


def test_later_steps_continue_from_the_state(tensors):
    query, key, value = (t.detach() for t in tensors)
    whole, last = flare_block_causal_attention(query, key, value, ptr=PTR, return_state=True)
    first, state = flare_block_causal_attention(
        query, key[:12], value[:12], ptr=PTR[:4], return_state=True
    )
    second, state = flare_block_causal_attention(
        query, key[12:], value[12:], ptr=PTR[3:] - 12, state=state, return_state=True
    )
    torch.testing.assert_close(torch.cat([first, second]), whole)
    for got, want in zip(state, last, strict=True):
        torch.testing.assert_close(got, want)


def test_bad_input(tensors):
    query, key, value = tensors
    with pytest.raises(ValueError, match="'value' of the shape of 'key'"):
        flare_block_causal_attention(query, key, value[..., :2], ptr=PTR)
    with pytest.raises(ValueError, match=r"'query' of shape \[H, M, D\]"):
        flare_block_causal_attention(query.expand(5, H, M, D), key, value, ptr=PTR)
    with pytest.raises(ValueError, match="to rise from 0 to N = 5"):
        flare_block_causal_attention(query, key, value, ptr=PTR, series=torch.tensor([0, 4]))
