import pytest
import torch
from torch.nn.functional import gelu, layer_norm, linear

from flare_mesh.models.perceiver_io import PerceiverIO
from flare_mesh.testing import random_graph


def small(**options):
    torch.manual_seed(0)
    options = {"hidden_channels": 8, "num_layers": 2, "heads": 2, "num_latents": 5} | options
    model = PerceiverIO(2, 3, **options).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return model


GRAPH = random_graph(23, 2, dtype=torch.float64)
WEIGHT = torch.rand(23, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) + 0.1


def by_hand(model, graph, weight):
    """The equations, written out for one graph."""
    p = dict(model.named_parameters())

    def dense(name, t):
        return linear(t, p[f"{name}.weight"], p.get(f"{name}.bias"))

    def norm(name, t):
        return layer_norm(t, t.shape[-1:], p[f"{name}.weight"], p[f"{name}.bias"])

    def act(t):
        return gelu(t, approximate="tanh")

    def attend(query, key, value, log_weight=0.0):
        heads = []
        for q, k, v in zip(query.split(4, 1), key.split(4, 1), value.split(4, 1), strict=True):
            heads.append(torch.softmax(q @ k.T / 2 + log_weight, 1) @ v)
        return torch.cat(heads, 1)

    h = act(dense("embedding.layers.0", torch.cat([graph.pos, graph.x], 1)))
    for i in (1, 2):
        h = h + act(dense(f"embedding.layers.{i}", h))
    h = h + dense("embedding.layers.3", h)

    n = norm("gather_norm", h)
    z = attend(p["gather_query"], dense("gather_key", n), dense("gather_value", n), weight.log())
    z = dense("gather_out", z)
    for b in ("blocks.0", "blocks.1"):
        q, k, v = dense(f"{b}.query_key_value", norm(f"{b}.norm1", z)).chunk(3, 1)
        z = z + dense(f"{b}.out", attend(q, k, v))
        hidden = act(dense(f"{b}.mlp.layers.0", norm(f"{b}.norm2", z)))
        z = z + dense(f"{b}.mlp.layers.1", hidden)

    n, m = norm("read_norm", h), norm("latent_norm", z)
    y = attend(dense("read_query", n), dense("read_key", m), dense("read_value", m))
    y = norm("norm", dense("read_out", y))
    y = y + act(dense("head.layers.0", y))
    for i in (1, 2):
        y = y + act(dense(f"head.layers.{i}", y))
    return dense("head.layers.3", y)


@pytest.mark.parametrize("backend", ["auto", "sdpa", "reference"])
@pytest.mark.parametrize("weighted", [False, True])
def test_against_the_equations(weighted, backend):
    model = small(backend=backend)
    weight = WEIGHT if weighted else None
    out = model(GRAPH.x, GRAPH.pos, weight=weight)
    expected = by_hand(model, GRAPH, WEIGHT if weighted else torch.ones_like(WEIGHT))
    torch.testing.assert_close(out, expected)
    parameters = list(model.parameters())
    for got, right in zip(
        torch.autograd.grad(out.square().sum(), parameters),
        torch.autograd.grad(expected.square().sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(got, right, rtol=1e-8, atol=1e-9)


def test_options():
    for options, message in (
        ({"heads": 3}, "8 channels, 3 heads"),
        ({"num_latents": 0}, "'num_latents' >= 1"),
        ({"mlp_ratio": 0.0}, "'mlp_ratio'"),
        ({"num_layers": -1}, "'num_layers' >= 0"),
        ({"head_layers": -2}, "'num_layers' >= -1"),
        ({"backend": "fast"}, "unknown backend 'fast'; choose from"),
        ({"act": "sine"}, "unknown activation 'sine'"),
    ):
        with pytest.raises(ValueError, match=message):
            small(**options)
    model = small(num_layers=0, head_layers=0, mlp_ratio=1.0, act="silu")
    assert model(GRAPH).shape == (23, 3)


@torch.no_grad()
def test_initialisation():
    model = PerceiverIO(1, 1, hidden_channels=64, num_layers=1)
    assert float(model.gather_query.std()) == pytest.approx(1.0, abs=0.05)
    assert float(model.blocks[0].query_key_value.weight.std()) == pytest.approx(0.02, abs=0.002)
    assert float(model.read_key.weight.std()) == pytest.approx(0.02, abs=0.002)
    assert bool((model.read_key.bias == 0).all())
