import pytest
import torch
from torch.nn.functional import gelu, layer_norm, linear
from torch_geometric.data import Batch

from flare_mesh.models import ABUPT
from flare_mesh.nn.positions import rotation, sincos
from flare_mesh.nn.token_block import TokenBlock
from flare_mesh.ops.layout import equal_layout
from flare_mesh.ops.supernodes import find_supernodes
from flare_mesh.testing import random_graph


def small(**options):
    torch.manual_seed(0)
    options = {
        "hidden_channels": 12,
        "num_layers": 2,
        "heads": 2,
        "num_anchors": 4,
        "max_neighbors": 3,
        **options,
    }
    model = ABUPT(2, 3, **options).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return model


GRAPH = random_graph(10, 2, dtype=torch.float64)
WEIGHT = torch.rand(10, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) + 0.1


def sample(graph, weight):
    size = (graph.pos.amax(0) - graph.pos.amin(0)).max()
    places = (graph.pos - graph.pos.amin(0)) / size * 1000
    features = torch.cat([graph.pos, graph.x], 1)
    layout = equal_layout(1, len(places), places.device)
    found = find_supernodes(
        places, features, layout, weight.log(), num_supernodes=4, max_neighbors=3
    )
    return places, found


def by_hand(model, graph, weight):
    """The equations, written out for one graph; the sample is tested in test_supernodes."""
    p = dict(model.named_parameters())
    places, found = sample(graph, weight)
    anchors, bias = found.node[0], found.log_measure[0]

    def dense(name, t):
        return linear(t, p[f"{name}.weight"], p[f"{name}.bias"])

    def norm(name, t):
        return layer_norm(t, t.shape[-1:], p[f"{name}.weight"], p[f"{name}.bias"])

    def rotated(t, at):
        return rotation(at, 6)(t.unflatten(1, (2, 6))).unbind(1)

    def block(name, t, t_at, tokens, tokens_at, key_norm="norm1"):
        q = rotated(dense(f"{name}.query", norm(f"{name}.norm1", t)), t_at)
        k, v = dense(f"{name}.key_value", norm(f"{name}.{key_norm}", tokens)).chunk(2, 1)
        heads = [
            torch.softmax(a @ b.T / 6**0.5 + bias, 1) @ c
            for a, b, c in zip(q, rotated(k, tokens_at), v.split(6, 1), strict=True)
        ]
        t = t + dense(f"{name}.out", torch.cat(heads, 1))
        hidden = gelu(dense(f"{name}.mlp.layers.0", norm(f"{name}.norm2", t)), approximate="tanh")
        return t + dense(f"{name}.mlp.layers.1", hidden)

    f = dense("features", graph.x)
    geometry = []
    for s in range(4):
        near = found.neighbor[0, s].tolist()
        messages = []
        for n in near:
            apart = places[anchors[s]] - places[n]
            waves = sincos(torch.cat([apart, apart.norm()[None]]), 12)
            messages.append(dense("pooling.out", gelu(dense("pooling.message", waves + f[n]))))
        share = weight[near] / weight[near].sum()
        geometry.append((share[:, None] * torch.stack(messages)).sum(0))
    at = places[anchors]
    g = dense("pooling.join", torch.cat([torch.stack(geometry), sincos(at, 12)], 1))
    g = block("geometry.0", g, at, g, at)
    h = dense("embed.2", gelu(dense("embed.0", sincos(places, 12) + f)))
    h = block("perceiver", h, places, g, at, "key_norm")
    for name in ("blocks.0", "blocks.1"):
        h = block(name, h, places, h[anchors], at)
    return dense("head", h)


@pytest.mark.parametrize("weighted", [False, True])
def test_against_the_equations(weighted):
    model = small()
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


def test_queries_see_anchors_only():
    model = small()
    batch = Batch.from_data_list([GRAPH, random_graph(7, 2, seed=1, dtype=torch.float64)])
    want, tokens = model(batch), model.encode(batch)
    torch.testing.assert_close(
        model.decode(tokens, batch.x[4:12], batch.pos[4:12], batch.batch[4:12]), want[4:12]
    )
    with torch.no_grad():
        for size in (1, 4, 100):
            torch.testing.assert_close(model(batch, chunk_size=size), want)
    # Another node, of no neighbourhood, is seen by none of the others.
    _, found = sample(GRAPH, torch.ones(10, dtype=torch.float64))
    seen = {*found.neighbor.flatten().tolist()}
    unseen = next(n for n in range(10) if n not in seen)
    x = GRAPH.x.clone()
    x[unseen] += 1
    change = (model(x, GRAPH.pos) - model(GRAPH)).detach().abs().amax(1)
    assert [n for n in range(10) if float(change[n])] == [unseen]


def test_a_query_at_an_anchor_has_the_prediction_of_the_anchor():
    model = small()
    places, found = sample(GRAPH, torch.ones(10, dtype=torch.float64))
    at, bias = places[found.node], found.log_measure
    turn = rotation(at, 6)
    tokens = model.encode(GRAPH)
    h = model.embed(sincos(at, 12) + model.features(GRAPH.x[found.node]))
    h = model.perceiver(h, tokens.keys[0], turn)
    for block in model.blocks:
        h, _ = block.mix(h, bias, turn)
    anchors = found.node[0]
    got = model.decode(tokens, GRAPH.x[anchors], GRAPH.pos[anchors])
    torch.testing.assert_close(got, model.head(h)[0])


def test_parameters_of_a_block():
    for cross, linear_terms in ((False, 13), (True, 15)):
        block = TokenBlock(8, 2, cross=cross)
        assert sum(p.numel() for p in block.parameters()) == 12 * 8**2 + linear_terms * 8


def test_refusals():
    for options, message in (
        ({"heads": 5}, "12 channels, 5 heads"),
        ({"heads": 4}, "'hidden_channels' >= 24 for 4 heads in 3 dimensions"),
        ({"num_anchors": 0}, "'num_anchors' >= 1"),
        ({"max_neighbors": 0}, "'max_neighbors' >= 1"),
        ({"geometry_layers": -1}, "'geometry_layers' >= 0"),
        ({"radius": -1.0}, "'radius' to be positive"),
        ({"length": 0.0}, "'length' to be positive"),
        ({"box": [2.0, 1.0]}, r"'box' to be \[low, high\]"),
    ):
        with pytest.raises(ValueError, match=message):
            small(**options)
