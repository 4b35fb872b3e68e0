import math

import pytest
import torch

from flare_mesh.models import Backbone, load
from flare_mesh.nn.graphs import graphs_of
from flare_mesh.nn.mixers.performer import PerformerAttention

D = 4


def attention(features=11, heads=2, backend="auto"):
    torch.manual_seed(0)
    layer = PerformerAttention(heads * D, heads, num_features=features, backend=backend).double()
    layer.reset_parameters()
    torch.nn.init.normal_(layer.project.weight, std=0.5)
    return layer


def numbers(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def written_out(layer, x, weight):
    """The formula for one graph, with all pairs of nodes."""
    heads = []
    for h, w in enumerate(layer.directions):
        rows = [slice(i * len(layer.directions) * D + h * D, None) for i in range(3)]
        q, k, v = (x @ layer.project.weight[r][:D].T + layer.project.bias[r][:D] for r in rows)
        q, k = q * D**-0.25, k * D**-0.25
        features = k @ w.T - k.square().sum(1, keepdim=True) / 2
        scores = (q @ w.T).exp() @ features.exp().T * weight
        heads.append(scores / scores.sum(1, keepdim=True) @ v)
    return layer.out(torch.cat(heads, 1))


def both(function, layer, x):
    """Values, and gradients of x and all parameters."""
    out = function(x)
    return [out, *torch.autograd.grad(out.sin().sum(), [x, *layer.parameters()])]


@pytest.mark.parametrize("backend", ["auto", "sdpa", "reference"])
def test_against_the_matrix_of_pairs(backend):
    layer = attention(backend=backend)
    x, weight = numbers(13, 8).requires_grad_(), torch.rand(13, dtype=torch.float64) + 0.2
    ptr = torch.tensor([0, 4, 4, 12, 13])

    def expected(x, weight):
        parts = [(0, 4), (4, 12), (12, 13)]
        return torch.cat([written_out(layer, x[a:b], weight[a:b]) for a, b in parts])

    plain, weighted = graphs_of(x, ptr=ptr), graphs_of(x, ptr=ptr, weight=weight)
    got = both(lambda x: layer(x, plain), layer, x)
    torch.testing.assert_close(got, both(lambda x: expected(x, torch.ones_like(weight)), layer, x))
    got = both(lambda x: layer(x, weighted), layer, x)
    torch.testing.assert_close(got, both(lambda x: expected(x, weight), layer, x))


def test_directions_are_orthogonal_blocks_of_gaussian_length():
    w = attention(features=802).directions
    assert w.shape == (2, 802, D)
    for block in [*w[:, :800].unflatten(1, (200, D)).unbind(1), w[:, 800:]]:
        gram = block @ block.transpose(1, 2)
        off = gram - torch.diag_embed(gram.diagonal(dim1=1, dim2=2))
        torch.testing.assert_close(off, torch.zeros_like(off), atol=1e-6, rtol=0)
    square = w.square().sum(-1).flatten()
    # chi-squared with D degrees of freedom: mean D, variance 2 D.
    assert abs(float(square.mean()) - D) < 4 * math.sqrt(2 * D / len(square))
    assert abs(float(square.var()) / (2 * D) - 1) < 0.25
    # Uniformly distributed rotations: no direction is preferred.
    assert float(w.flatten(0, 1).mean(0).abs().max()) < 4 / math.sqrt(len(square))
    assert not torch.equal(w[0], w[1])


def test_products_of_features_estimate_the_exponential():
    """Within three standard errors of many draws, and less scattered than independent rows."""
    q, k = numbers(2, D) * 0.7
    x = torch.stack([q, k]) * D**-0.25
    draws = attention(features=20_000 * D, heads=1).directions.unflatten(1, (-1, D))[0]
    torch.manual_seed(1)

    def estimates(w):
        phi = (x @ w.transpose(1, 2) - x.square().sum(-1, keepdim=True) / 2).exp()
        return (phi[:, 0] * phi[:, 1]).mean(-1)

    ours, independent = estimates(draws), estimates(torch.randn_like(draws))
    exact = math.exp(float(q @ k) / math.sqrt(D))
    assert abs(float(ours.mean()) - exact) < 3 * float(ours.std()) / math.sqrt(len(ours))
    relative = (math.exp(float(x.sum(0).square().sum())) - 1) / D  # of independent rows
    assert abs(float(independent.var()) / exact**2 / relative - 1) < 0.3
    assert float(ours.var()) < 0.9 * relative * exact**2


@torch.no_grad()
def test_attention_approaches_that_of_the_softmax():
    layer, x = attention(features=2048, heads=1), numbers(40, D)
    q, k, v = layer.project(x).chunk(3, dim=1)
    exact = layer.out(torch.softmax(q @ k.T / math.sqrt(D), 1) @ v)
    error = float((layer(x, graphs_of(x)) - exact).norm() / exact.norm())
    flat = float((layer.out(v.mean(0)) - exact).norm() / exact.norm())
    assert error < 0.1 < flat


def test_long_keys_do_not_overflow():
    layer = attention().float()
    x = (1000 * torch.randn(50, 8)).requires_grad_()
    out = layer(x, graphs_of(x))
    out.sum().backward()
    assert bool(out.isfinite().all())
    assert bool(x.grad.isfinite().all())


def test_directions_are_stored(tmp_path):
    """vpuri3/FLARE.py's size, beside 8 x 8 x 256 x 8 numbers that are not trained."""
    model = Backbone(0, 1, pos_dim=2, mixer="performer")
    assert sum(p.numel() for p in model.parameters()) == 425_217
    assert sum(b.numel() for b in model.buffers()) == 131_072
    pos = torch.rand(9, 2)
    model.save(tmp_path)
    assert torch.equal(load(tmp_path)(None, pos), model(None, pos))
    before = model.blocks[0].attention.layer.directions.clone()
    model.reset_parameters()
    assert not torch.equal(before, model.blocks[0].attention.layer.directions)


def test_bad_sizes():
    with pytest.raises(ValueError, match="expected 'num_features' >= 1"):
        PerformerAttention(8, 2, num_features=0)
    with pytest.raises(ValueError, match="divisible by 'heads'"):
        PerformerAttention(8, 3)
