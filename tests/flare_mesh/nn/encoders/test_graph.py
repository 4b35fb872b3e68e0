import pytest
import torch
from torch_geometric.data import Batch, Data

from flare_mesh.nn.encoders import GraphEncoder
from flare_mesh.ops.radius_graph import radius_graph


def encoder(**options):
    torch.manual_seed(0)
    module = GraphEncoder(2, 8, 3, **options)
    for parameter in module.parameters():  # the small initial weights hide mistakes
        torch.nn.init.normal_(parameter, std=0.4)
    return module


def nodes(count):
    generator = torch.Generator().manual_seed(count)
    return torch.randn(count, 2, generator=generator), torch.randn(count, 3, generator=generator)


@pytest.mark.parametrize("radius", [None, 2.5])
def test_equation_node_by_node(radius):
    module = encoder(num_layers=2, radius=radius)
    x, pos = nodes(6)
    edge_index = torch.tensor([[0, 1, 2, 4, 4], [1, 0, 1, 1, 3]])
    h = module.embedding(torch.cat([pos, x], dim=-1))
    for layer in module.layers:
        after = h.clone()
        for i in range(6):
            messages = []
            for source, target in edge_index.t().tolist():
                if target == i:
                    offset = (pos[source] - pos[i]) / (radius or 1.0)
                    edge = torch.cat([h[source], offset, offset.norm()[None]])
                    messages.append(layer.local_nn.mlp(edge))
            if messages:
                after[i] += torch.stack(messages).mean(0)
        h = after
    torch.testing.assert_close(module(x, pos, edge_index=edge_index), h)


def test_isolated_node_keeps_its_embedding():
    module = encoder()
    x, pos = nodes(5)
    code = module(x, pos, edge_index=torch.tensor([[0, 1], [1, 0]]))
    embedding = module.embedding(torch.cat([pos, x], dim=-1))
    torch.testing.assert_close(code[2:], embedding[2:])
    assert not torch.allclose(code[:2], embedding[:2])
    torch.testing.assert_close(
        module(x, pos, edge_index=torch.empty(2, 0, dtype=torch.long)), embedding
    )


def test_messages_do_not_change_when_the_mesh_moves():
    module = encoder().double()
    pos = nodes(9)[1].double()
    edge_index = radius_graph(pos, 1.5)
    h, shift = torch.randn(9, 8, dtype=torch.float64), torch.tensor([3.0, -2.0, 50.0])
    for layer in module.layers:
        torch.testing.assert_close(layer(h, pos + shift, edge_index), layer(h, pos, edge_index))


def test_repeated_edges_do_not_scale_the_code():
    module = encoder()
    x, pos = nodes(9)
    edge_index = radius_graph(pos, 1.5)
    torch.testing.assert_close(
        module(x, pos, edge_index=edge_index.repeat(1, 5)), module(x, pos, edge_index=edge_index)
    )


def test_given_edges_come_before_the_radius():
    module = encoder(radius=1.5, max_neighbors=3)
    x, pos = nodes(20)
    edge_index = radius_graph(pos, 1.5, max_neighbors=3)
    torch.testing.assert_close(module(x, pos, edge_index=edge_index), module(x, pos))
    assert not torch.allclose(module(x, pos, edge_index=edge_index[:, ::2]), module(x, pos))


def test_mesh_edges_in_a_batch():
    module = encoder()
    graphs = []
    for size in (9, 0, 1, 14):
        x, pos = nodes(size)
        graphs.append(Data(x=x, pos=pos, edge_index=radius_graph(pos, 1.0, max_neighbors=4)))
    batch = Batch.from_data_list(graphs)
    together = module(batch.x, batch.pos, ptr=batch.ptr, edge_index=batch.edge_index)
    alone = [module(graph.x, graph.pos, edge_index=graph.edge_index) for graph in graphs]
    torch.testing.assert_close(together, torch.cat(alone))


def test_points_at_the_same_place_have_gradients():
    module = encoder()
    x, pos = nodes(2)
    pos = torch.zeros_like(pos).requires_grad_()
    module(x, pos, edge_index=torch.tensor([[0, 1], [1, 0]])).square().sum().backward()
    assert pos.grad is not None
    assert bool(pos.grad.isfinite().all())


def test_neither_edges_nor_radius():
    with pytest.raises(ValueError, match=r"pass edge_index \[2, E\].*with radius="):
        encoder()(*nodes(5))


@pytest.mark.parametrize(
    ("edge_index", "message"),
    [
        (torch.tensor([0, 1]), r"int64 of shape \[2, E\] \(got torch.int64 \[2\]\)"),
        (torch.zeros(3, 2, dtype=torch.long), r"got torch.int64 \[3, 2\]"),
        (torch.zeros(2, 1), r"got torch.float32 \[2, 1\]"),
        (torch.tensor([[0], [5]]), r"from 0 to 4 in 'edge_index' \(got 0 to 5\)"),
        (torch.tensor([[-1], [2]]), r"got -1 to 2"),
        (torch.tensor([[0, 1], [2, 3]]), "from node 1 to node 3 of another graph"),
    ],
)
def test_bad_edges(edge_index, message):
    with pytest.raises(ValueError, match=message):
        encoder()(*nodes(5), ptr=torch.tensor([0, 3, 5]), edge_index=edge_index)


@pytest.mark.parametrize("radius", [None, 1.0])
def test_bad_ptr(radius):
    edge_index = None if radius else torch.tensor([[0], [1]])
    with pytest.raises(ValueError, match=r"from 0 to N = 5 \(got \[0, 4\]\)"):
        encoder(radius=radius)(*nodes(5), ptr=torch.tensor([0, 4]), edge_index=edge_index)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_layers": -1}, r"'num_layers' >= 0 \(got -1\)"),
        ({"radius": -1.0}, r"'radius' to be positive \(got -1.0\)"),
        ({"max_neighbors": 0}, r"'max_neighbors' >= 1 \(got 0\)"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        encoder(**options)


def test_repr():
    module = GraphEncoder(2, 8, 3, num_layers=1, radius=0.5)
    assert repr(module) == "GraphEncoder(2, 8, 3, num_layers=1, radius=0.5, max_neighbors=32)"
