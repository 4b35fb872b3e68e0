import pytest
import torch
from torch.nn.functional import gelu, layer_norm, linear
from torch_geometric.data import Batch

from flare_mesh import Surrogate
from flare_mesh.models import UPT
from flare_mesh.nn.positions import sincos
from flare_mesh.ops.layout import equal_layout
from flare_mesh.ops.supernodes import find_supernodes
from flare_mesh.testing import random_graph


def small(**options):
    torch.manual_seed(0)
    options = {
        "hidden_channels": 8,
        "num_layers": 1,
        "encoder_layers": 1,
        "heads": 2,
        "num_supernodes": 4,
        "num_latents": 3,
        "max_neighbors": 3,
        **options,
    }
    model = UPT(2, 3, **options).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return model


GRAPH = random_graph(10, 2, dtype=torch.float64)
WEIGHT = torch.rand(10, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) + 0.1


def by_hand(model, graph, weight, query):
    """The equations, written out for one graph; the sample is tested in test_supernodes."""
    p = dict(model.named_parameters())
    size = (graph.pos.amax(0) - graph.pos.amin(0)).max()
    places = (graph.pos - graph.pos.amin(0)) / size * 200
    found = find_supernodes(
        places, torch.cat([graph.pos, graph.x], 1), equal_layout(1, 10, places.device),
        weight.log(), num_supernodes=4, max_neighbors=3,
    )  # fmt: skip

    def dense(name, t):
        return linear(t, p[f"{name}.weight"], p[f"{name}.bias"])

    def norm(name, t):
        return layer_norm(t, t.shape[-1:], p[f"{name}.weight"], p[f"{name}.bias"])

    def attend(query, key, value, bias):
        heads = []
        for q, k, v in zip(query.split(4, 1), key.split(4, 1), value.split(4, 1), strict=True):
            heads.append(torch.softmax(q @ k.T / 2 + bias, 1) @ v)
        return torch.cat(heads, 1)

    def mlp(name, t):
        return dense(f"{name}.layers.1", gelu(dense(f"{name}.layers.0", t), approximate="tanh"))

    def block(name, t, tokens, key_norm, bias):
        q = dense(f"{name}.query", norm(f"{name}.norm1", t))
        k, v = dense(f"{name}.key_value", norm(f"{name}.{key_norm}", tokens)).chunk(2, 1)
        t = t + dense(f"{name}.out", attend(q, k, v, bias))
        return t + mlp(f"{name}.mlp", norm(f"{name}.norm2", t))

    h = dense("features", graph.x) + sincos(places, 8)
    tokens = []
    for s in range(4):
        node = int(found.node[0, s])
        near = found.neighbor[0, s].tolist()
        share = weight[near] / weight[near].sum()
        pairs = torch.stack([torch.cat([h[n], h[node]]) for n in near])
        messages = dense("pooling.out", gelu(dense("pooling.message", pairs)))
        tokens.append((share[:, None] * messages).sum(0))
    bias = found.log_measure[0]
    tokens = torch.stack(tokens)
    tokens = block("encoder.0", tokens, tokens, "norm1", bias)
    z = block("pool", p["latents"], tokens, "key_norm", bias)
    q, k, v = dense("blocks.0.query_key_value", norm("blocks.0.norm1", z)).chunk(3, 1)
    z = z + dense("blocks.0.out", attend(q, k, v, 0.0))
    z = z + mlp("blocks.0.mlp", norm("blocks.0.norm2", z))
    y = sincos(places, 8)
    if query == "features":
        y = y + dense("query_features", graph.x)
    y = dense("query.2", gelu(dense("query.0", y)))
    return dense("head", norm("norm", block("read", y, z, "key_norm", 0.0)))


@pytest.mark.parametrize(("query", "weighted"), [("pos", True), ("features", False)])
def test_against_the_equations(query, weighted):
    model = small(query=query)
    weight = WEIGHT if weighted else None
    out = model(GRAPH.x, GRAPH.pos, weight=weight)
    expected = by_hand(model, GRAPH, WEIGHT if weighted else torch.ones_like(WEIGHT), query)
    torch.testing.assert_close(out, expected)
    parameters = list(model.parameters())
    for got, right in zip(
        torch.autograd.grad(out.square().sum(), parameters),
        torch.autograd.grad(expected.square().sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(got, right, rtol=1e-8, atol=1e-9)


def test_without_neighbours_a_supernode_has_its_own_message():
    model = small(radius=1e-9, num_supernodes=10)
    nodes = torch.randn(10, 8, dtype=torch.float64)
    found = find_supernodes(
        GRAPH.pos, GRAPH.pos, equal_layout(1, 10, GRAPH.pos.device),
        num_supernodes=10, max_neighbors=3, radius=1e-9,
    )  # fmt: skip
    got = model.pooling(nodes, found)[0]
    own = nodes[found.node[0]]
    hidden = gelu(model.pooling.message(torch.cat([own, own], dim=1)))
    torch.testing.assert_close(got, model.pooling.out(hidden))


def test_queries_are_independent():
    model = small()
    batch = Batch.from_data_list([GRAPH, random_graph(7, 2, seed=1, dtype=torch.float64)])
    want = model(batch)
    tokens = model.encode(batch)
    torch.testing.assert_close(model.decode(tokens, batch), want)
    torch.testing.assert_close(
        model.decode(tokens, batch.x[4:12], batch.pos[4:12], batch.batch[4:12]), want[4:12]
    )
    with torch.no_grad():
        for size in (1, 4, 100):
            torch.testing.assert_close(model(batch, chunk_size=size), want)
            torch.testing.assert_close(model.decode(tokens, batch, chunk_size=size), want)
        assert model(batch.x[:0], batch.pos[:0], chunk_size=4).shape == (0, 3)


def test_prediction_in_chunks():
    model = small().float()
    surrogate = Surrogate(model, {"u": 3}, inputs={"f": 2}).eval()
    graph = random_graph(10, 2)
    with torch.no_grad():
        torch.testing.assert_close(surrogate(graph, chunk_size=3), surrogate(graph))
    assert not model.can_spread
    with pytest.raises(ValueError, match="UPT: cannot spread its nodes over processes"):
        surrogate(graph, group=object())


def test_a_fixed_box_keeps_the_size_of_a_part():
    own, fixed = small(), small(box=[-5, 5])
    larger = GRAPH.clone()
    larger.pos = 2 * GRAPH.pos + 1
    torch.testing.assert_close(own(larger), own(GRAPH))
    assert float((fixed(larger) - fixed(GRAPH)).detach().abs().max()) > 1e-3


def test_refusals():
    for options, message in (
        ({"heads": 3}, "8 channels, 3 heads"),
        ({"num_supernodes": 0}, "'num_supernodes' >= 1"),
        ({"max_neighbors": 0}, "'max_neighbors' >= 1"),
        ({"encoder_layers": -1}, "'encoder_layers' >= 0"),
        ({"radius": 0.0}, "'radius' to be positive"),
        ({"length": -1.0}, "'length' to be positive"),
        ({"box": [1.0, 1.0]}, r"'box' to be \[low, high\]"),
        ({"query": "x"}, "unknown query 'x'; choose from"),
        ({"hidden_channels": 4}, "'hidden_channels' >= 6"),
    ):
        with pytest.raises(ValueError, match=message):
            small(**options)
    model = small()
    with pytest.raises(ValueError, match="UPT: 'chunk_size' evaluates without gradients"):
        model(GRAPH, chunk_size=4)
    with pytest.raises(ValueError, match=r"UPT.decode: expected points of the 1 encoded graphs"):
        model.decode(model.encode(GRAPH), GRAPH.x, GRAPH.pos, ptr=torch.tensor([0, 4, 10]))
    with pytest.raises(ValueError, match=r"UPT.encode: expected at least one node"):
        model.encode(GRAPH.x[:0], GRAPH.pos[:0])
