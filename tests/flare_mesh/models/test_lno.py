import pytest
import torch
from torch.nn.functional import gelu, layer_norm, linear

from flare_mesh.models.lno import LNO
from flare_mesh.testing import random_graph


def small(**options):
    torch.manual_seed(0)
    options = {"hidden_channels": 8, "num_layers": 2, "heads": 2, "num_latents": 5} | options
    model = LNO(2, 3, mlp_layers=1, **options).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return model


GRAPH = random_graph(23, 2, dtype=torch.float64)
WEIGHT = torch.rand(23, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) + 0.1


def by_hand(model, graph, weight, trunk):
    """The equations, written out for one graph."""
    p = dict(model.named_parameters())

    def dense(name, t):
        return linear(t, p[f"{name}.weight"], p[f"{name}.bias"])

    def norm(name, t):
        return layer_norm(t, t.shape[-1:], p[f"{name}.weight"], p[f"{name}.bias"])

    def act(t):
        return gelu(t, approximate="tanh")

    def mlp(name, t):
        t = act(dense(f"{name}.layers.0", t))
        t = t + act(dense(f"{name}.layers.1", t))
        return dense(f"{name}.layers.2", t)

    features = torch.cat([graph.pos, graph.x], 1)
    score = mlp("score", mlp("trunk", features if trunk == "features" else graph.pos))
    z = torch.softmax(score + weight.log()[:, None], 0).T @ mlp("branch", features)
    for b in ("blocks.0", "blocks.1"):
        qkv = dense(f"{b}.query_key_value", norm(f"{b}.norm1", z)).chunk(3, 1)
        heads = []
        for q, k, v in zip(*(t.split(4, 1) for t in qkv), strict=True):
            heads.append(torch.softmax(q @ k.T / 2, 1) @ v)
        z = z + dense(f"{b}.out", torch.cat(heads, 1))
        hidden = act(dense(f"{b}.mlp.layers.0", norm(f"{b}.norm2", z)))
        z = z + dense(f"{b}.mlp.layers.1", hidden)
    return mlp("head", torch.softmax(score, 1) @ z)


@pytest.mark.parametrize("trunk", ["pos", "features"])
@pytest.mark.parametrize("weighted", [False, True])
def test_against_the_equations(trunk, weighted):
    model = small(trunk=trunk)
    weight = WEIGHT if weighted else None
    out = model(GRAPH.x, GRAPH.pos, weight=weight)
    expected = by_hand(model, GRAPH, WEIGHT if weighted else torch.ones_like(WEIGHT), trunk)
    torch.testing.assert_close(out, expected)
    parameters = list(model.parameters())
    for got, right in zip(
        torch.autograd.grad(out.square().sum(), parameters),
        torch.autograd.grad(expected.square().sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(got, right, rtol=1e-8, atol=1e-9)


def test_large_scores_and_empty_graphs_give_no_nan():
    model = small()
    with torch.no_grad():
        for value in (-1e4, 1e4):
            model.score.layers[-1].bias.fill_(value)
            assert bool(model(GRAPH).isfinite().all())
    out = model(GRAPH.x, GRAPH.pos, ptr=torch.tensor([0, 0, 4, 4, 23, 23]))
    out.square().sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters())


def test_options():
    for options, message in (
        ({"heads": 3}, "8 channels, 3 heads"),
        ({"num_latents": 0}, "'num_latents' >= 1"),
        ({"mlp_ratio": 0.0}, "'mlp_ratio'"),
        ({"trunk": "x"}, "unknown trunk 'x'; choose from"),
        ({"act": "sine"}, "unknown activation 'sine'"),
    ):
        with pytest.raises(ValueError, match=message):
            small(**options)
    with pytest.raises(ValueError, match="'mlp_layers' >= 0"):
        LNO(2, 3, mlp_layers=-1)
    assert small(num_layers=0, mlp_ratio=1.0, act="silu")(GRAPH).shape == (23, 3)
