import pytest
import torch
from torch.nn.functional import silu, softplus

from flare_mesh.nn.hydra import Hydra

C, L, S = 6, 9, 3  # two heads of three channels at expand=1
INNER, KEYS = 6, 4 * S  # keys and queries of two groups, in one direction


def layer(form="dense", **options):
    torch.manual_seed(0)
    mixer = Hydra(C, **{"expand": 1, "state_size": S, "form": form, **options}).double()
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter += 0.5 * torch.randn_like(parameter)
    return mixer


def draw(length=L):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, length, C, generator=generator, dtype=torch.float64).requires_grad_()


def by_matrices(mixer, u):
    """The output from the L x L quasi-separable matrix of each head, entry by entry."""
    p = dict(mixer.named_parameters())
    length = u.shape[0]
    projected = u @ p["project.weight"].T
    gate, mixed, step = projected.split([INNER, INNER + 2 * KEYS, 4], dim=1)
    zero = torch.zeros_like(mixed[:1])
    around = torch.cat([zero, mixed, zero])
    mixed = sum(around[i : i + length] * p["convolution.weight"][:, 0, i] for i in range(3))
    mixed = silu(mixed + p["convolution.bias"])
    x, ahead, behind = mixed.split([INNER, KEYS, KEYS], dim=1)
    outputs = []
    for h in range(2):
        rate = -p["log_rate"][h].exp()
        dt = [softplus(step[:, i * 2 + h] + p["step_bias"][h]) for i in range(2)]
        # Each head has a group of its own: keys of both groups first, then queries.
        key = [c[:, h * S : (h + 1) * S] for c in (ahead, behind)]
        query = [c[:, (2 + h) * S : (3 + h) * S] for c in (ahead, behind)]
        own = x[:, h * 3 : (h + 1) * 3]
        rows = []
        for t in range(length):
            row = []
            for s in range(length):
                if s < t:
                    decay = (rate * dt[0][s + 1 : t].sum()).exp()
                    row.append(query[0][t - 1] @ key[0][s] * decay * dt[0][s])
                elif s > t:
                    decay = (rate * dt[1][t + 1 : s].sum()).exp()
                    row.append(query[1][t + 1] @ key[1][s] * decay * dt[1][s])
                else:
                    row.append(x[t] @ p["project_skip.weight"][h] + p["skip"][h])
            y = torch.stack(row) @ own
            state = p["initial_state"][h]
            if t > 0:
                y = y + (rate * dt[0][:t].sum()).exp() * state @ query[0][t - 1]
            if t < length - 1:
                y = y + (rate * dt[1][t + 1 :].sum()).exp() * state @ query[1][t + 1]
            rows.append(y)
        outputs.append(torch.stack(rows))
    y = torch.cat(outputs, dim=1)
    y = y / (y.square().mean(1, keepdim=True) + 1e-5).sqrt() * p["norm.weight"]
    return (y * silu(gate)) @ p["out.weight"].T


@pytest.mark.parametrize("form", ["dense", "scan"])
def test_it_is_a_quasi_separable_matrix(form):
    mixer, u = layer(form), draw()
    ours, theirs = mixer(u), torch.stack([by_matrices(mixer, sequence) for sequence in u])
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-11)
    factor = torch.randn_like(ours)
    given = [u, *mixer.parameters()]
    grads = [torch.autograd.grad((out * factor).sum(), given) for out in (ours, theirs)]
    torch.testing.assert_close(*grads, rtol=1e-9, atol=1e-10)


def test_a_single_position_has_the_diagonal_only():
    mixer, u = layer(), draw(1)
    torch.testing.assert_close(mixer(u), torch.stack([by_matrices(mixer, one) for one in u]))
    grads = torch.autograd.grad(
        mixer(u).sum(), [mixer.initial_state, mixer.log_rate, mixer.step_bias, mixer.skip]
    )
    assert [bool(grad.any()) for grad in grads] == [False, False, False, True]


def test_exchanged_directions_reverse_the_output():
    mixer, reverse, u = layer(), layer(), draw()
    with torch.no_grad():
        start = 2 * INNER
        ahead, behind = (torch.arange(start + i * KEYS, start + (i + 1) * KEYS) for i in range(2))
        steps = torch.arange(start + 2 * KEYS, start + 2 * KEYS + 4).roll(2)
        order = torch.cat([torch.arange(start), behind, ahead, steps])
        reverse.project.weight.copy_(mixer.project.weight[order])
        channels = order[INNER:-4] - INNER
        reverse.convolution.weight.copy_(mixer.convolution.weight[channels].flip(-1))
        reverse.convolution.bias.copy_(mixer.convolution.bias[channels])
    torch.testing.assert_close(reverse(u.flip(1)).flip(1), mixer(u), rtol=1e-11, atol=1e-11)
    assert not torch.allclose(mixer(u.flip(1)).flip(1), mixer(u))


def test_initial_values():
    mixer = Hydra(128)
    assert mixer.heads == 4
    step = torch.nn.functional.softplus(mixer.step_bias.detach())
    assert 1e-3 * 0.999 <= float(step.min()) < float(step.max()) <= 1e-1 * 1.001
    assert not bool(mixer.log_rate.any())
    assert not bool(mixer.initial_state.any())
    assert bool((mixer.skip == 1).all())


@pytest.mark.parametrize(("channels", "heads"), [(16, 2), (80, 4), (96, 4), (1, 2)])
def test_heads_of_other_widths(channels, heads):
    """The widest heads up to 64 channels whose number is even."""
    mixer = Hydra(channels, state_size=2)
    assert mixer.heads == heads
    assert mixer(torch.randn(1, 3, channels)).shape == (1, 3, channels)


def test_impossible_options_are_refused():
    for options, match in (
        ({"channels": 3, "expand": 1}, "a multiple of 2, for 2 groups of heads .got 3."),
        ({"channels": 8, "head_channels": 5}, "a multiple of 10, .* with 5 channels each .got 16."),
        ({"channels": 8, "head_channels": 0}, "'head_channels' >= 1"),
        ({"channels": 8, "state_size": 0}, "'state_size' >= 1"),
        ({"channels": 8, "form": "fast"}, "unknown form 'fast'; choose from"),
    ):
        with pytest.raises(ValueError, match=match):
            Hydra(**options)
