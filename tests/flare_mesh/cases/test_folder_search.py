import os

import pytest

from flare_mesh.cases import case_files
from flare_mesh.cases.folder_search import find_case_files
from flare_mesh.io import MeshFileWarning


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


@pytest.fixture
def times(monkeypatch):
    """Times of each step of a file, by its name, in place of those in the file."""
    known = {}
    monkeypatch.setattr(case_files, "mesh_times", lambda path: known.get(path.name, []))
    return known


def test_files_with_several_times(tmp_path, times):
    touch(tmp_path, "a.xdmf", "b.xdmf", "c.xdmf", "d_1.xdmf", "d_2.xdmf", "e.vtu")
    times.update({"a.xdmf": [0.0, 1.0], "b.xdmf": [3.0], "d_1.xdmf": [1.0]})
    with pytest.warns(MeshFileWarning, match=r"no time series \(b.xdmf, c.xdmf, e.vtu\)"):
        a, d = find_case_files(tmp_path, series=True)
    assert [step[1:] for step in a.steps] == [(0, 0.0), (1, 1.0)]
    assert [step[1:] for step in d.steps] == [(None, 1.0), (None, 2.0)]
    # One mesh a case: which step is read must be chosen.
    assert {case.steps[0].number for case in find_case_files(tmp_path, series=False)} == {None}
    chosen = {case.name: case.steps for case in find_case_files(tmp_path, series=False, step=-1)}
    assert [*chosen] == ["a", "b", "c", "d_1", "d_2", "e"]
    assert (chosen["a"][0].number, chosen["e"][0].number) == (-1, None)


def pvd(*files):
    rows = "".join(f'<DataSet timestep="{time}" file="{file}"/>' for time, file in files)
    return f"<VTKFile><Collection>{rows}</Collection></VTKFile>"


def test_the_chosen_step_of_a_collection(tmp_path):
    touch(tmp_path, "alone.vtu", "parts/a.vtu", "parts/b.vtu")
    touch(tmp_path, "run.pvd", text=pvd((2, "parts/a.vtu"), (1, "parts/b.vtu")))
    assert [*found(tmp_path)] == ["alone", "parts/a", "parts/b"]
    assert found(tmp_path, step=-1) == {"alone": ["alone.vtu"], "run": ["a.vtu"]}
    assert found(tmp_path, step=0)["run"] == ["b.vtu"]
    cases = {case.name: case for case in find_case_files(tmp_path, series=False, step=2)}
    assert "expected a step from -2 to 1 (got 2); its times are 1, 2" in cases["run"].error
    assert cases["alone"].error is None


def test_series_files_of_paraview(tmp_path):
    touch(tmp_path, "VTK/run_0.vtu", "VTK/run_100.vtu", "VTK/run_200.vtu", "other.series")
    names = [("run_200.vtu", 0.5), ("run_0.vtu", 0), ("run_100.vtu", 0.25)]
    files = ",".join(f'{{"name": "{name}", "time": {time}}}' for name, time in names)
    text = f'{{"file-series-version": "1.0", "files": [{files}]}}'
    touch(tmp_path, "VTK/run.vtu.series", text=text)
    (case,) = find_case_files(tmp_path, series=True)
    assert (case.name, [step.time for step in case.steps]) == ("VTK/run", [0, 0.25, 0.5])
    assert os.path.basename(case.steps[2].file) == "run_200.vtu"
    assert len(found(tmp_path)) == 3
    assert found(tmp_path, step=-1) == {"VTK/run": ["run_200.vtu"]}
    for bad in ("[]", "{}", '{"files": [{"name": "run_0.vtu"}]}', text.replace("0.25", "1e400")):
        touch(tmp_path, "VTK/run.vtu.series", text=bad)
        cases = find_case_files(tmp_path, series=True, pattern="**/*.series")
        assert "run.vtu.series: damaged" in cases[0].error
    touch(tmp_path, "VTK/run.vtu.series", text=text.replace("run_0.vtu", "../../x.vtu"))
    (case,) = find_case_files(tmp_path, series=True, pattern="**/*.series")
    assert "which is outside" in case.error


def test_times_of_a_collection_that_are_no_numbers(tmp_path):
    touch(tmp_path, "a.vtu", "run.pvd", text=pvd(("nan", "a.vtu"), (1, "b.vtu")))
    (case,) = find_case_files(tmp_path, series=True, pattern="*.pvd")
    assert "run.pvd: damaged .pvd collection" in case.error


def test_what_is_in_no_series_is_named(tmp_path):
    touch(tmp_path, "mesh.vtu", "s_0.5.vtu", "s_1.vtu", "s_2.vtk", "s_1.5.vtu", "x/last.vtu")
    touch(tmp_path, "one.pvd", text=pvd((0, "mesh.vtu")))
    with pytest.warns(MeshFileWarning) as warned:
        cases = found(tmp_path, True)
    assert cases == {"s": ["s_0.5.vtu", "s_1.vtu", "s_1.5.vtu"]}
    assert [str(one.message) for one in warned] == [
        f"{tmp_path}: left out: files that are in no time series (mesh.vtu, one.pvd, s_2.vtk, "
        f"x/last.vtu): names of a series differ in the number at their end"
    ]
    for number in range(20):
        touch(tmp_path, f"y/{number:02d}_flow.vtu")
    with pytest.raises(FileNotFoundError, match=r"no time series .* \(y/00_flow.vtu, .*, and 10 m"):
        found(tmp_path, True, pattern="y/*")


def test_unequal_intervals_are_named(tmp_path):
    touch(tmp_path, *(f"a_{n}.vtu" for n in (0, 1, 2, 4, 5)), *(f"b_{n}.vtu" for n in range(3)))
    touch(tmp_path, *(f"c_{n}.vtu" for n in (0, 10, 20)))
    with pytest.warns(MeshFileWarning) as warned:
        found(tmp_path, True)
    unequal, different = (str(one.message) for one in warned)
    assert "unequal intervals between their steps: 'a' (2 to 4, usually 1 apart); " in unequal
    assert "intervals that differ from that of 'b', 1: 'c' (10); a window counts" in different


def test_linked_folders(tmp_path):
    root = tmp_path / "data"
    touch(root, "all/1/out.vtu", "all/2/out.vtu", "all/2/sub/x.vtu")
    touch(tmp_path, "scratch/run/out.vtu", "scratch/notes/a.txt", "scratch/b.vtu")
    (root / "train").mkdir()
    (root / "train/one").symlink_to(root / "all/1")
    (root / "train/two").symlink_to("../all/2")
    (root / "all/2/sub/circle").symlink_to(root / "all")
    # As the split of a folder of all cases.
    assert [*found(root / "train", within=root)] == ["one/out", "two/out", "two/sub/x"]
    assert [*found(root / "train", within=root, pattern="*/out.*")] == ["one/out", "two/out"]
    # Each file once, under its own path.
    assert [*found(root)] == ["all/1/out", "all/2/out", "all/2/sub/x"]
    (root / "far").symlink_to(tmp_path / "scratch/run")
    (root / "b.vtu").symlink_to(tmp_path / "scratch/b.vtu")
    (root / "notes.txt").symlink_to(tmp_path / "scratch/notes/a.txt")
    with pytest.warns(MeshFileWarning, match=r"links out of the folder \(b.vtu, far\), which foll"):
        assert len(found(root)) == 3
    followed = found(root, follow_links=True)
    assert [*followed] == ["all/1/out", "all/2/out", "all/2/sub/x", "b", "far/out"]
    with pytest.raises(FileNotFoundError, match=r"no mesh files.*; left out: links out of"):
        found(root, pattern="far/*")


def test_links_to_files(tmp_path):
    touch(tmp_path, "step_1.vtu", "step_2.vtu")
    (tmp_path / "latest.vtu").symlink_to("step_2.vtu")
    (tmp_path / "gone.vtu").symlink_to("nothing.vtu")
    assert [*found(tmp_path)] == ["gone", "step_1", "step_2"]


def test_a_collection_in_a_linked_folder(tmp_path):
    touch(tmp_path, "disk/a.vtu", "disk/b.vtu", "data/c.txt")
    touch(tmp_path, "disk/run.pvd", text=pvd((0, "a.vtu"), (1, "b.vtu")))
    (tmp_path / "data/case").symlink_to(tmp_path / "disk")
    (case,) = find_case_files(tmp_path / "data", series=True, follow_links=True)
    assert (case.name, case.error, len(case.steps)) == ("case/run", None, 2)


def test_folders_that_cannot_be_read(tmp_path, monkeypatch):
    touch(tmp_path, "a.vtu", "private/b.vtu")
    real = os.scandir

    def scandir(path):
        if str(path).endswith(closed):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    closed = "private"
    with pytest.warns(MeshFileWarning, match=r"folders that cannot be read \(private\)"):
        assert [*found(tmp_path)] == ["a"]
    closed = tmp_path.name
    with pytest.raises(PermissionError, match="Permission denied"):
        found(tmp_path)


def test_openfoam_cases_are_named(tmp_path):
    touch(tmp_path, "cavity/constant/polyMesh/points", "cavity/0/p", "cavity/cavity.foam")
    touch(tmp_path, "cavity/processor0/constant/polyMesh/points")
    with pytest.raises(FileNotFoundError, match=r"OpenFOAM cases \(cavity\): convert .* foamToVTK"):
        found(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"OpenFOAM cases \(\.\): convert"):
        found(tmp_path / "cavity")
    touch(tmp_path, "other.vtu")
    with pytest.warns(MeshFileWarning, match=r"OpenFOAM cases \(cavity\)"):
        assert [*found(tmp_path)] == ["other"]
    touch(tmp_path, "cavity/VTK/cavity_100.vtu")
    assert [*found(tmp_path)] == ["cavity/VTK/cavity_100", "other"]


def test_patterns_of_folders(tmp_path):
    touch(tmp_path, "a.vtu", "b/c.vtu", "b/d/e.vtu", "b/d/e.vtk", "bb/x.vtu")
    for pattern, expected in {
        "**/*.vtu": ["a", "b/c", "b/d/e", "bb/x"],
        "*": ["a"],
        "*/*": ["b/c", "bb/x"],
        "b/**/*.vtu": ["b/c", "b/d/e"],
        "**/d/**/e.vtu": ["b/d/e"],
        "b?/[wx].vtu": ["bb/x"],
    }.items():
        assert [*found(tmp_path, pattern=pattern)] == expected
    for pattern in ("", ".", "/etc/*", "**.vtu"):
        with pytest.raises(ValueError, match="invalid pattern"):
            found(tmp_path, pattern=pattern)


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
