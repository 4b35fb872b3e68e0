import pytest

from flare_mesh import MeshData, write_mesh
from flare_mesh.cases.prediction_mark import is_prediction
from flare_mesh.io.time_collection import write_time_collection
from flare_mesh.prediction.read_prediction import read_prediction
from flare_mesh.viewer.cases import CaseStore, ViewCase, find_cases
from flare_mesh.viewer.download import write_fields


def test_files_and_folders(prediction, tmp_path):
    folder = tmp_path / "in"
    write_mesh(folder / "b.vtu", prediction.mesh)
    prediction.save(folder / "a.vtu")
    (folder / "notes.txt").write_text("")

    def save(file, step):
        mesh = MeshData(prediction.mesh.pos)
        mesh.u = prediction.mesh.pos[:, :1] * step
        write_mesh(file, mesh)

    write_time_collection(folder / "series.pvd", [0.0, 0.5, 1.0], save)
    cases, run = find_cases([folder, folder / "a.vtu"])
    assert run is None
    assert [case.name for case in cases] == ["a.vtu", "b.vtu", "series.pvd", "a.vtu (2)"]
    store = CaseStore(cases)
    assert [*store.mesh("a.vtu", 0).fields] == ["displacement", "stress"]
    assert store.mesh("series.pvd", 0).steps == ("time 0", "time 0.5", "time 1")
    last = store.mesh("series.pvd", 7)
    assert last.grid.point_data["u"].max() == 4.0
    assert store.mesh("series.pvd", 2) is last


def test_a_new_version_of_a_case(prediction):
    store = CaseStore([ViewCase("a", lambda: prediction.mesh)])
    assert store.mesh("a", 0).fields == {}
    store.add(ViewCase("a", lambda: prediction))
    assert store.names == ["a"]
    assert [*store.mesh("a", 0).fields] == ["displacement", "stress"]


def test_nothing_to_show(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.vtu: no such file or folder"):
        find_cases([tmp_path / "none.vtu"])
    with pytest.raises(ValueError, match=r"expected the folder of a run .* mesh files of a type"):
        find_cases([tmp_path])
    with pytest.raises(ValueError, match="data: expected a run"):
        find_cases([tmp_path], data=tmp_path)


def test_a_download_is_a_prediction_again(prediction, tmp_path):
    store = CaseStore([ViewCase("a", lambda: prediction)])
    write_fields(store.mesh("a", 0).grid, tmp_path / "out.vtu")
    assert is_prediction(tmp_path / "out.vtu")
    found = read_prediction(tmp_path / "out.vtu")
    assert found.units == {"displacement": "mm", "stress": "MPa"}
    assert found.predicted["stress"].flatten().tolist() == pytest.approx(
        prediction.predicted["stress"].flatten().tolist()
    )
