import pytest
import torch
from safetensors.torch import save_file

from flare_mesh import FLAREOperator
from flare_mesh.surrogate import Surrogate
from flare_mesh.testing import random_graph


def surrogate(**options):
    torch.manual_seed(0)
    model = FLAREOperator(2, 4, hidden_channels=8, num_layers=1, heads=2, num_latents=3)
    return Surrogate(model, {"displacement": 3, "von_mises": 1}, **options)


def test_works_in_physical_units():
    s = surrogate()
    cases = [random_graph(20, 2, seed=i) for i in range(3)]
    for case in cases:
        case.y = torch.randn(20, 4) * 50 + 7
    s.fit_normalizers(cases)
    case = cases[0]
    raw = s.model(s.x_normalizer(case.x), s.pos_normalizer(case.pos))
    expected = raw * s.y_normalizer.std + s.y_normalizer.mean
    fields = s.predict(case)
    torch.testing.assert_close(fields["displacement"], expected[:, :3].detach())
    torch.testing.assert_close(fields["von_mises"], expected[:, 3:].detach())


def test_save_and_load(tmp_path):
    s = surrogate(units={"displacement": "mm"}, info={"pitch": 2.0})
    s.fit_normalizers([random_graph(9, 2).update({"y": torch.randn(9, 4)})])
    s.save(tmp_path)
    again = Surrogate.load(tmp_path)
    case = random_graph(9, 2, seed=5)
    assert torch.equal(again.predict(case)["von_mises"], s.predict(case)["von_mises"])
    assert (again.info, again.units) == ({"pitch": 2.0}, {"displacement": "mm"})


def test_bad_options():
    model = FLAREOperator(0, 4, hidden_channels=8, num_layers=1, heads=2, num_latents=3)
    with pytest.raises(ValueError, match="do not add up to the model's 4 output channels"):
        Surrogate(model, {"displacement": 3})
    with pytest.raises(ValueError, match="unknown transform 'knn'"):
        Surrogate(model, {"u": 4}, transform="knn")


def test_saving_replaces_the_file_in_one_step(tmp_path):
    surrogate().save(tmp_path)
    surrogate(info={"pitch": 1.0}).save(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["surrogate.safetensors"]
    assert Surrogate.load(tmp_path).info == {"pitch": 1.0}


def test_damaged_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="no trained surrogate there"):
        Surrogate.load(tmp_path)
    file = tmp_path / "surrogate.safetensors"
    surrogate().save(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    with pytest.raises(ValueError, match="surrogate.safetensors: cannot be loaded as a surrogate"):
        Surrogate.load(tmp_path)
    file.write_bytes(whole.replace(b'von_mises\\": 1', b'von_mises\\": 2'))
    with pytest.raises(ValueError, match="do not add up to the model's 4 output channels"):
        Surrogate.load(tmp_path)
    save_file({"weight": torch.zeros(1)}, file)
    with pytest.raises(ValueError, match="cannot be loaded as a surrogate"):
        Surrogate.load(tmp_path)
