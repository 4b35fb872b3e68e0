"""AB-UPT with a branch of the volume and one of the surface."""

import pytest
import torch
from torch.nn.functional import gelu, layer_norm, linear
from torch_geometric.data import Batch

from flare_mesh.models import ABUPT
from flare_mesh.nn.positions import rotation, sincos
from flare_mesh.ops.layout import equal_layout
from flare_mesh.ops.supernodes import find_supernodes
from flare_mesh.testing import (
    assert_graphs_independent,
    assert_permutation_equivariant,
    random_graph,
)

SIZES = {"hidden_channels": 12, "num_layers": 3, "heads": 2, "num_anchors": 4,
         "max_neighbors": 3, "surface": 1, "branch_layers": 1}  # fmt: skip


def small(in_channels=2, **options):
    torch.manual_seed(0)
    model = ABUPT(in_channels, 3, **{**SIZES, **options}).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return model


def graph(n, seed=0, surface=None):
    """A graph whose nodes are on the surface where ``surface`` is true; by default every third."""
    data = random_graph(n, 2, seed=seed, dtype=torch.float64)
    marks = torch.arange(n) % 3 == 0 if surface is None else torch.full((n,), surface)
    data.x[:, 1] = marks.double() - 0.3
    return data


GRAPH = graph(13)


def by_hand(model, data):
    """The equations of both branches, written out for one graph."""
    p = dict(model.named_parameters())
    size = (data.pos.amax(0) - data.pos.amin(0)).max()
    places = (data.pos - data.pos.amin(0)) / size * 1000

    def dense(name, t):
        return linear(t, p[f"{name}.weight"], p[f"{name}.bias"])

    def norm(name, t):
        return layer_norm(t, t.shape[-1:], p[f"{name}.weight"], p[f"{name}.bias"])

    def rotated(t, at):
        return rotation(at, 6)(t.unflatten(1, (2, 6))).unbind(1)

    def block(name, t, t_at, tokens, tokens_at, bias, key_norm="norm1"):
        q = rotated(dense(f"{name}.query", norm(f"{name}.norm1", t)), t_at)
        k, v = dense(f"{name}.key_value", norm(f"{name}.{key_norm}", tokens)).chunk(2, 1)
        heads = [
            torch.softmax(a @ b.T / 6**0.5 + bias, 1) @ c
            for a, b, c in zip(q, rotated(k, tokens_at), v.split(6, 1), strict=True)
        ]
        t = t + dense(f"{name}.out", torch.cat(heads, 1))
        hidden = gelu(dense(f"{name}.mlp.layers.0", norm(f"{name}.norm2", t)), approximate="tanh")
        return t + dense(f"{name}.mlp.layers.1", hidden)

    parts = [(data.x[:, 1] <= 0).nonzero()[:, 0], (data.x[:, 1] > 0).nonzero()[:, 0]]
    hidden, at, anchors, bias = [], [], [], []
    for part, embed in zip(parts, ("embed", "surface_embed"), strict=True):
        inputs = torch.cat([data.pos, data.x[:, :1]], 1)[part]
        found = find_supernodes(places[part], inputs, equal_layout(1, len(part), places.device),
                                num_supernodes=4, max_neighbors=3)  # fmt: skip
        f = dense("features", data.x[part, :1])
        h = dense(f"{embed}.2", gelu(dense(f"{embed}.0", sincos(places[part], 12) + f)))
        hidden.append(h)
        at.append(places[part])
        anchors.append(found.node[0])
        bias.append(found.log_measure[0])
    # The geometry is that of the surface, the last part.
    geometry = []
    for s, near in enumerate(found.neighbor[0].tolist()):
        messages = []
        for n in near:
            apart = at[1][anchors[1][s]] - at[1][n]
            waves = sincos(torch.cat([apart, apart.norm()[None]]), 12)
            messages.append(dense("pooling.out", gelu(dense("pooling.message", waves + f[n]))))
        geometry.append(torch.stack(messages).mean(0))
    g_at = at[1][anchors[1]]
    g = dense("pooling.join", torch.cat([torch.stack(geometry), sincos(g_at, 12)], 1))
    g = block("geometry.0", g, g_at, g, g_at, bias[1])
    hidden = [block("perceiver", hidden[i], at[i], g, g_at, bias[1], "key_norm") for i in range(2)]
    for number, other in ((0, False), (1, True), (2, False)):
        seen = [1, 0] if other else [0, 1]
        hidden = [
            block(f"blocks.{number}", hidden[i], at[i], hidden[j][anchors[j]], at[j][anchors[j]],
                  bias[j])
            for i, j in enumerate(seen)
        ]  # fmt: skip
    out = data.pos.new_zeros(len(data.pos), 3)
    for i, (name, head) in enumerate((("volume", "head"), ("surface", "surface_head"))):
        h = block(f"{name}_blocks.0", hidden[i], at[i], hidden[i][anchors[i]], at[i][anchors[i]],
                  bias[i])  # fmt: skip
        out = out.index_add(0, parts[i], dense(head, h))
    return out


def test_against_the_equations():
    model = small()
    out, expected = model(GRAPH), by_hand(model, GRAPH)
    torch.testing.assert_close(out, expected)
    parameters = list(model.parameters())
    for got, right in zip(
        torch.autograd.grad(out.square().sum(), parameters),
        torch.autograd.grad(expected.square().sum(), parameters),
        strict=True,
    ):
        assert float(got.abs().max()) > 0
        torch.testing.assert_close(got, right, rtol=1e-8, atol=1e-9)


GRAPHS = [GRAPH, graph(9, 1, surface=False), graph(1, 2), graph(7, 3, surface=True), graph(8, 4)]


def test_graphs_are_independent():
    """Among them graphs of one branch only."""
    model = small()
    assert_graphs_independent(model, GRAPHS, atol=1e-9)
    assert_permutation_equivariant(model, GRAPH, atol=1e-9)
    batch = Batch.from_data_list(GRAPHS)
    want = model(batch)
    for number in range(len(GRAPHS)):  # nothing of the others leaks through masked anchors
        own = slice(int(batch.ptr[number]), int(batch.ptr[number + 1]))
        x = torch.full_like(batch.x, torch.nan)
        x[:, 1], x[own] = batch.x[:, 1], batch.x[own]
        torch.testing.assert_close(model(x, batch.pos, batch.batch)[own], want[own])


@pytest.mark.parametrize("surface", [False, True])
def test_a_batch_of_one_branch(surface):
    model = small()
    graphs = [graph(6, 1, surface), graph(4, 2, surface)]
    assert_graphs_independent(model, graphs, atol=1e-9)
    with torch.no_grad():
        head = model.surface_head if surface else model.head
        head.weight.zero_()
        torch.testing.assert_close(model(graphs[0]), head.bias.expand(6, 3))


def test_queries_see_anchors_only():
    model, batch = small(), Batch.from_data_list(GRAPHS)
    want, tokens = model(batch), model.encode(batch)
    points = torch.arange(3, 25)
    torch.testing.assert_close(
        model.decode(tokens, batch.x[points], batch.pos[points], batch.batch[points]), want[points]
    )
    with torch.no_grad():
        for size in (1, 5, 100):
            torch.testing.assert_close(model(batch, chunk_size=size), want)


def test_a_node_of_weight_two_is_two_nodes():
    model, weight = small(), torch.ones(13, dtype=torch.float64)
    weight[:4] = 2
    twice = model(torch.cat([GRAPH.x, GRAPH.x[:4]]), torch.cat([GRAPH.pos, GRAPH.pos[:4]]))
    torch.testing.assert_close(model(GRAPH, weight=weight), twice[:13], rtol=1e-6, atol=1e-8)
    assert not torch.allclose(model(GRAPH), twice[:13])


def test_without_other_features():
    """The sign of the channel alone matters."""
    model, data = small(1, surface=0), graph(13)
    data.x = data.x[:, 1:]
    assert model.features is None
    scaled = data.x * torch.rand(13, 1, dtype=torch.float64).add(0.5)
    torch.testing.assert_close(model(scaled, data.pos), model(data))
    assert not torch.allclose(model(-data.x, data.pos), model(data))


def test_number_of_parameters():
    """The authors' size for DrivAerML, with four fields in each branch."""
    with torch.device("meta"):
        model = ABUPT(1, 4, surface=0, num_layers=5, branch_layers=6)
    assert sum(p.numel() for p in model.parameters()) == 8_750_600


def test_refusals():
    with pytest.raises(ValueError, match=r"'surface' to be a channel of x, 0 to 1 \(got 2, of 2"):
        small(surface=2)
    with pytest.raises(ValueError, match="'surface', .* with branch_layers=1 .* 'num_layers'"):
        small(surface=None)
