import json

import pytest
import torch
from torch_geometric.data import Batch

from flare_mesh import FLAREOperator
from flare_mesh.models import build
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


def test_a_graph_does_not_depend_on_its_batch():
    assert_graphs_independent(operator(), GRAPHS)


def test_node_order_does_not_matter():
    assert_permutation_equivariant(operator(), GRAPHS[0])


def test_gradients_do_not_depend_on_the_batch():
    model = operator().double()
    graphs = [random_graph(n, 2, seed=n, dtype=torch.float64) for n in (9, 4, 10)]

    def gradients(results):
        model.zero_grad()
        sum(r.square().sum() for r in results).backward()
        return [p.grad.clone() for p in model.parameters()]

    together = gradients([model(Batch.from_data_list(graphs))])
    alone = gradients([model(graph) for graph in graphs])
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)


def test_data_and_tensors_are_the_same_call():
    model = operator()
    batch = Batch.from_data_list(GRAPHS)
    out = model(batch)
    torch.testing.assert_close(model(batch.x, batch.pos, batch.batch), out)
    torch.testing.assert_close(model(batch.x, batch.pos, ptr=batch.ptr), out)
    weight = torch.rand(len(out)) + 0.5
    weighted = model(batch.x, batch.pos, batch.batch, weight=weight)
    assert bool(((weighted - out).abs() > 1e-4).any())
    batch.weight = weight
    torch.testing.assert_close(model(batch), weighted)


def test_save_and_load(tmp_path):
    model = operator(kv_layers=-1, qk_norm=True, scale=0.5)
    model.save(tmp_path / "m")
    again = FLAREOperator.load(tmp_path / "m")
    assert repr(again) == repr(model)
    assert torch.equal(again(GRAPHS[0]), model(GRAPHS[0]))


def test_encoder_module(tmp_path):
    model = operator(encoder=torch.nn.Linear(5, 16))
    model.save(tmp_path)
    with pytest.raises(ValueError, match="pass encoder="):
        FLAREOperator.load(tmp_path)
    again = FLAREOperator.load(tmp_path, encoder=torch.nn.Linear(5, 16))
    assert torch.equal(again(GRAPHS[0]), model(GRAPHS[0]))


def test_loading_what_is_not_a_model(tmp_path):
    operator().save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "hidden_channels": 32}))
    with pytest.raises(ValueError, match="cannot be loaded as FLAREOperator: .*size mismatch"):
        FLAREOperator.load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**config, "model": "other"}))
    with pytest.raises(ValueError, match="config.json is that of another model"):
        FLAREOperator.load(tmp_path)


def test_reset_parameters():
    model = operator()
    before = model(GRAPHS[0])
    model.reset_parameters()
    assert not torch.equal(model(GRAPHS[0]), before)


def test_build_by_name():
    assert isinstance(build("flare", in_channels=0, out_channels=1, **SMALL), FLAREOperator)
    with pytest.raises(ValueError, match=r"unknown model 'flair'; choose from \['flare'\]"):
        build("flair")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.zeros(4, 2), torch.zeros(4, 2)), r"'pos' of shape \[N, 3\] \(got \[4, 2\]\)"),
        ((None, torch.zeros(4, 3)), r"'x' of shape \[4, 2\] \(got None\)"),
        ((torch.zeros(5, 2), torch.zeros(4, 3)), r"'x' of shape \[4, 2\] \(got \[5, 2\]\)"),
        ((torch.zeros(4, 2), None), "'pos' of shape"),
        (
            (torch.zeros(4, 2), torch.zeros(4, 3), torch.zeros(3, dtype=torch.long)),
            r"'batch' to be integers of shape \[4\]",
        ),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        operator()(*arguments)


@pytest.mark.parametrize("options", [{"num_layers": -1}, {"hidden_channels": 0}, {"pos_dim": 0}])
def test_bad_sizes(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"FLAREOperator: expected '{name}' >= "):
        operator(**options)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_equals_cpu():
    model = operator()
    batch = Batch.from_data_list(GRAPHS)
    on_gpu = model.cuda()(batch.cuda()).cpu()
    torch.testing.assert_close(on_gpu, model.cpu()(batch.cpu()), rtol=1e-4, atol=1e-4)


def test_unknown_encoder():
    with pytest.raises(ValueError, match="unknown encoder 'gnn'; choose 'mlp' or pass a module"):
        operator(encoder="gnn")
