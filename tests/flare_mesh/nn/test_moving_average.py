import pytest
import torch

from flare_mesh.nn.moving_average import MovingAverage


def average(channels=2, order=3, spread=1.0):
    torch.manual_seed(0)
    layer = MovingAverage(channels, order).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=spread)
    return layer


def recurrence(layer, x):
    """One direction of one sequence [L, C], step after step."""
    a, d, b = layer.alpha.sigmoid(), layer.delta.sigmoid(), layer.beta.sigmoid()
    h, out = 0, []
    for row in x:
        h = (1 - a * d) * h + a * b * row[:, None]
        out.append((layer.eta * h).sum(1))
    return torch.stack(out)


def both_directions(layer, x):
    return torch.cat([recurrence(layer, x), recurrence(layer, x.flip(0)).flip(0)], 1)


def test_against_the_recurrence():
    layer, x = average(), torch.randn(2, 11, 2, dtype=torch.float64, requires_grad=True)
    got = layer(x)
    want = torch.stack([both_directions(layer, one) for one in x])
    torch.testing.assert_close(got, want)
    of = [x, *layer.parameters()]
    gradients = [torch.autograd.grad(y.sin().sum(), of) for y in (got, want)]
    torch.testing.assert_close(*gradients)


@torch.no_grad()
@pytest.mark.parametrize("logit", [-9.0, 0.0, 3.0], ids=["r=1-1e-8", "r=0.75", "r=0.1"])
def test_long_sequences(logit):
    """An exact recurrence at a length where r^-t overflows."""
    layer = average(channels=1, order=1)
    torch.nn.init.constant_(layer.alpha, logit)
    torch.nn.init.constant_(layer.delta, logit)
    x = torch.randn(1, 5000, 1, dtype=torch.float64)
    a, d, b = (float(t.sigmoid()) for t in (layer.alpha, layer.delta, layer.beta))

    def plain(values):
        h, out = 0.0, []
        for value in values:
            h = (1 - a * d) * h + a * b * value
            out.append(float(layer.eta) * h)
        return torch.tensor(out, dtype=torch.float64)

    values = x.flatten().tolist()
    want = torch.stack([plain(values), plain(values[::-1]).flip(0)], 1)
    scale = float(want.abs().max())
    torch.testing.assert_close(layer(x)[0], want, rtol=0, atol=1e-11 * scale)
    single = layer.float()(x.float())[0].double()
    torch.testing.assert_close(single, want, rtol=0, atol=3e-5 * scale)


@torch.no_grad()
def test_response_to_an_impulse():
    layer = average(channels=1, order=1)
    x = torch.zeros(1, 9, 1, dtype=torch.float64)
    x[0, 3] = 1
    a, d, b = (float(t.sigmoid()) for t in (layer.alpha, layer.delta, layer.beta))
    response = [float(layer.eta) * a * b * (1 - a * d) ** t for t in range(6)]
    zeros = torch.zeros(9, dtype=torch.float64)
    ahead, behind = zeros.clone(), zeros.clone()
    ahead[3:] = torch.tensor(response, dtype=torch.float64)
    behind[:4] = torch.tensor(response[3::-1], dtype=torch.float64)
    torch.testing.assert_close(layer(x)[0], torch.stack([ahead, behind], 1), atol=1e-15, rtol=1e-9)


def test_rates_beyond_rounding_are_finite():
    layer = average(channels=1, order=1).float()
    for logit in (60.0, -60.0):
        for parameter in (layer.alpha, layer.delta):
            torch.nn.init.constant_(parameter, logit)
        out = layer(torch.randn(1, 50, 1))
        assert bool(out.isfinite().all())
        assert all(
            bool(g.isfinite().all()) for g in torch.autograd.grad(out.sum(), layer.parameters())
        )


def test_without_nodes():
    assert average()(torch.zeros(1, 0, 2, dtype=torch.float64)).shape == (1, 0, 4)
