import pytest
import torch
from torch._dynamo.testing import CompileCounter
from torch_geometric.data import Batch

from flare_mesh import FLAREOperator
from flare_mesh.models import build
from flare_mesh.nn.mixer import MIXERS
from flare_mesh.testing import random_graph

SMALL = {"hidden_channels": 16, "num_layers": 1, "heads": 4, "num_latents": 6}


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"queries": "synthesized", "shared_latents": True, "gate_layers": 0},
        {
            "decode": "encoded",
            "encoder": "fourier",
            "latent_blocks": 1,
            "passes": 2,
            "checkpointing": True,
        },
    ],
    ids=str,
)
def test_one_graph_for_meshes_of_all_sizes(options):
    model = FLAREOperator(2, 3, **SMALL, **options)
    counter = CompileCounter()
    compiled = torch.compile(model, backend=counter, fullgraph=True, dynamic=True)
    for n in (30, 50, 1000):
        graph = random_graph(n, 2, seed=n)
        out = compiled(graph.x, graph.pos)
        torch.testing.assert_close(out, model(graph))
        out.sum().backward()
    assert counter.frame_count == 1


@pytest.mark.slow
def test_one_graph_for_batches():
    model = FLAREOperator(2, 3, **SMALL)
    counter = CompileCounter()
    compiled = torch.compile(model, backend=counter, fullgraph=True, dynamic=True)
    for sizes in ((30, 5), (7, 80), (11, 11)):
        batch = Batch.from_data_list([random_graph(n, 2, seed=n) for n in sizes])
        for graphs in ({"ptr": batch.ptr}, {"batch": batch.batch, "batch_size": 2}):
            out = compiled(batch.x, batch.pos, **graphs)
            torch.testing.assert_close(out, model(batch))
    assert counter.frame_count == 2  # one for each way to give the graphs


def test_export_with_any_number_of_nodes():
    """With the CPU's own backend; tests/flare_mesh/surrogate/test_export.py has "sdpa"."""
    model = FLAREOperator(2, 3, **SMALL, backend="numba").eval()
    nodes = torch.export.Dim("nodes", min=2)
    graph = random_graph(30, 2, seed=0)
    program = torch.export.export(
        model, (graph.x, graph.pos), dynamic_shapes={"x": {0: nodes}, "pos": {0: nodes}}
    )
    for n in (2, 30, 500):
        other = random_graph(n, 2, seed=n)
        torch.testing.assert_close(program.module()(other.x, other.pos), model(other))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        *(("backbone", {"heads": 8, "mixer": mixer}) for mixer in MIXERS),
        ("upt", {"heads": 2, "num_supernodes": 20, "num_latents": 6, "encoder_layers": 1}),
        ("ab_upt", {"heads": 2, "num_anchors": 20}),
    ],
    ids=str,
)
def test_models_are_compiled_and_exported_for_any_number_of_nodes(name, options):
    channels = {"in_channels": 2, "out_channels": 3, "hidden_channels": 16}
    model = build(name, **channels, num_layers=1, **options).eval()
    graphs = [random_graph(n, 2, seed=n) for n in (30, 50, 100)]
    counter = CompileCounter()
    compiled = torch.compile(model, backend=counter, fullgraph=True, dynamic=True)
    nodes = torch.export.Dim("nodes", min=2)
    program = torch.export.export(
        model,
        (graphs[0].x, graphs[0].pos),
        dynamic_shapes={"x": {0: nodes}, "pos": {0: nodes}},
    ).module()
    for graph in graphs:
        expected = model(graph)
        torch.testing.assert_close(program(graph.x, graph.pos), expected)
        found = compiled(graph.x, graph.pos)
        torch.testing.assert_close(found, expected)
        found.sum().backward()
    assert counter.frame_count == 1


def test_torch_func():
    model = FLAREOperator(0, 1, **SMALL)
    pos = random_graph(20, 0, seed=0).pos
    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def loss(parameters):
        return torch.func.functional_call(model, parameters, (None, pos)).square().sum()

    got = torch.func.grad(loss)(parameters)
    loss_now = model(None, pos).square().sum()
    want = torch.autograd.grad(loss_now, list(model.parameters()))
    torch.testing.assert_close(list(got.values()), list(want))
