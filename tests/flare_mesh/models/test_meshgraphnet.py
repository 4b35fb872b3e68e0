import pytest
import torch
from torch._dynamo.testing import CompileCounter
from torch.nn.functional import layer_norm, relu
from torch_geometric.data import Data

from flare_mesh.models import MeshGraphNet, build
from flare_mesh.testing import random_graph

SMALL = {"hidden_channels": 8, "num_layers": 2, "edge_length": 0.7}


def scattered(**options):
    """A model in float64 whose parameters all differ."""
    torch.manual_seed(0)
    model = MeshGraphNet(2, 3, **{**SMALL, **options}).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.rand_like(parameter)
    return model


def graph(n=9, seed=1):
    """Random directed edges: one from a node to itself, one of length 0, one node without any."""
    data = random_graph(n, 2, seed=seed, dtype=torch.float64)
    edges = torch.randint(n - 1, (2, 20), generator=torch.Generator().manual_seed(seed))
    edges[:, 0], edges[:, 1] = 3, torch.tensor([4, 5])
    data.pos[4] = data.pos[5]
    data.edge_index = edges
    return data


def loops(model, x, pos, edge_index, weight):
    """The equations, edge by edge."""
    p = dict(model.named_parameters())

    def mlp(inputs, name, normed=True):
        for i in (0, 2, 4):
            inputs = inputs @ p[f"{name}.{i}.weight"].T + p[f"{name}.{i}.bias"]
            inputs = relu(inputs) if i < 4 else inputs
        norm = [p[f"{name}.5.{key}"] for key in ("weight", "bias")] if normed else []
        return layer_norm(inputs, inputs.shape[-1:], *norm) if normed else inputs

    if model.config["positions"]:
        x = torch.cat([pos, x], dim=1)
    h = [mlp(row, "embed_nodes") for row in x]
    pairs, edges = edge_index.T.tolist(), []
    for j, i in pairs:
        relative = (pos[i] - pos[j]) / model.config["edge_length"]
        edges.append(mlp(torch.cat([relative, relative.norm()[None]]), "embed_edges"))
    for step in range(model.config["num_layers"]):
        sums = [torch.zeros_like(row) for row in h]
        updated = []
        for (j, i), edge in zip(pairs, edges, strict=True):
            message = mlp(torch.cat([edge, h[i], h[j]]), f"blocks.{step}.edge_mlp")
            updated.append(edge + message)
            neighbours = [weight[a] for a, b in pairs if b == i]
            share = weight[j] / (sum(neighbours) / len(neighbours))
            chosen = message if model.config["aggregate"] == "messages" else updated[-1]
            sums[i] = sums[i] + share * chosen
        edges = updated
        h = [
            row + mlp(torch.cat([row, total]), f"blocks.{step}.node_mlp")
            for row, total in zip(h, sums, strict=True)
        ]
    return mlp(torch.stack(h), "head", normed=False)


@pytest.mark.parametrize(
    ("options", "weighted"),
    [({}, False), ({"aggregate": "edges", "positions": True}, True)],
    ids=["messages", "edges"],
)
def test_equations(options, weighted):
    model, data = scattered(**options), graph()
    weight = torch.rand(9, dtype=torch.float64) + 0.5 if weighted else None
    given = torch.ones(9, dtype=torch.float64) if weight is None else weight
    x, pos, edges = data.x.requires_grad_(), data.pos.requires_grad_(), data.edge_index
    ours = model(x, pos, weight=weight, edge_index=edges)
    theirs = loops(model, x, pos, edges, given)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    assert float(ours.detach().std(dim=0).min()) > 1e-3
    inputs, factor = [x, pos, *model.parameters()], torch.randn_like(ours)
    for a, b in zip(
        torch.autograd.grad((ours * factor).sum(), inputs),
        torch.autograd.grad((theirs * factor).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-9)


def test_a_translation_changes_nothing_unless_positions_are_features():
    data = graph()
    moved = Data(x=data.x, pos=data.pos + 5.0, edge_index=data.edge_index)
    plain, absolute = scattered(), scattered(positions=True)
    torch.testing.assert_close(plain(moved), plain(data), rtol=1e-9, atol=1e-9)
    assert float((absolute(moved) - absolute(data)).detach().abs().max()) > 1e-3


def test_a_node_depends_on_nodes_within_one_edge_a_block():
    model = scattered()
    path = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]])
    x = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    out = model(x, torch.randn(5, 3, dtype=torch.float64), edge_index=path)
    (grad,) = torch.autograd.grad(out[4].sum(), x)
    assert [bool(row.any()) for row in grad] == [False, False, True, True, True]


def test_nodes_without_edges():
    model, data = scattered(), graph()
    out = model(data)
    alone = model(data.x[8:], data.pos[8:], edge_index=data.edge_index[:, :0])
    torch.testing.assert_close(out[8:], alone, rtol=1e-9, atol=1e-9)


def count(c, layers, nodes, edges, outputs):
    """Number of parameters, by the formula."""

    def mlp(inputs, last=c):
        return inputs * c + c + c * c + c + c * last + last

    encoders = mlp(nodes) + mlp(edges) + 4 * c
    return encoders + layers * (mlp(3 * c) + mlp(2 * c) + 4 * c) + mlp(c, outputs)


def test_number_of_parameters():
    assert count(128, 15, 2, 3, 1) == 2_331_649  # published, of the default sizes
    for options, nodes in (({}, 2), ({"positions": True}, 2 + 3), ({"in_channels": 0}, 1)):
        model = MeshGraphNet(**{"in_channels": 2, "out_channels": 3, **SMALL, **options})
        assert sum(p.numel() for p in model.parameters()) == count(8, 2, nodes, 4, 3)


def test_missing_and_wrong_edges_are_refused():
    model, data = scattered(), graph()
    with pytest.raises(ValueError, match=r"expected 'edge_index' .* 'mesh_edges', 'knn_edges' or"):
        model(data.x, data.pos)
    for edges, match in (
        (torch.tensor([[0], [9]]), "MeshGraphNet: expected node numbers from 0 to 8"),
        (torch.zeros(3, 2, dtype=torch.int64), "'edge_index' to be int64 of shape"),
        (torch.tensor([[0], [7]]), "an edge from node 0 to node 7 of another graph"),
    ):
        with pytest.raises(ValueError, match=match):
            model(data.x, data.pos, ptr=torch.tensor([0, 5, 9]), edge_index=edges)


def test_unknown_options_are_refused():
    with pytest.raises(ValueError, match="unknown aggregate 'nodes'; choose from"):
        MeshGraphNet(1, 1, aggregate="nodes")
    with pytest.raises(ValueError, match="'edge_length' to be positive"):
        MeshGraphNet(1, 1, edge_length=0.0)


@pytest.mark.slow
def test_one_compiled_program_for_all_meshes():
    torch._dynamo.reset()
    counter = CompileCounter()
    model = build("meshgraphnet", in_channels=2, out_channels=3, **SMALL)
    compiled = torch.compile(model, backend=counter, fullgraph=True, dynamic=True)
    for n in (5, 30):
        data = random_graph(n, 2, seed=n, edges=True)
        out = compiled(data.x, data.pos, edge_index=data.edge_index)
        torch.testing.assert_close(out, model(data))
        out.sum().backward()
    assert counter.frame_count == 1
