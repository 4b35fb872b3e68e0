import pytest
import torch
from torch.nn.functional import silu, softplus

from flare_mesh.nn.bimamba2 import BiMamba2

C, L, S, WIDTH = 6, 8, 3, 3


def layer(form):
    torch.manual_seed(0)
    mixer = BiMamba2(C, expand=1, state_size=S, head_channels=WIDTH, form=form).double()
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter += 0.5 * torch.randn_like(parameter)
    return mixer


def by_loops(mixer, u):
    """Both directions, state after state."""
    p = dict(mixer.named_parameters())
    total = 0.0
    for name, sequence in (("ahead", u), ("behind", u.flip(0))):
        gate, mixed, step = (sequence @ p["project.weight"].T).split([C, C + 2 * S, 2], dim=1)
        zero = torch.zeros_like(mixed[:2])
        past = torch.cat([zero, mixed])
        kernel = p[f"{name}.convolution.weight"][:, 0]
        mixed = sum(past[i : i + L] * kernel[:, i] for i in range(3))
        x, key, query = silu(mixed + p[f"{name}.convolution.bias"]).split([C, S, S], dim=1)
        outputs = []
        for h in range(2):
            own = x[:, h * WIDTH : (h + 1) * WIDTH]
            dt = softplus(step[:, h] + p[f"{name}.step_bias"][h])
            decay = (-dt * p[f"{name}.log_rate"][h].exp()).exp()
            state, rows = torch.zeros(WIDTH, S, dtype=u.dtype), []
            for t in range(L):
                state = decay[t] * state + dt[t] * torch.outer(own[t], key[t])
                rows.append(state @ query[t] + p[f"{name}.skip"][h] * own[t])
            outputs.append(torch.stack(rows))
        y = torch.cat(outputs, dim=1) * silu(gate)
        y = y / (y.square().mean(1, keepdim=True) + 1e-5).sqrt() * p["norm.weight"]
        total = total + (y if name == "ahead" else y.flip(0))
    return total / 2 @ p["out.weight"].T


@pytest.mark.parametrize("form", ["dense", "scan"])
def test_equations(form):
    mixer = layer(form)
    generator = torch.Generator().manual_seed(1)
    u = torch.randn(2, L, C, generator=generator, dtype=torch.float64).requires_grad_()
    ours, theirs = mixer(u), torch.stack([by_loops(mixer, sequence) for sequence in u])
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-11)
    factor = torch.randn_like(ours)
    given = [u, *mixer.parameters()]
    grads = [torch.autograd.grad((out * factor).sum(), given) for out in (ours, theirs)]
    torch.testing.assert_close(*grads, rtol=1e-9, atol=1e-10)


def test_initial_values():
    mixer = BiMamba2(128)
    assert mixer.heads == 8
    rate = mixer.ahead.log_rate.detach().exp()
    assert 1 <= float(rate.min()) < float(rate.max()) <= 16
    assert mixer.ahead.log_rate.equal(mixer.behind.log_rate)
    assert mixer.ahead.step_bias.equal(mixer.behind.step_bias)
    assert not mixer.ahead.convolution.weight.equal(mixer.behind.convolution.weight)


def test_impossible_options_are_refused():
    with pytest.raises(ValueError, match="BiMamba2: expected .* a multiple of 5, .* .got 16."):
        BiMamba2(8, head_channels=5)
    with pytest.raises(ValueError, match="unknown form 'fast'"):
        BiMamba2(8, form="fast")
