import pytest
import torch

from flare_mesh.models import Backbone
from flare_mesh.nn.graphs import graphs_of
from flare_mesh.nn.mixers.ema import EMAAttention


def attention(heads=2, order=3, chunk_size=None):
    torch.manual_seed(0)
    layer = EMAAttention(4, heads, order=order, chunk_size=chunk_size).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    return layer


def silu(x):
    return x / (1 + (-x).exp())


def written_out(layer, x, weight):
    """The formula for one graph."""
    average = layer.average
    a, d, b = (t.sigmoid() for t in (average.alpha, average.delta, average.beta))
    directions = []
    for rows in (x, x.flip(0)):
        h, out = 0, []
        for row in rows:
            h = (1 - a * d) * h + a * b * row[:, None]
            out.append((average.eta * h).sum(1))
        directions.append(torch.stack(out))
    smooth = layer.merge(torch.cat([directions[0], directions[1].flip(0)], 1))
    q, k, g, f = layer.project(smooth).split(4, dim=1)
    v, width = silu(layer.value(x)), 4 // layer.heads
    heads = []
    for part in torch.arange(4).view(-1, width):
        scores = (silu(q)[:, part] @ silu(k)[:, part].T / width**0.5).exp() * weight
        if layer.chunk_size is not None:
            chunk = torch.arange(len(x)) // layer.chunk_size
            scores = scores * (chunk[:, None] == chunk)
        heads.append(scores / scores.sum(1, keepdim=True) @ v[:, part])
    hidden = silu(layer.hidden(smooth) + layer.read(g.sigmoid() * torch.cat(heads, 1)))
    return f.sigmoid() * hidden + (1 - f.sigmoid()) * x


@pytest.mark.parametrize(("heads", "chunk_size"), [(1, None), (2, None), (2, 3), (1, 7), (1, 9)])
def test_against_the_formula(heads, chunk_size):
    layer = attention(heads, chunk_size=chunk_size)
    x = torch.randn(14, 4, dtype=torch.float64, requires_grad=True)
    weight, ptr = torch.rand(14, dtype=torch.float64) + 0.1, torch.tensor([0, 7, 7, 8, 14])
    for w in (torch.ones_like(weight), weight):
        got = layer(x, graphs_of(x, ptr=ptr, weight=w if w is weight else None))
        parts = [slice(0, 7), slice(7, 8), slice(8, 14)]
        want = torch.cat([written_out(layer, x[s], w[s]) for s in parts])
        torch.testing.assert_close(got, want)
        of = [x, *layer.parameters()]
        torch.testing.assert_close(*[torch.autograd.grad(y.sin().sum(), of) for y in (got, want)])


def test_the_size_of_the_comparison():
    model = Backbone(0, 1, pos_dim=2, mixer="ema")
    assert sum(p.numel() for p in model.parameters()) == 598_785


def test_bad_sizes():
    with pytest.raises(ValueError, match="expected 'order' >= 1"):
        EMAAttention(4, 2, order=0)
    with pytest.raises(ValueError, match="expected 'chunk_size' >= 1"):
        EMAAttention(4, 2, chunk_size=0)
