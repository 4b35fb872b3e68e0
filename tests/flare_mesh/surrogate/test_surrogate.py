import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch_geometric.data import Batch

from flare_mesh import FLAREOperator
from flare_mesh.models import build
from flare_mesh.surrogate.rollout import Rollout
from flare_mesh.surrogate.surrogate import Surrogate
from flare_mesh.testing import random_graph


def surrogate(**options):
    torch.manual_seed(0)
    model = FLAREOperator(2, 4, hidden_channels=8, num_layers=1, heads=2, num_latents=3)
    return Surrogate(model, {"displacement": 3, "von_mises": 1}, **options)


def test_predicts_in_physical_units():
    s = surrogate()
    cases = [random_graph(20, 2, seed=i) for i in range(3)]
    for case in cases:
        case.y = torch.randn(20, 4) * 50 + 7
    s.fit_normalizers(cases)
    case = cases[0]
    raw = s.model(s.x_normalizer(case.x), s.pos_normalizer(case.pos))
    expected = raw * s.y_normalizer.scale + s.y_normalizer.shift
    fields = s.predict(case)
    torch.testing.assert_close(fields["displacement"], expected[:, :3].detach())
    torch.testing.assert_close(fields["von_mises"], expected[:, 3:].detach())


def test_a_permuted_batch_is_refused_and_a_part_of_one_is_computed_right():
    s = surrogate().eval()
    graphs = [random_graph(n, 2, seed=n) for n in (9, 5)]
    batch = Batch.from_data_list(graphs)
    expected = s(batch)
    mixed = batch.clone()
    order = torch.tensor([10, *range(1, 10), 0, *range(11, 14)])  # two nodes change places
    mixed.x, mixed.pos, mixed.batch = batch.x[order], batch.pos[order], batch.batch[order]
    with pytest.raises(ValueError, match="'batch' to be sorted"):
        s(mixed)
    part = batch.subgraph(torch.arange(2, 14))
    torch.testing.assert_close(s(part)[7:], expected[9:])
    torch.testing.assert_close(s(part)[:7], s(graphs[0].subgraph(torch.arange(2, 9))))


def test_models_that_see_all_nodes_at_once_refuse_chunks():
    model = build("transolver", in_channels=2, out_channels=4, hidden_channels=8, num_layers=1)
    s = Surrogate(model, {"displacement": 3, "von_mises": 1}).eval()
    with pytest.raises(ValueError, match=r"Transolver: cannot .* in chunks .* 'upt' or 'ab_upt'"):
        s(random_graph(9, 2), chunk_size=4)
    assert s.predict(random_graph(9, 2))["von_mises"].shape == (9, 1)


def test_normalisers_of_values_over_decades(tmp_path):
    """The statistics of the transform normalise; those of the values remain the baseline."""
    s = surrogate(normalizers={"x": "log", "y": {"name": "signed_root", "power": 0.25}})
    some = [random_graph(20, 2, seed=i) for i in range(3)]
    for case in some:
        case.x, case.y = (2 + 3 * case.x).exp(), torch.randn(20, 4) ** 9
    s.fit_normalizers(some)
    x, y = torch.cat([c.x for c in some]), torch.cat([c.y for c in some])
    torch.testing.assert_close(s.x_normalizer.shift, x.log().mean(0))
    torch.testing.assert_close(s.y_normalizer.shift, (y.sign() * y.abs() ** 0.25).mean(0))
    torch.testing.assert_close(s.y_mean, y.mean(0))
    assert s.training_range.x[1] == (float(x[:, 1].min()), float(x[:, 1].max()))
    s.save(tmp_path)
    expected = s.predict(some[0])["displacement"]
    assert torch.equal(Surrogate.load(tmp_path).predict(some[0])["displacement"], expected)
    some[1].x[4, 1] = 0.0
    with pytest.raises(ValueError, match="case '0', x: expected positive values"):
        s.predict(some[1])
    with pytest.raises(ValueError, match="case '1', x: expected positive values"):
        s.fit_normalizers(some)


def test_bad_options():
    model = FLAREOperator(0, 4, hidden_channels=8, num_layers=1, heads=2, num_latents=3)
    with pytest.raises(ValueError, match="expected fields with 4 channels in total"):
        Surrogate(model, {"displacement": 3})
    with pytest.raises(ValueError, match="unknown transform 'knn_edge'; did you mean 'knn_edges'"):
        Surrogate(model, {"u": 4}, features=["knn_edge"])
    with pytest.raises(ValueError, match=r"no normaliser for \['z'\]; choose from"):
        Surrogate(model, {"u": 4}, normalizers={"z": "identity"})
    with pytest.raises(ValueError, match="normaliser of 'y', 'gauss': unknown normaliser"):
        Surrogate(model, {"u": 4}, normalizers={"y": "gauss"})


def test_saving_replaces_the_file_in_one_step(tmp_path):
    surrogate().save(tmp_path)
    surrogate(info={"pitch": 1.0}).save(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["surrogate.safetensors"]
    assert Surrogate.load(tmp_path).info == {"pitch": 1.0}


def test_damaged_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="no trained surrogate in it"):
        Surrogate.load(tmp_path)
    file = tmp_path / "surrogate.safetensors"
    surrogate().save(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    with pytest.raises(ValueError, match="surrogate.safetensors: cannot be loaded as a surrogate"):
        Surrogate.load(tmp_path)
    file.write_bytes(whole.replace(b'von_mises\\": 1', b'von_mises\\": 2'))
    with pytest.raises(ValueError, match="expected fields with 4 channels in total"):
        Surrogate.load(tmp_path)
    save_file({"weight": torch.zeros(1)}, file)
    with pytest.raises(ValueError, match="cannot be loaded as a surrogate"):
        Surrogate.load(tmp_path)


def test_all_options_are_saved(tmp_path):
    torch.manual_seed(0)
    model = FLAREOperator(3, 1, hidden_channels=8, num_layers=1, heads=2, num_latents=3)
    rollout = Rollout({"T_in": 2, "k": 1}, {"T_out": 3}, 2, 3)
    s = Surrogate(
        model,
        {"T_out": 3},
        inputs={"T_in": 2, "k": 1},
        features=[{"knn_edges": {"k": 2}}],
        normalizers={"pos": {"name": "unit_cube", "limits": [-1, 1]}, "x": "identity"},
        rollout=rollout,
        units={"T_out": "K"},
        info={"pitch": 2.0},
    )
    case = random_graph(9, 3).update({"y": torch.randn(9, 3)})
    s.fit_normalizers([case])
    s.save(tmp_path)
    again = Surrogate.load(tmp_path)
    assert json.dumps(again.header()) == json.dumps(s.header())
    assert again.rollout == rollout
    assert (again.info, again.units) == ({"pitch": 2.0}, {"T_out": "K"})
    assert torch.equal(again.pos_normalizer(case.pos), s.pos_normalizer(case.pos))
    assert float(again.pos_normalizer(case.pos).min()) == -1.0
    assert torch.equal(again.predict(case)["T_out"], s.predict(case)["T_out"])
    assert again.prepare(case).edge_index.shape[1] == 18
    assert again.training_range.differences(case) == []
    torch.testing.assert_close(again.y_mean, case.y.mean()[None])


def test_a_time_series_is_predicted_step_by_step():
    torch.manual_seed(0)
    model = FLAREOperator(2, 1, hidden_channels=8, num_layers=1, heads=2, num_latents=3)
    s = Surrogate(
        model, {"T_out": 2}, inputs={"T_in": 2}, rollout=Rollout({"T_in": 2}, {"T_out": 2}, 2, 2)
    )
    case = random_graph(9, 2)
    case.x = torch.randn(9, 2)
    first = s.step(case, case.x)
    second = s.step(case, torch.cat([case.x[:, 1:], first], 1))
    expected = torch.cat([first, second], 1).detach()
    torch.testing.assert_close(s.predict(case)["T_out"], expected)
    torch.testing.assert_close(s.predict(case, num_steps=1)["T_out"], expected[:, :1])


def test_another_version_is_named(tmp_path):
    surrogate().save(tmp_path)
    file = tmp_path / "surrogate.safetensors"
    with safe_open(file, framework="pt") as opened:
        header = json.loads(opened.metadata()["surrogate"])
    del header["rollout"]
    header["version"] = "0.0.1"
    save_file(surrogate().state_dict(), file, metadata={"surrogate": json.dumps(header)})
    with pytest.raises(
        ValueError,
        match=r"no 'rollout' in its header, as in files of older versions; train it again "
        r"\(written by flare-mesh 0.0",
    ):
        Surrogate.load(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"model": 3},
        {"model": {"name": "flare", "in_channels": 2}},
        {"model": {"name": "nothing", "in_channels": 2, "out_channels": 4}},
        {"fields": [1]},
        {"fields": {"u": "many"}},
        {"rollout": {"inputs": {}, "fields": {"u": 4}, "num_in": 1, "num_out": 0}},
        {"features": [{"knn_edges": 3}]},
        {"features": "knn_edges"},
        {"normalizers": {"y": {"channels": 4}}},
        {"training_range": {"pos": 3}},
        {"unheard_of": 1},
        {"fields": {"displacement": 10**15, "von_mises": 1}},
        {"inputs": {"x": 10**15}},
    ],
    ids=str,
)
def test_hostile_headers_are_refused(tmp_path, change):
    header = json.dumps({**surrogate().header(), **change})
    file = tmp_path / "surrogate.safetensors"
    save_file(surrogate().state_dict(), file, metadata={"surrogate": header})
    with pytest.raises(ValueError, match="surrogate.safetensors: cannot be loaded as a surrogate:"):
        Surrogate.load(tmp_path)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    diverged = surrogate()
    with torch.no_grad():
        next(diverged.model.parameters()).view(-1)[1] = float("nan")
    diverged.save(tmp_path)
    with pytest.raises(ValueError, match="as a surrogate: the weights are not finite"):
        Surrogate.load(tmp_path)


def test_a_flipped_bit_is_detected(tmp_path):
    file = tmp_path / "surrogate.safetensors"
    surrogate().save(tmp_path)
    whole = bytearray(file.read_bytes())
    whole[-7] ^= 64
    file.write_bytes(whole)
    with pytest.raises(ValueError, match="damaged: the weights do not match their checksum"):
        Surrogate.load(tmp_path)


def test_prediction_restores_the_training_mode():
    s = surrogate().train()
    s.predict(random_graph(5, 2))
    assert s.training


def test_predictions_are_ordinary_tensors():
    fields = surrogate().predict(random_graph(5, 2))
    weight = torch.ones(1, requires_grad=True)
    (weight * fields["displacement"].add_(1)).sum().backward()
    torch.testing.assert_close(weight.grad, fields["displacement"].sum()[None])
