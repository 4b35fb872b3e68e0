import os

import pytest

from flare_mesh.cases.case_files import find_case_files


def touch(root, *names, text=""):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def found(root, series=False, **options):
    return {
        case.name: [os.path.basename(step.file) for step in case.steps]
        for case in find_case_files(root, series=series, **options)
    }


def test_names_and_patterns(tmp_path, monkeypatch):
    touch(tmp_path, "a.vtu", "b/c.1.vtu", "b/d.stl", ".e.vtu", ".f/g.vtu", "skipped/h.vtu", "i.txt")
    expected = {"a": ["a.vtu"], "b/c.1": ["c.1.vtu"], "b/d": ["d.stl"]}
    leave_out = [tmp_path / "skipped"]
    assert found(tmp_path, leave_out=leave_out) == expected
    assert [*found(tmp_path, pattern="b/*", leave_out=leave_out)] == ["b/c.1", "b/d"]
    assert [*found(tmp_path, pattern="**/*.vtu", leave_out=leave_out)] == ["a", "b/c.1"]
    with pytest.raises(FileNotFoundError, match=r"that match '\*\.ply'"):
        find_case_files(tmp_path, series=False, pattern="*.ply")
    with pytest.raises(ValueError, match="invalid pattern"):
        find_case_files(tmp_path, series=False, pattern="/etc/*")
    monkeypatch.chdir(tmp_path)
    here = type(tmp_path)(".")
    assert found(here, leave_out=[here / "skipped"]) == expected
    assert [*found(here, pattern="**/*.stl")] == ["b/d"]


def test_series_of_the_same_name_in_two_formats(tmp_path):
    touch(tmp_path, "a_1.vtu", "a_2.vtu", "a_1.vtk", "a_2.vtk")
    with pytest.raises(ValueError, match="makes a case of the same name, 'a', as .*; rename"):
        find_case_files(tmp_path, series=True)
    assert found(tmp_path, True, pattern="*.vtk") == {"a": ["a_1.vtk", "a_2.vtk"]}


def test_two_files_of_a_series_with_the_same_number(tmp_path):
    touch(tmp_path, "s_1.vtu", "s_001.vtu", "s_2.vtu")
    with pytest.raises(ValueError, match=r"has the same number, 1, as .*s_001\.vtu"):
        find_case_files(tmp_path, series=True)


def test_an_xdmf_time_series_is_not_a_single_case(tmp_path):
    touch(tmp_path, "a.vtu", "empty.xdmf")
    touch(tmp_path, "run.xdmf", text='<Xdmf><Grid CollectionType="Temporal"/></Xdmf>')
    (tmp_path / "gone.xdmf").symlink_to(tmp_path / "nothing")
    assert [*found(tmp_path)] == ["a", "empty", "gone"]
    with pytest.raises(FileNotFoundError, match="need a window"):
        find_case_files(tmp_path, series=False, pattern="run*")


@pytest.mark.parametrize("text", ["nonsense", '<a><DataSet timestep="0" file="../x.vtu"/></a>'])
def test_damaged_collections_are_cases_with_an_error(tmp_path, text):
    touch(tmp_path, "s_1.vtu", "s_2.vtu")
    touch(tmp_path, "run.pvd", "time.xdmf", text=text)
    cases = {case.name: case for case in find_case_files(tmp_path, series=True)}
    assert str(tmp_path / "run.pvd") in cases["run"].error
    assert cases["s"].error is None
    assert len(cases["s"].steps) == 2


def test_damaged_containers_are_cases_with_an_error(tmp_path):
    touch(tmp_path, "a.vtu")
    touch(tmp_path, "all.pvtu", text='<VTKFile><Piece Source="../x.vtu"/></VTKFile>')
    a, whole = find_case_files(tmp_path, series=False)
    assert (a.name, a.error, whole.name) == ("a", None, "all")
    assert "which is outside" in whole.error
