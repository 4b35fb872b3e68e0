import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from lpbf import Process, simulate, voxelize
from lpbf.calibrate import SPECIMENS
from lpbf.calibrate.__main__ import main
from lpbf.calibrate.specimens import read_specimen

SMALL = "--dimensions length=8 width=2 height=4.8 pillar=2"


def run(command):
    return main(shlex.split(command))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def filled(folder, capsys):
    """A measurement of the simulated bridge, in the file that was written to be filled in."""
    assert run(f"--specimen bridge --write bridge.stl --preset 316L {SMALL}") == 0
    assert capsys.readouterr().out == "written: bridge.stl, bridge.yaml\n"
    kind = {"kind": "bridge", "length": 8.0, "width": 2.0, "height": 4.8, "pillar": 2.0}
    mesh = voxelize(read_specimen(kind).surface(), (1.0, 1.0, 0.4))
    process = Process.preset("316L", release=True, heat=None, inherent_strain=(-0.003,) * 3)
    result = simulate(mesh, process)
    text = Path("bridge.yaml").read_text()
    for position, _ in read_specimen(kind).points():
        node = np.abs(mesh.points - position).sum(axis=1).argmin()
        # Points of the middle lie on nodes, as the width is two voxels.
        np.testing.assert_allclose(mesh.points[node], position, atol=1e-9)
        text = text.replace("value: }", f"value: {result.displacement[node, 2]:.9f}}}", 1)
    Path("bridge.yaml").write_text(text.replace("uncertainty: 0.01", "uncertainty: 0.0001"))
    return folder / "bridge.yaml"


def test_a_measurement_to_a_process(filled, capsys):
    assert run("bridge.yaml --out out/process.yaml --plot out/plot.png") == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "bridge.yaml: 9 values, parameters: isotropic" in said.out
    assert "simulation 1: strain " in said.out
    assert "chi-square" in said.out
    assert "written: out/process.yaml, out/plot.png" in said.out
    table = said.out.split("ratio\n")[1].splitlines()
    assert table[0].split()[:5] == ["0", "-4", "0", "0", "z"]
    process = Process.from_yaml("out/process.yaml")
    np.testing.assert_allclose(process.inherent_strain, -0.003, rtol=1e-4)
    assert process.strain_source.measurement == "bridge.yaml"
    assert process.heat == Process.preset("316L").heat
    first = Path("out/process.yaml").read_bytes()
    assert Path("out/plot.png").read_bytes().startswith(b"\x89PNG")
    assert run("bridge.yaml --out again.yaml") == 0
    assert Path("again.yaml").read_bytes() == first


def test_warnings_are_printed(filled, capsys):
    text = re.sub("value: [^}]*", "value: 0.1", filled.read_text(), count=1)
    filled.write_text(re.sub("specimen: .*", "part: bridge.stl", text))
    assert run("bridge.yaml --out process.yaml") == 0
    said = capsys.readouterr()
    assert "\nbridge.stl: 8 x 2 x 4.8 mm (its file has no unit)\n" in said.out
    of_part, of_fit = said.err.splitlines()
    assert of_part.startswith("warning: bridge.stl: is only 8 x 2 x 4.8 mm")
    assert of_fit.startswith("warning: the residuals are")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("", "expected a measurement and --out, or --specimen and --write"),
        ("bridge.yaml", "(got no --out)"),
        ("--out p.yaml", "(got no measurement)"),
        ("none.yaml --out p.yaml", "none.yaml: no such file"),
        ("bridge.yaml --out p.txt", "expected a file of type .yaml, .yml for --out"),
        ("bridge.yaml --out bridge.yaml", "choose another --out"),
        ("bridge.yaml --out p.yaml --plot p.docx", "p.docx: expected a picture of type"),
        ("bridge.yaml --out p.yaml --pitch 2", "--pitch: has no effect without --specimen"),
        ("bridge.yaml --specimen bridge --write a.stl", "measurement: has no effect with --specim"),
        ("--specimen bridge", "expected --write with the STL file"),
        ("--specimen bridge --write a.ply", "expected a file of type .stl"),
        ("--specimen bridge --write bridge.stl", "bridge.yaml: exists and may hold"),
        ("--specimen bridge --write a.stl --dimensions length", "expected NAME=MM"),
        ("--specimen bridge --write a.stl --dimensions lenght=2", "unknown field 'lenght'"),
        ("--specimen bridge --write a.stl --dimensions width=2 width=3", "another 'width'"),
        ("--specimen bridge --write a.stl --pitch -1", "expected pitch > 0 mm (got -1.0)"),
        ("--specimen bridge --write a.stl --pitch nan", "expected pitch > 0 mm (got nan)"),
    ],
)
def test_bad_input(folder, capsys, command, message):
    Path("bridge.yaml").write_text("points: []")
    assert run(command) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert sorted(path.name for path in folder.iterdir()) == ["bridge.yaml"]


def test_an_unfilled_file_is_refused(folder, capsys):
    for kind in SPECIMENS:
        assert run(f"--specimen {kind} --write {kind}.stl") == 0
        assert run(f"{kind}.yaml --out process.yaml") == 2
        assert "expected the measured value in mm (got none)" in capsys.readouterr().err
