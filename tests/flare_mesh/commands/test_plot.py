from pathlib import Path

import pytest
import torch
from PIL import Image

from flare_mesh import MeshData
from flare_mesh.cli import main
from flare_mesh.io import write_mesh

SIZE = ["--size", "160", "120"]


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A mesh file in the working folder, where there is no screen."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    pos = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    mesh = MeshData(pos, tetra=torch.tensor([[0, 1, 2, 3]]), units={"load": "N"})
    mesh.load, mesh.predicted_load, mesh.u = pos[:, 0], 0.9 * pos[:, 0], 0.1 * pos
    write_mesh("part.vtu", mesh)
    return "part.vtu"


def test_a_picture_beside_the_file(file, tmp_path, capsys):
    assert main(["plot", file, "--field", "load", "--warp", "u", "--clip", "x<0.5", *SIZE]) == 0
    assert capsys.readouterr().out == "picture: part.load.png\n"
    with Image.open("part.load.png") as picture:
        assert picture.size == (160, 120)
    given = ["--slice", "z=0.1", "y", "--clim", "-1", "1", "--no-edges", "--view", "1", "0", "0"]
    assert main(["plot", file, "--field", "u", "--component", "x", *given, *SIZE]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {file, "part.load.png", "part.u.png"}


def test_a_comparison(file, capsys):
    given = ["--field", "load", "--compare", "predicted_load", "--out", "both.svg"]
    assert main(["plot", file, *given, "--size", "300", "100"]) == 0
    text = Path("both.svg").read_text()
    assert all(name in text for name in ("predicted_load", "difference of load"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--field", "lod"], "no field 'lod'; did you mean 'load'? The fields are load, predicted"),
        (["--field", "load", "--out", "a.jpg"], "a.jpg: expected the name of a picture"),
        (["--compare", "load"], "compare: expected a field to compare; give --field"),
        (["--field", "load", "--out", "a.gif"], "expected a series of several meshes"),
        (["--out", "a.gif", "--step", "1"], "a.gif: an animation has no compare and no step"),
        (["--field", "load", "--clim", "1"], "clim: expected list (got 1)"),
        (["--field", "load", "--slice", "z=5"], "slice: 'z=5' does not meet the mesh"),
        (["--colour", "red"], "unknown option '--colour'"),
    ],
)
def test_bad_input(file, capsys, options, message):
    assert main(["plot", file, *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1


def test_a_comparison_with_a_missing_file(file, capsys):
    given = ["--field", "load", "--compare", "prat.vtu", "--out", "both.png"]
    assert main(["plot", file, *given]) == 2
    assert "prat.vtu: no such file; give the path of a mesh file" in capsys.readouterr().err
