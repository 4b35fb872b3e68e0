import pytest
import torch

from flare_mesh import MeshData, write_mesh
from flare_mesh.cases.prediction_mark import PREDICTION_MARK, asks_for_predictions, is_prediction
from flare_mesh.prediction import Prediction
from flare_mesh.testing import unit_mesh


def mesh(**fields):
    pos, cells = unit_mesh("triangle")
    data = MeshData(pos, **cells)
    for name in fields:
        data[name] = torch.arange(1.0, len(pos) + 1)
    return data


def predicted(truth):
    data = mesh()
    u = torch.arange(1.0, len(data.pos) + 1)[:, None]
    return Prediction("a", data, {"u": u}, {"u": u + 1} if truth else {}, band={"u": u})


@pytest.mark.parametrize("truth", [True, False])
@pytest.mark.parametrize("suffix", [".vtu", ".vtk", ".vtp", ".xdmf", ".ply"])
def test_predictions_are_recognised_in_every_format(tmp_path, suffix, truth):
    predicted(truth).save(tmp_path / f"a{suffix}")
    assert is_prediction(tmp_path / f"a{suffix}")
    (tmp_path / f"a{suffix}").rename(tmp_path / f"copy{suffix}")
    assert is_prediction(tmp_path / f"copy{suffix}")


@pytest.mark.parametrize("suffix", [".vtu", ".vtp", ".xdmf", ".ply"])
def test_predictions_of_older_versions(tmp_path, suffix):
    data = mesh(predicted_u=1, u=1, error_u=1)
    data.units = {"u": "mm"} if suffix == ".vtu" else {}
    write_mesh(tmp_path / f"a{suffix}", data)
    assert is_prediction(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("suffix", [".vtu", ".vtk", ".vtp", ".xdmf", ".ply"])
@pytest.mark.parametrize("names", [["u"], ["u", "load", "predicted_u"], ["error_u", "u"], []])
def test_other_files_are_not(tmp_path, suffix, names):
    write_mesh(tmp_path / f"a{suffix}", mesh(**dict.fromkeys(names)))
    assert not is_prediction(tmp_path / f"a{suffix}")


def test_files_that_cannot_be_read(tmp_path):
    assert not is_prediction(tmp_path / "none.vtu")
    for name, data in [
        ("a.xdmf", b""),
        ("a.vtu", b"\xff" * 10),
        ("a.stl", PREDICTION_MARK.encode()),
    ]:
        (tmp_path / name).write_bytes(data)
        assert not is_prediction(tmp_path / name)


def test_fields_of_predictions():
    assert asks_for_predictions(["u", "error_u"])
    assert asks_for_predictions(["predicted_u"])
    assert not asks_for_predictions(["u", "load"])
