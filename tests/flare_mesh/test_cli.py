import subprocess
import sys

import meshio
import pytest
import trimesh

from flare_mesh.cli import main


@pytest.fixture
def part(tmp_path):
    path = tmp_path / "in" / "part.stl"
    path.parent.mkdir()
    trimesh.creation.box((20.0, 12.0, 16.0)).export(path)
    return str(path)


def test_predict(trained, part, tmp_path, capsys):
    out, picture = tmp_path / "part.vtu", tmp_path / "part.png"
    arguments = ["--model", str(trained[0]), "--part", part, "--out", str(out)]
    assert main(["predict", *arguments, "--simulate", "true", "--picture", str(picture)]) == 0
    printed = capsys.readouterr().out
    assert "predicted 120 nodes in" in printed
    assert "relative L2 error of displacement: " in printed
    assert f"picture: {picture}" in printed
    assert "error_displacement" in meshio.read(out).point_data
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_predict_leaves_nothing_behind_on_bad_input(trained, part, tmp_path, capsys):
    model = str(trained[0])
    cases = [
        (["--model", model, "--part", "none.stl", "--out", "x.vtu"], "none.stl: no such file"),
        (
            ["--model", model, "--part", part, "--out", "x.what"],
            "expected a name that ends in .vtu or .vtk",
        ),
        (["--model", "nowhere", "--part", part, "--out", "x.vtu"], "no trained surrogate there"),
        (
            ["--model", model, "--part", part, "--out", "x.vtu", "--pitch", "0.05"],
            "voxels, over the limit of",
        ),
        (
            ["--model", model, "--part", part, "--out", "x.vtu", "--picture", "x.gif"],
            "ends in .png",
        ),
        (["--model", model, "--part", part, "--out", f"{part}/x.vtu"], "is a file, not a folder"),
        (["--model", model, "--part", "a.vtu", "--out", "a.vtu"], "would overwrite the part"),
    ]
    for arguments, message in cases:
        before = set(tmp_path.iterdir())
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path)
            assert main(["predict", *arguments]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert len(error.splitlines()) == 1
        assert set(tmp_path.iterdir()) == before


def test_unknown_option_exits_2(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["predict", "--modle", "x"])
    assert stop.value.code == 2
    assert "modle" in capsys.readouterr().err


def test_module_runs():
    done = subprocess.run(
        [sys.executable, "-m", "flare_mesh", "--help"], capture_output=True, text=True, check=True
    )
    assert "{fit,predict}" in done.stdout
