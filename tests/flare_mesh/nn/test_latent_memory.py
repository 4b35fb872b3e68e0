"""Latents over steps against two calls of SDPA on the nodes of all steps so far."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from flare_mesh.nn.latent_memory import LatentMemory
from flare_mesh.nn.series import series_of_graphs
from flare_mesh.ops import flare_decode, flare_encode

H, M, D = 2, 4, 3
SIZES = (5, 3, 0, 4, 6, 0, 2, 5, 1)  # nodes of the steps; some have none, one of them a first one
SERIES = torch.tensor([0, 5, 5, 9])  # three series, the second without steps
PTR = torch.tensor([0, *SIZES]).cumsum(0)
ALL = slice(0, len(SIZES))


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()


@pytest.fixture(params=["equal", "fading"])
def memory(request):
    found = LatentMemory(H, M, request.param).double()
    for rate in found.parameters():
        torch.nn.init.normal_(rate, generator=torch.Generator().manual_seed(3))
    return found


@pytest.fixture
def tensors():
    n = int(PTR[-1])
    return normal(H, M, D), normal(n, H, D, seed=1), normal(n, H, D, seed=2)


def encode(query, key, value, steps=ALL):
    nodes = slice(int(PTR[steps.start]), int(PTR[steps.stop]))
    ptr = PTR[steps.start : steps.stop + 1] - PTR[steps.start]
    return flare_encode(query, key[nodes], value[nodes], ptr=ptr, backend="reference")


def on_prefixes(memory, query, key, value):
    """Outputs at the nodes of each step, with a bias of -(age of the node) rate_m."""
    rows = []
    for first, last in SERIES.unfold(0, 2, 1).tolist():
        for step in range(first, last):
            seen, own = (slice(int(PTR[i]), int(PTR[step + 1])) for i in (first, step))
            age = torch.cat([torch.full((SIZES[i],), step - i) for i in range(first, step + 1)])
            bias = query.new_zeros(H, M, len(age))
            if memory.log_rate is not None:
                bias = -memory.log_rate.exp()[..., None] * age
            if not len(age):
                continue
            k, v = (t[seen].transpose(0, 1) for t in (key, value))
            z = scaled_dot_product_attention(query, k, v, attn_mask=bias, scale=1.0)
            rows.append(scaled_dot_product_attention(key[own].transpose(0, 1), query, z, scale=1.0))
    return torch.cat(rows, 1).transpose(0, 1)


def test_values_and_gradients(memory, tensors):
    query, key, _ = tensors
    series = series_of_graphs(SERIES, len(SIZES), PTR.device)
    latent, _ = memory(*encode(*tensors), series, None)
    got = flare_decode(query, key, latent, ptr=PTR, backend="reference")
    want = on_prefixes(memory, *tensors)
    torch.testing.assert_close(got, want)
    inputs, grad = [*tensors, *memory.parameters()], normal(*got.shape, seed=4).detach()
    grads = (torch.autograd.grad(out, inputs, grad) for out in (got, want))
    for ours, theirs in zip(*grads, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_steps_in_several_calls(memory, tensors):
    """The first series alone, cut at every place; gradients pass through the state."""
    series = series_of_graphs(5, 5, PTR.device)
    whole, last = memory(*encode(*tensors, steps=slice(0, 5)), series, None)
    inputs = [*tensors[1:], *memory.parameters()]
    expected = torch.autograd.grad(last.latent.square().sum(), inputs, retain_graph=True)
    for cut in range(1, 5):
        parts, state = [], None
        for steps in (slice(0, cut), slice(cut, 5)):
            count = steps.stop - steps.start
            now = series_of_graphs(count, count, PTR.device)
            part, state = memory(*encode(*tensors, steps=steps), now, state)
            parts.append(part)
        torch.testing.assert_close(torch.cat(parts), whole)
        torch.testing.assert_close(tuple(state), tuple(last))
        got = torch.autograd.grad(state.latent.square().sum(), inputs, retain_graph=True)
        torch.testing.assert_close(got, expected)


def test_a_series_without_steps_keeps_its_state(memory, tensors):
    series = series_of_graphs(SERIES, len(SIZES), PTR.device)
    encoded = encode(*tensors)
    _, state = memory(*encoded, series, None)
    _, again = memory(*encoded, series, state)
    assert torch.equal(again.latent[1], state.latent[1])
    assert torch.equal(again.logsumexp[1], state.logsumexp[1])
    nothing = series_of_graphs(torch.zeros(4, dtype=torch.int64), 0, PTR.device)
    latent, kept = memory(*(t[:0] for t in encoded), nothing, state)
    assert latent.shape == (0, H, M, D)
    assert all(torch.equal(*pair) for pair in zip(kept, state, strict=True))


def test_nan_in_a_series_stays_there(memory, tensors):
    series = series_of_graphs(SERIES, len(SIZES), PTR.device)
    latent, logsumexp = (t.detach() for t in encode(*tensors))
    expected, last = memory(latent, logsumexp, series, None)
    bad = latent.clone()
    bad[3] = torch.nan
    bad.requires_grad_()
    got, state = memory(bad, logsumexp, series, None)
    for rows, good in ((slice(0, 3), expected), (slice(5, 9), expected)):
        torch.testing.assert_close(got[rows], good[rows], rtol=0, atol=0)
    assert bool(got[3:5].isnan().all())
    torch.testing.assert_close(state.latent[2], last.latent[2], rtol=0, atol=0)
    (grad,) = torch.autograd.grad(got[5:].sum(), bad)
    assert bool(grad.isfinite().all())


def test_half_lives_of_the_latents():
    rates = LatentMemory(2, 8, "fading").log_rate.exp()
    lives = torch.log(torch.tensor(2.0)) / rates
    torch.testing.assert_close(lives[0, [0, -1]], torch.tensor([0.25, 32.0]))
    torch.testing.assert_close(lives[1, 1:] / lives[1, :-1], torch.full((7,), 128 ** (1 / 7)))


def test_bad_series():
    device = torch.device("cpu")
    for given, message in (
        (2, "a number of steps that divides the 3 graphs"),
        (0, "a number of steps that divides"),
        (torch.tensor([0, 2]), r"to rise from 0 to the number of graphs, 3 \(got \[0, 2\]\)"),
        (torch.tensor([0, 2, 1, 3]), "to rise from 0"),
        (torch.tensor([0.0, 3.0]), r"int64 of shape \[B \+ 1\]"),
    ):
        with pytest.raises(ValueError, match=message):
            series_of_graphs(given, 3, device)
    with pytest.raises(ValueError, match="unknown history 'all'; choose from"):
        LatentMemory(1, 1, "all")
