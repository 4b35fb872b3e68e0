import json
import resource
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh

from flare_mesh.cases.case_files import series_steps
from flare_mesh.io import read_mesh
from lpbf import Process, SolverError, simulate, voxelize
from lpbf.core.base_plate import BasePlate
from lpbf.core.heat import Heat
from lpbf.core.strain_source import StrainSource
from lpbf.simulate.__main__ import main
from lpbf.simulate.summary import summarize, summary_text

COMMAND = sys.modules[main.__module__]  # lpbf.simulate is also the name of the function


@pytest.fixture
def part(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trimesh.creation.box((12.0, 4.0, 6.0)).export("box.stl")
    return "box.stl"


def run(command):
    return main(shlex.split(command))


def read(path):
    return json.loads(Path(path).read_text())


def hook(path):
    post = trimesh.creation.box((2.0, 2.0, 10.0))
    arm = trimesh.creation.box((8.0, 2.0, 2.0)).apply_translation((3.0, 0.0, 4.0))
    tip = trimesh.creation.box((2.0, 2.0, 6.0)).apply_translation((6.0, 0.0, 2.0))
    trimesh.boolean.union([post, arm, tip], engine="manifold").export(path)


def test_a_part_to_a_result(part, capsys):
    command = f"{part} --out out/box.vtu --pitch 2,2,2 --report out/box.json --verbose"
    assert run(command) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.startswith(
        "box.stl: 12 x 4 x 6 mm (its file has no unit)\n"
        "box.stl: 84 nodes, 36 voxels of 2 x 2 x 2 mm, 3 layers of 2 mm"
    )
    assert "and 12 x 4 x 6 of its 12 x 4 x 6 mm; mean wall 2 mm, thinnest 4 mm at (" in said.out
    assert "max von Mises" in said.out
    assert "written: out/box.vtu, out/box.json" in said.out

    expected = simulate(voxelize(part, 2.0))
    mesh = read_mesh("out/box.vtu")
    np.testing.assert_allclose(mesh.displacement, expected.displacement, rtol=1e-4, atol=1e-7)
    written = read("out/box.json")
    assert written["mesh"] == {"num_nodes": 84, "num_cells": 36, "spacing_mm": [2.0, 2.0, 2.0]}
    assert written["process"] == Process().to_dict()
    assert written["warnings"] == []
    assert written["report"]["solver"] == expected.solver
    summary = summarize(expected)
    assert written["summary"]["placement"] == summary.pop("placement")
    for name, value in summary.items():
        assert written["summary"][name] == pytest.approx(value, rel=1e-6)


def test_supports(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    hook("hook.stl")
    assert run("hook.stl --out a.vtu --pitch 1,1,1 --supports auto --report a.json") == 0
    said = capsys.readouterr()
    assert said.err == ""
    written = read("a.json")
    assert written["process"]["supports"]["generate"] is True
    # Under the arm between the voxels next to the post and the tip, and under the tip.
    assert written["summary"]["support_volume_mm3"] == 2 * (2 * 8 + 2 * 4)
    assert written["summary"]["support_contact_area_mm2"] == 2 * (2 + 2)
    assert written["summary"]["part_volume_mm3"] == 80
    assert "48 mm3 around their walls, which touch the part on 8 mm2" in said.out
    mesh = read_mesh("a.vtu")
    assert int(mesh.cell_fields["is_support"].sum()) == 48
    assert mesh.support_share.max() == 1  # at nodes of supports alone
    # The same as a body in a file.
    block = trimesh.creation.box((1.0, 2.0, 8.0)).apply_translation((2.5, 0.0, -1.0))
    block.export("block.stl")
    assert run("hook.stl --out b.vtu --pitch 1,1,1 --supports block.stl --islands drop") == 0
    assert "16 mm3 around their walls" in capsys.readouterr().out
    assert run("hook.stl --out b.vtu --pitch 1,1,1 --supports auto --islands drop") == 2
    assert "expected islands or generated supports" in capsys.readouterr().err
    block.apply_translation((20.0, 0.0, 0.0)).export("far.stl")
    assert run("hook.stl --out b.vtu --pitch 1,1,1 --supports far.stl") == 2
    assert "far.stl: expected supports within the part's box of (-1, -1, -5)" in (
        capsys.readouterr().err
    )
    assert run("hook.stl --out b.vtu --pitch 1,1,1 --supports none.stl") == 2
    assert "none.stl: no such file" in capsys.readouterr().err


def test_the_process_comes_from_a_file_and_options(part):
    Process(inherent_strain=(-0.002, -0.001, 0.0), layer_height=2.0).to_yaml("mine.yaml")
    command = f"{part} --out a.vtu --pitch 2 --pitch-z 1 --process mine.yaml --report a.json"
    assert main([*command.split(), "--scan-rotation", "67", "--temperature", "80"]) == 0
    written = read("a.json")
    assert written["mesh"]["spacing_mm"] == [2.0, 2.0, 1.0]
    assert written["process"] == {
        **Process.from_yaml("mine.yaml").to_dict(),
        "scan_rotation": 67.0,
        "temperature": 80.0,
    }
    assert written["summary"]["max_temperature_c"] == 80.0


def test_all_models(part, capsys):
    command = f"{part} --out a.vtu --pitch 2,2,2 --preset 316L --no-heat --series steps.pvd"
    models = "--plasticity --release --base-plate 4 --powder-layers 2 --scan cross --verbose"
    assert run(f"{command} {models} --report a.json") == 0
    said = capsys.readouterr().out
    for text in ("mm on the plate", "max plastic strain", "recoater", "layer 2", "release"):
        assert text in said
    process = Process.preset("316L", heat=None, plasticity=True, release=True, powder_layers=2)
    process = replace(process.with_scan("cross"), base_plate=BasePlate(thickness=4.0))
    assert read("a.json")["process"] == process.to_dict()

    result = simulate(voxelize(part, 2.0), process, history=True)
    mesh = read_mesh("a.vtu")
    for name in ("displacement", "displacement_on_plate", "plastic_strain", "principal_stress"):
        expected = getattr(result, name)
        np.testing.assert_allclose(
            getattr(mesh, name), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max()
        )
    steps = series_steps(Path("steps.pvd"))
    assert steps is not None
    assert len(steps) == len(result.history) == 4  # three layers and the release
    for step, state in zip(steps, result.history, strict=True):
        np.testing.assert_allclose(
            read_mesh(step.file).displacement, state.displacement, rtol=1e-3, atol=1e-6
        )


def test_heat_can_be_added_and_left_out(part):
    assert run(f"{part} --out a.vtu --pitch 2,2,2 --heat --report a.json") == 0
    assert read("a.json")["process"]["heat"] == Process(heat=Heat()).to_dict()["heat"]
    assert read("a.json")["summary"]["max_temperature_c"] > 30
    assert run(f"{part} --out a.vtu --pitch 2,2,2 --preset 316L --no-heat --report a.json") == 0
    assert read("a.json")["process"]["heat"] is None


@pytest.mark.parametrize(
    ("options", "spacing", "layers"),
    [
        ("", (0.2, 0.2, 0.2), "6 layers of 0.4 mm"),
        ("--layer-height 0.38", (0.2, 0.2, 0.19), "7 layers of 0.38 mm"),
        ("--pitch 2", (2, 2, 0.4), "6 layers of 0.4 mm"),
        ("--pitch 0.3", (0.3, 0.3, 0.4), "6 layers of 0.4 mm"),
        ("--pitch 2,2,0.3", (2, 2, 0.3), "8 layers of 0.3 mm (rows of voxels; the default is 0.4"),
        ("--pitch 2 --pitch-z 1.2", (2, 2, 1.2), "2 layers of 1.2 mm (rows of voxels; the default"),
    ],
)
def test_layers_do_not_follow_the_pitch(tmp_path, monkeypatch, capsys, options, spacing, layers):
    monkeypatch.chdir(tmp_path)
    trimesh.creation.box((8.0, 2.0, 2.4)).export("bar.stl")
    assert run(f"bar.stl --out a.vtu --report a.json {options}") == 0
    np.testing.assert_allclose(read("a.json")["mesh"]["spacing_mm"], spacing)
    assert layers in capsys.readouterr().out


def test_build_volume(part, capsys):
    trimesh.creation.box((400.0, 30.0, 30.0)).export("long.stl")
    assert run("long.stl --out a.vtu --pitch 10,10,10") == 2
    assert "give the build volume of the machine (--build-volume, or" in capsys.readouterr().err
    assert run("long.stl --out a.vtu --pitch 10,10,10 --build-volume 400 400 400") == 0


def test_a_part_out_of_the_model_s_range(part, capsys):
    foot = trimesh.creation.box((8.0, 20.0, 8.0))
    slab = trimesh.creation.box((80.0, 20.0, 16.0)).apply_translation((36.0, 0.0, 8.0))
    trimesh.boolean.union([foot, slab], engine="manifold").export("slab.stl")
    assert run("slab.stl --out a.vtu --pitch 4,4,4 --report a.json") == 0
    said = capsys.readouterr().err
    assert said.startswith("warning: a displacement of")
    assert "is out of the range of the small-strain model; support the overhangs or" in said
    assert read("a.json")["warnings"] == [said.removeprefix("warning: ").strip()]


def test_islands(part, capsys):
    hook("hook.stl")
    assert run("hook.stl --out hook.vtu --pitch 1,1,1") == 2
    assert "4 islands are unsupported" in capsys.readouterr().err
    assert run("hook.stl --out hook.vtu --pitch 1,1,1 --islands drop --report h.json") == 0
    printed = capsys.readouterr()
    # The whole part, as the thinnest wall may be in an island.
    expected = "its voxels, before islands were dropped, hold 100 % of its volume and 8 x 2 x 10 of"
    assert expected in printed.out
    assert "thinnest 2 mm at (" in printed.out
    said = printed.err
    assert said.startswith("warning: hook.stl: dropped 4 islands")
    assert said.count("\n") == 1
    assert len(read("h.json")["warnings"]) == 1
    dropped = read("h.json")["mesh"]["num_cells"]
    assert run("hook.stl --out hook.vtu --pitch 1,1,1 --islands powder --report h.json") == 0
    assert capsys.readouterr().err == ""
    assert read("h.json")["mesh"]["num_cells"] == dropped + 2 * 2 * 4
    assert read("h.json")["process"]["islands"] == "powder"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("none.stl --out a.vtu", "none.stl: no such file"),
        ("box.stl --out a.stl", "expected a file of type .vtu, .vtk, .xdmf"),
        ("box.stl --out box.stl/a.vtu", "box.stl is a file, not a folder"),
        ("box.stl --out a.vtu --series b.vtu", "b.vtu: expected a file of type .pvd for --series"),
        ("box.stl --out a.vtu --report b.txt", "b.txt: expected a file of type .json for --report"),
        ("box.stl --out folder.vtu", "folder.vtu: is a folder"),
        (
            "box.stl --out a.vtu --pitch 0",
            "expected the pitch as one or three lengths > 0 mm (got 0.0)",
        ),
        ("box.stl --out a.vtu --pitch-z nan", "--pitch-z: expected a size > 0 mm (got nan)"),
        (
            "box.stl --out a.vtu --pitch 1,1,1 --pitch-z 1",
            "expected one edge of --pitch (got three",
        ),
        (
            "box.stl box.stl --gap 5 --out a.vtu --deformed d.stl ./d.stl",
            "--deformed: expected a file of its own for each part (got d.stl, ./d.stl)",
        ),
        ("box.stl --out a.vtu --pitch 0.01", "over the limit of 4,000,000; use a pitch of"),
        (
            "box.stl --out a.vtu --pitch 1,1,1 --layer-height 1.5",
            "not a multiple of the voxel height",
        ),
        ("box.stl --out a.vtu --material Unobtainium", "unknown material 'Unobtainium'"),
        ("box.stl --out a.vtu --process none.yaml", "none.yaml: no such file"),
        ("box.stl --out a.vtu --inherent-strain 1 0 0", "each within 0.1 of zero"),
        ("box.stl --out a.vtu --device nosuch", "or 'auto' (got 'nosuch')"),
        ("box.stl --out a.vtu --device meta", "or 'auto' (got 'meta')"),
    ],
)
def test_bad_input_is_one_line(part, capsys, tmp_path, options, message):
    (tmp_path / "folder.vtu").mkdir()
    assert run(options) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert message in said
    assert said.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["box.stl", "folder.vtu"]


@pytest.mark.parametrize(
    ("raised", "code", "message"),
    [
        (SolverError("layer 3: did not converge (residual 2 N)"), 1, "error: layer 3: did not"),
        (MemoryError(), 1, "error: out of memory; use a coarser --pitch"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_exit_codes_of_failures(part, capsys, monkeypatch, raised, code, message):
    def fail(*args, **options):
        raise raised

    monkeypatch.setattr(COMMAND, "simulate", fail)
    assert run(f"{part} --out a.vtu --pitch 2,2,2") == code
    assert capsys.readouterr().err.startswith(message)


def test_a_solution_that_is_not_finite_is_not_written(part, capsys, monkeypatch, tmp_path):
    bad = simulate(voxelize(part, 2.0))
    bad.displacement[3] = np.nan
    monkeypatch.setattr(COMMAND, "simulate", lambda *args, **options: bad)
    assert run(f"{part} --out a.vtu --pitch 2,2,2") == 1
    assert "the solution is not finite" in capsys.readouterr().err
    assert not (tmp_path / "a.vtu").exists()


def test_small_lengths_have_two_digits():
    summary = {
        **{"max_displacement_mm": 0.00016, "min_displacement_z_mm": -4.2e-5},
        **{"max_displacement_z_mm": 0.0, "max_von_mises_mpa": 1.0},
        **{"min_temperature_c": 25.0, "max_temperature_c": 25.0},
    }
    text = summary_text(summary)
    assert "max displacement    0.00016 mm\n" in text
    assert "z displacement      -4.2e-05 to 0.000 mm\n" in text


def test_a_full_disk_is_an_error(part, capsys, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
    try:
        assert run(f"{part} --out a.vtu --pitch 2,2,2") == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    expected = "error: a.vtu: cannot be written (File too large); choose another place\n"
    assert capsys.readouterr().err == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["box.stl"]


def test_the_origin_of_the_strain_is_printed(part, capsys):
    assert run(f"{part} --out box.vtu --pitch 2,2,2") == 0
    assert "inherent strain -0.004, -0.004, -0.004: not calibrated\n" in capsys.readouterr().out
    source = StrainSource(
        measurement="cantilever.yaml",
        sha256="ab" * 32,
        num_values=5,
        inherent_strain=(-0.003, -0.003, -0.003),
        intervals=(None, None, None),
        material="316L",
        plasticity=False,
        pitch=(2.0, 2.0, 2.0),
        layer_height=2.0,
    )
    process = Process("316L", inherent_strain=source.inherent_strain, strain_source=source)
    process.to_yaml("process.yaml")
    assert run(f"{part} --out box.vtu --process process.yaml --pitch 2,2,2 --report box.json") == 0
    said = capsys.readouterr()
    line = "calibrated on cantilever.yaml (5 values, sha256 abababababab)"
    assert f"inherent strain -0.003, -0.003, -0.003: {line}\n" in said.out
    assert said.err == ""
    assert read("box.json")["process"]["strain_source"]["measurement"] == "cantilever.yaml"
    command = f"{part} --out box.vtu --process process.yaml --pitch 2,2,2"
    assert run(f"{command} --inherent-strain -0.002 -0.002 -0.002") == 0
    assert "not calibrated" in capsys.readouterr().out
