import json

import meshio
import numpy as np
import pytest
import trimesh

from flare_mesh.io import write_mesh
from lpbf import Process, simulate, voxelize
from lpbf.compensate.__main__ import main
from lpbf.simulate import build_progress, estimate


@pytest.fixture
def part(tmp_path):
    part = trimesh.creation.box((12.0, 6.0, 8.0))
    part.apply_translation([40.0, 3.0, 4.0])
    part.export(tmp_path / "part.stl")
    return tmp_path / "part.stl"


def run(part, *options, out="out.stl"):
    return main([str(part), "--out", str(part.with_name(out)), "--pitch", "2,2,2", *options])


def test_within_the_tolerance(part, capsys):
    report = part.with_name("report.json")
    assert run(part, "--tolerance", "0.005", "--report", str(report)) == 0
    said, *lines = capsys.readouterr().out.splitlines()
    assert said == f"{part}: 12 x 6 x 8 mm (its file has no unit)"
    assert lines[0].startswith("estimate of 1 simulation: about 0:00:01 h on one core, 0.02")
    assert lines[1].startswith("as designed: vertices max 0.0")
    assert lines[2].startswith("iteration 1: vertices max 0.00")
    figures = json.loads(report.read_text())
    assert figures["converged"]
    assert figures["iterations"][0]["deviation"]["vertices"]["max"] > 0.01
    last = figures["iterations"][-1]["deviation"]["vertices"]["max"]
    assert last <= figures["tolerance"] == 0.005
    surface = trimesh.load_mesh(part.with_name("out.stl"))
    assert surface.is_watertight
    np.testing.assert_allclose(surface.bounds.mean(axis=0)[:2], [40.0, 3.0], atol=1e-3)
    # The part shrinks, so more is printed.
    assert surface.volume > 12 * 6 * 8


def test_not_within_the_tolerance(part, capsys):
    assert run(part, "--tolerance", "1e-9", "--max-iterations", "1") == 1
    captured = capsys.readouterr()
    assert "above the tolerance of 1e-09 mm" in captured.err
    assert "of iteration 1: max 0.00" in captured.out
    assert part.with_name("out.stl").is_file()


def test_process_and_plain_material(part, capsys):
    process = part.with_name("process.yaml")
    Process(inherent_strain=(0.0, 0.0, 0.0)).to_yaml(process)
    assert run(part, "--process", str(process), out="out.ply") == 0
    assert "\nas designed: vertices max 0.0000" in capsys.readouterr().out


def test_the_field_of_a_file_in_place_of_a_simulation(part, capsys):
    simulate(voxelize(part, 2.0)).save(part.with_name("field.vtu"))
    assert run(part, "--displacement", str(part.with_name("field.vtu"))) == 0
    assert run(part, out="two.stl") == 0
    one, two = (trimesh.load_mesh(part.with_name(name)) for name in ("out.stl", "two.stl"))
    np.testing.assert_allclose(one.vertices, two.vertices, atol=1e-5)


def test_picture(part, capsys, monkeypatch):
    drawn = []

    def plot(surface, field, *, path, **options):
        drawn.append((surface[field], path))

    monkeypatch.setattr("flare_mesh.visualize.plot_field", plot, raising=False)
    picture = str(part.with_name("picture.png"))
    assert run(part, "--picture", picture) == 0
    ((correction, path),) = drawn
    assert path == picture
    assert 0.01 < np.linalg.norm(correction, axis=1).max() < 0.1
    assert run(part, "--picture", str(part.with_name("picture.txt"))) == 2
    assert "expected a file of type .png for --picture" in capsys.readouterr().err
    monkeypatch.setattr("lpbf.core.command.find_spec", lambda name: None)
    assert run(part, "--picture", picture) == 2
    assert "needs matplotlib; pip install 'flare-mesh[view]'" in capsys.readouterr().err


def test_a_check_at_another_pitch(part, capsys, monkeypatch):
    monkeypatch.setattr(build_progress, "_SECONDS", 0.0)
    report = part.with_name("report.json")
    assert run(part, "--check-pitch", "1.4", "--report", str(report)) == 0
    captured, told = capsys.readouterr()
    steps = [line.split(":")[0] for line in told.splitlines()]
    assert steps == [f"simulation {n}, layer {k} of 4" for n in (1, 2, 3) for k in range(4)]
    assert told.splitlines()[-1].endswith("4: 100%, 0:00:00 h left")
    assert "\nestimate of 3 simulations: about 0:00:01 h" in captured
    assert "check on voxels of 1.4 x 1.4 x 2 mm" in captured
    assert "the pitches disagree about the part as designed by: vertices max 0.0" in captured
    check = json.loads(report.read_text())["check"]
    assert check["after"]["vertices"]["max"] < 0.3 * check["before"]["vertices"]["max"]


@pytest.mark.filterwarnings("ignore:.*its voxels hold")
def test_a_field_that_does_not_fit(part, capsys):
    field = part.with_name("field.vtu")
    mesh = voxelize(part, 4.0)
    cells = {"hexahedron": mesh.cells}
    data = {"displacement": np.zeros((mesh.num_nodes, 3))}
    write_mesh(field, meshio.Mesh(mesh.points, cells, point_data=data))
    assert run(part, "--displacement", str(field)) == 2
    assert "expected the nodes of the part's voxel mesh" in capsys.readouterr().err
    part.with_name("part.vtu").write_text("no mesh")
    for wrong, message in (
        (part.with_name("part.vtu"), "part.vtu"),
        (part.with_name("none.vtu"), "no such file"),
        (part, "expected a nodal field 'displacement'"),
    ):
        assert run(part, "--displacement", str(wrong)) == 2
        assert message in capsys.readouterr().err


def test_the_part_is_not_overwritten(part, capsys):
    before = part.read_bytes()
    assert run(part, out=part.name) == 2
    assert f"error: {part}: would overwrite the part" in capsys.readouterr().err
    assert part.read_bytes() == before


def test_a_report_that_cannot_be_written_is_refused_before_the_work(part, capsys):
    folder = part.with_name("folder.json")
    folder.mkdir()
    for report, message in (
        (folder, "is a folder"),
        (part.with_name("a.txt"), "type .json for"),
    ):
        assert run(part, "--report", str(report)) == 2
        assert message in capsys.readouterr().err
        assert not part.with_name("out.stl").exists()


def test_more_memory_than_there_is(part, capsys, monkeypatch):
    monkeypatch.setattr(estimate, "free_memory", lambda: 1000)
    assert run(part) == 2
    assert f"{part}: the build of 72 voxels needs about" in capsys.readouterr().err
    assert not part.with_name("out.stl").exists()


def test_bad_input(part, capsys):
    for options, message in (
        (["--tolerance", "-1"], "expected a tolerance > 0 mm"),
        (["--process", "none.yaml"], "none.yaml"),
        (["--pitch", "0"], "expected the pitch as one or three lengths > 0 mm"),
        (["--displacement", "a.vtu", "--check-pitch", "1"], "so --check-pitch has no effect"),
        (["--displacement", "a.vtu", "--release"], "so --release has no effect"),
    ):
        assert run(part, *options) == 2
        assert message in capsys.readouterr().err
    assert run(part, out="out.docx") == 2
    assert "expected a file of type .stl" in capsys.readouterr().err
    assert main([str(part), "--out", str(part / "out.stl")]) == 2
    assert "is a file, not a folder" in capsys.readouterr().err
    assert not part.with_name("out.stl").exists()
    assert run(part.with_name("none.stl")) == 2
