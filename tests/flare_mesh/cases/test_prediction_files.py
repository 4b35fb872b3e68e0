import pytest

from flare_mesh.cases.prediction_files import find_prediction_files
from flare_mesh.cases.recipe import CaseRecipe
from flare_mesh.io import MeshFileWarning
from flare_mesh.prediction.outputs import output_paths

PLAIN, PARTS = CaseRecipe(), CaseRecipe(source="lpbf")
SERIES = CaseRecipe(inputs={"T_in": 1}, window=(1, 1))


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def names(cases):
    return [case.name for case in cases]


def test_files_of_a_folder(tmp_path):
    touch(tmp_path, "b.vtu", "a.stl", "sub/c.vtk", "notes.txt", ".d.vtu", "out/b.vtu", "e.3mf")
    out = tmp_path / "out"
    assert names(find_prediction_files([tmp_path], PLAIN, leave_out=[out])) == ["a", "b", "sub/c"]
    assert names(find_prediction_files([tmp_path], PARTS, leave_out=[out])) == [
        "a",
        "b",
        "e",
        "sub/c",
    ]
    assert names(find_prediction_files([tmp_path / "b.vtu", tmp_path / "sub"], PLAIN)) == ["b", "c"]
    with pytest.raises(
        FileNotFoundError, match="z.vtu: no such file; give a mesh file or a folder"
    ):
        find_prediction_files([tmp_path / "z.vtu"], PLAIN)
    with pytest.raises(ValueError, match=r"out/b.vtu: .* the same name, 'b', as that of .*b.vtu"):
        find_prediction_files([tmp_path / "b.vtu", out], PLAIN)
    (tmp_path / "empty").mkdir()
    for recipe in (PLAIN, PARTS):
        with pytest.raises(FileNotFoundError, match="empty: no "):
            find_prediction_files([tmp_path / "empty"], recipe)


def test_links_out_of_a_folder(tmp_path):
    touch(tmp_path, "in/a.vtu", "all/b.vtu")
    (tmp_path / "in/b.vtu").symlink_to("../all/b.vtu")
    with pytest.warns(MeshFileWarning, match=r"links out of the folder \(b.vtu\)"):
        assert names(find_prediction_files([tmp_path / "in"], PLAIN)) == ["a"]
    assert names(find_prediction_files([tmp_path / "in"], PLAIN, follow_links=True)) == ["a", "b"]
    assert names(find_prediction_files([tmp_path / "in/b.vtu"], PLAIN)) == ["b"]


def test_steps_of_series(tmp_path):
    touch(tmp_path, "s1/t_0.vtu", "s1/t_1.vtu", "s2/t_3.vtu", "s2/t_4.vtu", "s2/t_5.vtu")
    found = find_prediction_files([tmp_path], SERIES)
    assert names(found) == ["s1/t", "s2/t"]
    assert [step.time for step in found[1].steps] == [3.0, 4.0, 5.0]
    (tmp_path / "all.pvd").write_text(
        '<VTKFile><Collection><DataSet timestep="2" file="s1/t_1.vtu"/>'
        '<DataSet timestep="1" file="s1/t_0.vtu"/></Collection></VTKFile>'
    )
    (one,) = find_prediction_files([tmp_path / "all.pvd"], SERIES)
    assert one.name == "all"
    assert [step.file for step in one.steps] == [str(tmp_path / f"s1/t_{i}.vtu") for i in (0, 1)]
    (single,) = find_prediction_files([tmp_path / "s1/t_0.vtu"], SERIES)
    assert len(single.steps) == 1


def test_outputs(tmp_path):
    touch(tmp_path, "in/a.vtu", "in/sub/b.vtk", "in/s/t_0.vtu", "in/s/t_1.vtu")
    one = find_prediction_files([tmp_path / "in/a.vtu"], PLAIN)
    several = find_prediction_files([tmp_path / "in/a.vtu", tmp_path / "in/sub"], PLAIN)
    out = tmp_path / "out"
    one_file = {"suffix": ".vtu", "one_file": True}
    assert output_paths(out / "x.xdmf", one, **one_file) == [out / "x.xdmf"]
    assert output_paths(out, one, **one_file) == [out / "a.vtu"]
    many = {"suffix": ".vtp", "one_file": False}
    assert output_paths(out, several, **many) == [out / "a.vtp", out / "b.vtp"]
    with pytest.raises(ValueError, match="x.vtu: expected a folder for several predictions"):
        output_paths(out / "x.vtu", several, **many)
    with pytest.raises(ValueError, match="a.vtu: would overwrite an input"):
        output_paths(tmp_path / "in/sub/../a.vtu", one, **one_file)
    with pytest.raises(ValueError, match="would overwrite an input"):
        output_paths(tmp_path / "in", one, **one_file)
    (tmp_path / "a.vtu").mkdir()
    with pytest.raises(ValueError, match="a.vtu: is a folder; choose another name"):
        output_paths(tmp_path, one, **one_file)
    with pytest.raises(NotADirectoryError, match="in/a.vtu is a file, not a folder"):
        output_paths(tmp_path / "in/a.vtu/x", several, **many)
    series = find_prediction_files([tmp_path / "in/s"], SERIES)
    steps = {"suffix": ".pvd", "one_file": True}
    assert output_paths(out / "x.pvd", series, **steps) == [out / "x.pvd"]
    with pytest.raises(ValueError, match="s.pvd: would overwrite an input"):
        output_paths(tmp_path / "in/s.pvd", series, **steps)
