import pytest
import torch

from flare_mesh import MeshData, write_mesh
from flare_mesh.prediction import Prediction
from flare_mesh.prediction.read_prediction import find_predictions, read_prediction


def prediction(*, on_cells=False, times=()):
    mesh = MeshData(
        torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]]),
        triangle=torch.tensor([[0, 1, 2], [1, 3, 2]]),
    )
    rows, steps = 2 if on_cells else 4, max(1, len(times))
    values = torch.arange(rows * 2.0 * steps).reshape(rows, -1)
    return Prediction(
        "mesh",
        mesh,
        {"u": values, "predicted_s": values[:, :steps]},
        {"u": values + 0.5},
        {"u": "mm"},
        on_cells,
        times,
        band={"u": values[:, :steps] / 8},
        coverage=0.875,
        ood_score=2.0,
    )


@pytest.mark.parametrize(
    ("file", "options"),
    [("p.vtu", {}), ("p.vtk", {"on_cells": True}), ("p.pvd", {"times": (0.5, 1.5)})],
)
def test_a_file_gives_what_was_written(file, options, tmp_path):
    written = prediction(**options)
    written.save(tmp_path / file)
    found = read_prediction(tmp_path / file)
    assert found.name == file
    assert found.on_cells == written.on_cells
    assert found.times == written.times
    assert (found.coverage, found.ood_score, found.is_unlike) == (0.875, 2.0, True)
    assert dict(found.units) == {"u": "mm"}
    for kind in ("predicted", "truth", "band"):
        expected, given = getattr(written, kind), getattr(found, kind)
        assert expected.keys() == given.keys()
        for name, values in expected.items():
            torch.testing.assert_close(given[name], values)
    torch.testing.assert_close(found.mesh.pos, written.mesh.pos)
    assert found.mesh.cells["triangle"].tolist() == [[0, 1, 2], [1, 3, 2]]


def test_predictions_of_a_folder(tmp_path):
    prediction().save(tmp_path / "b" / "one.vtu")
    prediction(times=(0.0, 1.0)).save(tmp_path / "a.pvd")
    write_mesh(tmp_path / "mesh.vtu", prediction().mesh)
    found = [file.relative_to(tmp_path).as_posix() for file in find_predictions(tmp_path)]
    assert found == ["a.pvd", "b/one.vtu"]


def test_other_files(tmp_path):
    mesh = prediction().mesh
    mesh["u"] = mesh.pos[:, 0]
    write_mesh(tmp_path / "mesh.vtu", mesh)
    with pytest.raises(ValueError, match=r"'predicted_<name>' \(got the fields \['u'\]\)"):
        read_prediction(tmp_path / "mesh.vtu")
    with pytest.raises(FileNotFoundError):
        read_prediction(tmp_path / "nowhere.vtu")
    prediction(times=(0.0, 1.0)).save(tmp_path / "a.pvd")
    prediction(on_cells=True).save(tmp_path / "a" / "a_0001.vtu")
    with pytest.raises(ValueError, match=r"'predicted_u' with 4 values.*got none in step 1"):
        read_prediction(tmp_path / "a.pvd")
