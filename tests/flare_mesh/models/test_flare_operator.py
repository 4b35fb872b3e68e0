import json

import pytest
import torch
from torch_geometric.data import Batch

from flare_mesh import FLAREOperator
from flare_mesh.testing import (
    assert_graphs_independent,
    assert_permutation_equivariant,
    random_graph,
)

SMALL = {"hidden_channels": 16, "num_layers": 2, "heads": 4, "num_latents": 6}


def operator(**options):
    torch.manual_seed(0)
    model = FLAREOperator(2, 3, **{**SMALL, **options}).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


GRAPHS = [random_graph(n, 2, seed=n) for n in (30, 1, 34, 7, 8)]


def test_published_size():
    # Elasticity and LPBF rows of the paper's settings.
    count = sum(p.numel() for p in FLAREOperator(0, 1, pos_dim=2).parameters())
    assert count == 592_641
    lpbf = FLAREOperator(0, 1, num_latents=128)
    assert sum(p.numel() for p in lpbf.parameters()) == 625_473


def test_save_and_load(tmp_path):
    model = operator(kv_layers=-1, qk_norm=True, scale=0.5)
    model.save(tmp_path / "m")
    again = FLAREOperator.load(tmp_path / "m")
    assert repr(again) == repr(model)
    assert torch.equal(again(GRAPHS[0]), model(GRAPHS[0]))


class Centred(torch.nn.Linear):
    """A user's encoder."""

    pointwise = True

    def forward(self, x, pos, *, ptr=None, edge_index=None):
        return super().forward(torch.cat([pos, x], dim=-1))


def test_encoder_module(tmp_path):
    model = operator(encoder=Centred(5, 16))
    model.save(tmp_path)
    with pytest.raises(ValueError, match="pass encoder="):
        FLAREOperator.load(tmp_path)
    again = FLAREOperator.load(tmp_path, encoder=Centred(5, 16))
    assert torch.equal(again(GRAPHS[0]), model(GRAPHS[0]))


VARIANTS = [
    {"encoder": "fourier", "encoder_options": {"num_frequencies": 4, "sigma": 0.5}},
    {"encoder": "graph", "encoder_options": {"radius": 0.8}},
    {"queries": "synthesized"},
    {"decode": "encoded", "scale": None},
    {"norm": "rms", "act": "silu", "qk_norm": True},
    {"kv_layers": 1, "kv_ratio": 0.5, "ffn_layers": 0, "ffn_ratio": 2.0, "head_layers": 0},
    {"kv_layers": -1, "backend": "sdpa"},
    {"checkpointing": True},
    {
        "latent_blocks": 1,
        "gate_layers": 1,
        "kv_layers": [0, -1],
        "passes": 2,
        "checkpointing": True,
    },
    {"shared_latents": True, "shared_attention": True, "shared_ffn": True, "latent_blocks": 2},
]


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_variants(options, tmp_path):
    model = operator(**options)
    assert_graphs_independent(model, GRAPHS)
    assert_permutation_equivariant(model, GRAPHS[0])
    model.save(tmp_path)
    assert torch.equal(FLAREOperator.load(tmp_path)(GRAPHS[0]), model(GRAPHS[0]))
    model(Batch.from_data_list(GRAPHS)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 0, name


def test_edges_of_the_data_reach_the_encoder():
    model = operator(encoder="graph")
    graph = random_graph(6, 2, seed=0)
    with pytest.raises(ValueError, match="expected edges"):
        model(graph)
    graph.edge_index = torch.tensor([[0, 1, 2], [1, 2, 3]])
    out = model(graph)
    given = model(graph.x, graph.pos, edge_index=graph.edge_index)
    torch.testing.assert_close(given, out)
    # With a radius of its own, the encoder searches; given edges come first.
    model = operator(encoder="graph", encoder_options={"radius": 0.8})
    searched = model(graph)
    torch.testing.assert_close(searched, model(graph.x, graph.pos))
    assert not torch.allclose(searched, model(graph.x, graph.pos, edge_index=graph.edge_index))


def test_number_of_graphs_may_be_given():
    model = operator()
    batch = torch.tensor([0] * 10 + [2] * 20)  # the graphs 1 and 3 are empty
    x, pos = GRAPHS[0].x, GRAPHS[0].pos
    out = model(x, pos, batch, batch_size=4)
    torch.testing.assert_close(out, model(x, pos, ptr=torch.tensor([0, 10, 10, 30, 30])))
    torch.testing.assert_close(out, model(x, pos, batch))


def test_more_graphs_than_batch_size():
    x, pos = GRAPHS[0].x, GRAPHS[0].pos
    batch = torch.tensor([0] * 10 + [2] * 20)
    with pytest.raises(ValueError, match=r"from 0 to 1 in 'batch' \(got 0 to 2\)"):
        operator()(x, pos, batch, batch_size=2)


def test_arguments_take_precedence_over_data():
    model, batch = operator(), Batch.from_data_list(GRAPHS)
    weight = torch.linspace(0.5, 2, batch.num_nodes)
    given = model(batch, weight=weight)
    batch.weight = torch.ones(batch.num_nodes)
    torch.testing.assert_close(model(batch, weight=weight), given)
    one = model(batch, batch=torch.zeros(batch.num_nodes, dtype=torch.long))
    torch.testing.assert_close(one, model(batch.x, batch.pos, weight=batch.weight))
    part = batch.subgraph(torch.arange(batch.num_nodes) % 3 != 0)  # keeps the old offsets
    torch.testing.assert_close(model(part), model(part.x, part.pos, part.batch, weight=part.weight))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"qk_norm": True},
        {"qk_norm": True, "norm": "rms"},
        {"queries": "synthesized"},
        {"latent_blocks": 1, "gate_layers": 0, "shared_latents": True},
    ],
    ids=str,
)
def test_autocast(options):
    model = operator(**options)
    batch = Batch.from_data_list(GRAPHS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model(batch)
        half.float().sum().backward()
    exact = model(batch)
    assert float((half.float() - exact).detach().norm() / exact.detach().norm()) < 0.1
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_loading_another_model_is_refused(tmp_path):
    operator().save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "hidden_channels": 32}))
    with pytest.raises(
        ValueError, match="cannot be loaded as FLAREOperator: .*need 41,123 weights"
    ):
        FLAREOperator.load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**config, "model": "other"}))
    with pytest.raises(ValueError, match="config.json is for the model 'other'"):
        FLAREOperator.load(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.zeros(4, 2), torch.zeros(4, 2)), r"'pos' of shape \[N, 3\] \(got \[4, 2\]\)"),
        ((None, torch.zeros(4, 3)), r"'x' of shape \[4, 2\] \(got None\)"),
        ((torch.zeros(5, 2), torch.zeros(4, 3)), r"'x' of shape \[4, 2\] \(got \[5, 2\]\)"),
        ((torch.zeros(4, 2), None), "'pos' of shape"),
        ((torch.zeros(4, 2), torch.zeros(4, 3).double()), "'pos' of the dtype and device of the m"),
        ((torch.zeros(4, 2).long(), torch.zeros(4, 3)), "'x' of the dtype and device of the model"),
        (
            (torch.zeros(4, 2), torch.zeros(4, 3), torch.tensor([-1, 0, 1, 1])),
            r"graph numbers from 0 in 'batch' \(got -1 to 1\)",
        ),
        (
            (torch.zeros(4, 2), torch.zeros(4, 3), torch.tensor([0, 0, 1, 0])),
            "'batch' to be sorted",
        ),
        (
            (torch.zeros(4, 2), torch.zeros(4, 3), torch.zeros(3, dtype=torch.long)),
            r"'batch' to be integers of shape \[4\]",
        ),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        operator()(*arguments)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_equals_cpu():
    model = operator()
    batch = Batch.from_data_list(GRAPHS)
    on_gpu = model.cuda()(batch.cuda()).cpu()
    torch.testing.assert_close(on_gpu, model.cpu()(batch.cpu()), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": "gnn"}, r"unknown encoder 'gnn'; choose from \['mlp', 'fourier', 'graph'\]"),
        ({"norm": "batch"}, r"unknown norm 'batch'; choose from \['layer', 'rms'\]"),
        ({"act": "selu"}, "unknown activation 'selu'; choose from"),
        ({"queries": "free"}, r"unknown queries 'free'; choose from \['fixed', 'synthesized'\]"),
        ({"decode": "own"}, r"unknown decode 'own'; choose from \['shared', 'encoded'\]"),
        ({"backend": "cuda"}, "unknown backend 'cuda'; choose from"),
        ({"queries": "synthesized", "qk_norm": True}, "got it with qk_norm=True"),
    ],
)
def test_unknown_options(options, message):
    with pytest.raises(ValueError, match=message):
        operator(**options)
