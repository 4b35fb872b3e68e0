import pytest
import torch

from flare_mesh.ops.state_space import state_space_chunks, state_space_dense, state_space_scan

FORMS = pytest.mark.parametrize("form", [state_space_dense, state_space_chunks, state_space_scan])
B, L, H, P, G, S = 2, 7, 4, 3, 2, 5


def inputs(length=L, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=dtype)

    x, step, rate = draw(B, length, H, P), draw(B, length, H).square(), -draw(H).square()
    key, query, initial = draw(B, length, G, S), draw(B, length, G, S), draw(H, P, S)
    return [t.requires_grad_() for t in (x, step, rate, key, query, initial)]


def by_sums(x, step, rate, key, query, initial):
    """Each output as a sum over all inputs before it, with products of decays."""
    outputs = torch.zeros(0, dtype=x.dtype)
    for b in range(B):
        for t in range(x.shape[1]):
            for h in range(H):
                g = h * G // H
                decay = [(step[b, s, h] * rate[h]).exp() for s in range(t + 1)]
                y = torch.stack(decay).prod() * initial[h] @ query[b, t, g]
                for s in range(t + 1):
                    passed = torch.stack([torch.ones_like(rate[0]), *decay[s + 1 :]]).prod()
                    weight = query[b, t, g] @ key[b, s, g] * passed * step[b, s, h]
                    y = y + weight * x[b, s, h]
                outputs = torch.cat([outputs, y])
    return outputs.view(B, -1, H, P)


@FORMS
def test_values_and_gradients_are_those_of_the_sums(form):
    given = inputs()
    ours, sums = form(*given), by_sums(*given)
    torch.testing.assert_close(ours, sums, rtol=1e-12, atol=1e-12)
    factor = torch.randn_like(sums)
    grads = [torch.autograd.grad((out * factor).sum(), given) for out in (ours, sums)]
    torch.testing.assert_close(*grads, rtol=1e-11, atol=1e-11)


@FORMS
def test_without_an_initial_state_it_is_zero(form):
    *given, initial = inputs()
    torch.testing.assert_close(form(*given), form(*given, torch.zeros_like(initial)))


@FORMS
def test_large_steps_forget_and_do_not_overflow(form):
    x, step, rate, key, query, initial = inputs(60, torch.float32)
    step, rate = step + 100.0, rate - 1.0
    given = [x, step, rate, key, query, initial]
    out = form(*given)
    now = (query * key).sum(-1).repeat_interleave(H // G, dim=-1) * step
    torch.testing.assert_close(out, now[..., None] * x, rtol=1e-4, atol=1e-3)
    assert all(bool(g.isfinite().all()) for g in torch.autograd.grad(out.sum(), given))


@FORMS
def test_half_precision_is_summed_in_single(form):
    given = inputs(60, torch.float32)
    half = [t.detach().half() for t in given]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = form(*half)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, form(*(t.float() for t in half)))


@pytest.mark.parametrize("length", [64, 150])
def test_several_chunks(length):
    given = inputs(length)
    given[2] = (0.05 * given[2]).detach().requires_grad_()  # so that chunks see each other
    ours, states = state_space_chunks(*given), state_space_scan(*given)
    torch.testing.assert_close(ours, states, rtol=1e-10, atol=1e-10)
    factor = torch.randn_like(states)
    grads = [torch.autograd.grad((out * factor).sum(), given) for out in (ours, states)]
    torch.testing.assert_close(*grads, rtol=1e-9, atol=1e-9)
    alone = state_space_chunks(*given[:3], *given[3:5])
    assert float((alone - ours)[:, -1].detach().abs().max()) > 1e-3
