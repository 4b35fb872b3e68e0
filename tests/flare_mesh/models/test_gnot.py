import pytest
import torch
from torch.nn.functional import gelu, layer_norm, linear

from flare_mesh.models.gnot import GNOT
from flare_mesh.testing import random_graph


def small(**options):
    torch.manual_seed(0)
    options = {"hidden_channels": 8, "num_layers": 2, "heads": 2, "num_experts": 2} | options
    model = GNOT(2, 3, **options).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return model


GRAPH = random_graph(23, 2, dtype=torch.float64)
WEIGHT = torch.rand(23, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) + 0.1


def by_hand(model, graph, weight, stream):
    """The equations, written out for one graph, with all pairs of nodes and each expert."""
    p = dict(model.named_parameters())

    def dense(name, t):
        return linear(t, p[f"{name}.weight"], p[f"{name}.bias"])

    def norm(name, t):
        return layer_norm(t, t.shape[-1:], p[f"{name}.weight"], p[f"{name}.bias"])

    def act(t):
        return gelu(t, approximate="tanh")

    def mlp(name, t):
        return dense(f"{name}.layers.1", act(dense(f"{name}.layers.0", t)))

    def attend(name, x, y):
        parts = (dense(f"{name}.query", x), dense(f"{name}.key", y), dense(f"{name}.value", y))
        heads = []
        for q, k, v in zip(*(t.split(4, 1) for t in parts), strict=True):
            q, k = torch.softmax(q, 1), torch.softmax(k, 1)
            scores = (q @ k.T) * weight
            heads.append(q + (scores / scores.sum(1, keepdim=True)) @ v)
        return dense(f"{name}.out", torch.cat(heads, 1))

    def experts(name, x, gates):
        total = 0.0
        for e in (0, 1):
            of = slice(16 * e, 16 * (e + 1))
            inner = linear(x, p[f"{name}.inner.weight"][of], p[f"{name}.inner.bias"][of])
            outer = linear(act(inner), p[f"{name}.outer.weight"][:, of], p[f"{name}.bias"][e])
            total = total + gates[:, e : e + 1] * outer
        return total

    features = torch.cat([graph.pos, graph.x], 1)
    query, field = mlp("query", features), mlp("input", features) + p["constant"]
    for b in ("blocks.0", "blocks.1"):
        gates = act(dense(f"{b}.gates.0", graph.pos))
        gates = torch.softmax(dense(f"{b}.gates.4", act(dense(f"{b}.gates.2", gates))), 1)
        x = query
        x = x + attend(f"{b}.cross", norm(f"{b}.query_norm", x), norm(f"{b}.input_norm", field))
        x = x + norm(f"{b}.norm1", experts(f"{b}.experts1", x, gates))
        n = norm(f"{b}.self_norm", x)
        x = x + attend(f"{b}.self_attention", n, n)
        x = x + norm(f"{b}.norm2", experts(f"{b}.experts2", x, gates))
        query, field = (x, field) if stream == "queries" else (query, x)
    return mlp("head", x)


@pytest.mark.parametrize("stream", ["queries", "inputs"])
@pytest.mark.parametrize("weighted", [False, True])
def test_against_the_equations(stream, weighted):
    model = small(stream=stream)
    weight = WEIGHT if weighted else None
    out = model(GRAPH.x, GRAPH.pos, weight=weight)
    expected = by_hand(model, GRAPH, WEIGHT if weighted else torch.ones_like(WEIGHT), stream)
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
        ({"num_experts": 0}, "'num_experts' >= 1"),
        ({"mlp_ratio": 0.0}, "'mlp_ratio'"),
        ({"stream": "both"}, "unknown stream 'both'; choose from"),
        ({"act": "sine"}, "unknown activation 'sine'"),
    ):
        with pytest.raises(ValueError, match=message):
            small(**options)
    assert small(num_layers=1, mlp_ratio=1.0, act="silu")(GRAPH).shape == (23, 3)


def test_only_ratios_of_weights_matter():
    model = small()
    out = model(GRAPH.x, GRAPH.pos, weight=WEIGHT)
    torch.testing.assert_close(model(GRAPH.x, GRAPH.pos, weight=1e-3 * WEIGHT), out)
