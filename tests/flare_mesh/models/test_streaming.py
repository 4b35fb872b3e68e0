import pytest
import torch
from torch_geometric.data import Batch

from flare_mesh import FLAREOperator
from flare_mesh.testing import random_graph

VARIANTS = [
    {},
    {"queries": "synthesized"},
    {"decode": "encoded", "latent_blocks": 1, "gate_layers": 0, "num_layers": 1, "passes": 2},
    {"encoder": "graph", "encoder_options": {"radius": 0.8}},
    {"num_layers": 0},
]


def operator(**options):
    torch.manual_seed(0)
    sizes = {"hidden_channels": 16, "num_layers": 3, "heads": 4, "num_latents": 6}
    model = FLAREOperator(2, 3, **{**sizes, **options}).double().eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def batch_of(*sizes):
    graphs = [random_graph(n, 2, seed=n, dtype=torch.float64) for n in sizes]
    batch = Batch.from_data_list(graphs)
    batch.weight = torch.linspace(0.5, 2, sum(sizes), dtype=torch.float64)
    return batch


@pytest.mark.parametrize("chunk_size", [1, 7, 64, 1000])
@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_chunks_change_nothing(options, chunk_size):
    model = operator(**options)
    for batch in (batch_of(30, 1, 22), batch_of(40)):
        with torch.no_grad():
            got = model(batch, chunk_size=chunk_size)
        torch.testing.assert_close(got, model(batch), rtol=1e-11, atol=1e-12)


def test_chunks_of_no_nodes():
    nothing = torch.zeros(0, 2, dtype=torch.float64), torch.zeros(0, 3, dtype=torch.float64)
    with torch.no_grad():
        assert operator()(*nothing, chunk_size=4).shape == (0, 3)


@pytest.mark.parametrize("options", VARIANTS[:3], ids=str)
def test_decode_at_the_nodes_is_forward(options):
    model, batch = operator(**options), batch_of(30, 5, 22)
    latents = model.encode(batch)
    want = model(batch)
    torch.testing.assert_close(model.decode(latents, batch), want, rtol=1e-11, atol=1e-12)
    with torch.no_grad():
        chunked = model.encode(batch, chunk_size=7)
        torch.testing.assert_close(chunked, [tuple(level) for level in latents])
        got = model.decode(chunked, batch, chunk_size=9)
    torch.testing.assert_close(got, want, rtol=1e-11, atol=1e-12)


def test_decode_anywhere():
    model, batch = operator(), batch_of(30, 5)
    latents = model.encode(batch)
    # Other points add nothing: a node's value does not depend on which others are asked for.
    probes = torch.randn(8, 2, dtype=torch.float64), torch.randn(8, 3, dtype=torch.float64)
    graph = torch.tensor([0, 0, 0, 1, 1, 1, 1, 1])
    together = model.decode(latents, *probes, graph)
    for i in range(8):
        one = (t[i : i + 1] for t in probes)
        alone = model.decode(latents, *one, graph[i : i + 1])
        torch.testing.assert_close(alone, together[i : i + 1])
    # A graph without points is allowed, and a node of the mesh gets its own value back.
    ptr = torch.tensor([0, 0, 1])
    node = model.decode(latents, batch.x[33:34], batch.pos[33:34], ptr=ptr)
    torch.testing.assert_close(node, model(batch)[33:34])


def test_decode_passes_gradients_to_the_mesh():
    model, graph = operator(), random_graph(9, 2, seed=0, dtype=torch.float64)
    x = graph.x.requires_grad_()
    latents = model.encode(x, graph.pos)
    probe = torch.zeros(1, 2, dtype=torch.float64), torch.zeros(1, 3, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(model.decode(latents, *probe).sum(), x)
    assert bool((gradient != 0).any(dim=1).all())


def test_bad_input():
    model, graph = operator(), random_graph(9, 2, seed=0, dtype=torch.float64)
    with pytest.raises(ValueError, match="'chunk_size' evaluates without gradients"):
        model(graph, chunk_size=4)
    latents = model.encode(graph)
    with torch.no_grad(), pytest.raises(ValueError, match=r"'chunk_size' >= 1 \(got 0\)"):
        model(graph, chunk_size=0)
    with pytest.raises(ValueError, match=r"the latents of 3 blocks \(got 2\)"):
        model.decode(latents[:2], graph)
    with pytest.raises(ValueError, match=r"points of the 1 encoded graphs \(got 2 graphs\)"):
        model.decode(latents, graph.x, graph.pos, ptr=torch.tensor([0, 4, 9]))
    with pytest.raises(ValueError, match=r"the latents of 6 blocks \(got 3\)"):
        operator(passes=2).decode(latents, graph)
    neighbours = operator(encoder="graph", encoder_options={"radius": 1.0})
    with pytest.raises(
        ValueError, match=r"expected a pointwise encoder, as .*\(got GraphEncoder\)"
    ):
        neighbours.decode(neighbours.encode(graph), graph)
    with pytest.raises(ValueError, match=r"pointwise encoder with a 'group'.*\(got GraphEncoder\)"):
        neighbours(graph, group=object())
