import signal
import subprocess
import sys
from pathlib import Path

import meshio
import numpy as np
import pytest
import trimesh
from lightning.pytorch.utilities.exceptions import SIGTERMException

from flare_mesh.cli import main
from flare_mesh.training.interrupted import InterruptedTraining


@pytest.fixture
def part(tmp_path):
    path = tmp_path / "in" / "part.stl"
    path.parent.mkdir()
    trimesh.creation.box((20.0, 12.0, 16.0)).export(path)
    return str(path)


def test_predict(trained, part, tmp_path, capsys):
    out, picture = tmp_path / "part.vtu", tmp_path / "part.png"
    arguments = ["--model", str(trained[0]), "--input", part, "--out", str(out)]
    assert main(["predict", *arguments, "--simulate", "--picture", str(picture)]) == 0
    printed = capsys.readouterr()
    assert "predicted 120 nodes in" in printed.out
    assert "relative L2 error of displacement: " in printed.out
    assert f"picture: {picture}" in printed.out
    assert "error_displacement" in meshio.read(out).point_data
    assert picture.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.filterwarnings("default")
def test_predict_a_folder_and_several_files(trained, part, tmp_path, capsys):
    folder = Path(part).parent
    (folder / "more").mkdir()
    for number, name in enumerate(["a.stl", "more/b.ply", ".hidden.stl"]):
        trimesh.creation.box((16.0, 20.0 + 40 * number, 12.0)).export(folder / name)
    checkpoint = str(trained[0] / "checkpoints/last.ckpt")
    arguments = ["--model", checkpoint, "--out", str(tmp_path / "out"), "--device", "cpu"]
    assert main(["predict", *arguments, "--input", str(folder)]) == 0
    written = sorted(
        p.relative_to(tmp_path / "out").as_posix() for p in tmp_path.glob("out/**/*.*")
    )
    assert written == ["a.vtu", "more/b.vtu", "part.vtu"]
    # One line warns of the differences from the training parts.
    warned = capsys.readouterr().err.splitlines()
    assert all(line.startswith("warning: ") for line in warned)
    (line,) = (line for line in warned if "more/b.ply: outside of the training range: " in line)
    assert "size along y 60, trained on " in line
    assert not any("part.stl" in line for line in warned)
    # Predictions below the input folder are not inputs.
    assert main(["predict", *arguments, "--input", str(tmp_path), "--suffix", ".vtk"]) == 0
    assert len([*tmp_path.glob("out/in/**/*.vtk")]) == 3

    several = [str(folder / "a.stl"), str(folder / "more/b.ply")]
    arguments[1] = str(trained[0])
    arguments[3] = str(tmp_path / "two")
    assert main(["predict", "--input", *several, *arguments, "--simulate"]) == 0
    assert "mean relative L2 error of von_mises over 2 meshes: " in capsys.readouterr().out
    np.testing.assert_allclose(
        meshio.read(tmp_path / "two/b.vtu").point_data["predicted_von_mises"],
        meshio.read(tmp_path / "out/more/b.vtu").point_data["predicted_von_mises"],
        rtol=1e-4,
        atol=1e-3,
    )


def test_predict_leaves_nothing_behind_on_bad_input(trained, part, tmp_path, capsys):
    model = ["--model", str(trained[0])]
    (tmp_path / "empty").mkdir()
    (tmp_path / "cut.vtu").write_text('<VTKFile type="UnstructuredGrid"><Unstruct')
    one = [*model, "--input", part]
    cases = [
        ([*model, "--input", "none.stl", "--out", "x.vtu"], "none.stl: no such file"),
        ([*model, "--input", "empty", "--out", "out"], "empty: no mesh files; expected names"),
        ([*model, "--input", "cut.vtu", "--out", "x.vtu"], "cut.vtu: cannot be read as a mesh"),
        ([*one, "--out", "x.what"], "expected a name that ends in .vtu or .vtk"),
        ([*one, part, "--out", "out"], "the same name, "),
        ([*one, "cut.vtu", "--out", "x.vtu"], "x.vtu: expected a folder for several predictions"),
        (["--model", "nowhere", *one[2:], "--out", "x.vtu"], "no trained surrogate in it"),
        (["--model", part, *one[2:], "--out", "x.vtu"], "expected a run's folder or checkpoint"),
        ([*one, "--out", "x.vtu", "--pitch", "0.05"], "voxels, over the limit of"),
        ([*one, "--out", "x.vtu", "--picture", "x.gif"], "ends in .png"),
        ([*one, "--out", "x.vtu", "--values", '{"load": 1}'], "the model's inputs [] (got"),
        ([*one, "--out", "x.vtp"], "cannot hold cells of type ['hexahedron']"),
        ([*one, "--out", "x.pvd"], "expected a time series for .pvd"),
        ([*one, "--out", "empty.vtu/x.vtu", "--batch_size", "0"], "batch_size: expected at least"),
        ([*one, "--out", "x.vtu", "--device", "tpu"], "device: expected 'cpu', 'cuda' or 'auto'"),
        ([*one, "--out", f"{part}/x.vtu"], "is a file, not a folder"),
        ([*one, "--out", part], "would overwrite an input"),
        ([*model, "--input", "cut.vtu", "--out", "cut.vtu"], "would overwrite an input"),
        ([*model, "--input", "cut.vtu", "--out", "."], "would overwrite an input"),
        ([*one, "--out", "x.vtu", "--ema"], "no averaged weights; train"),
    ]
    for arguments, message in cases:
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path)
            assert main(["predict", *arguments]) == 2
        error = capsys.readouterr().err
        assert message in error, error
        lines = [line for line in error.splitlines() if not line.startswith("warning: ")]
        assert len(lines) == 1
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("out", ["x.vtu", "x.vtk", "x.xdmf"])
def test_predict_on_a_full_disk(trained, part, tmp_path, capsys, full_disk, out):
    arguments = ["--model", str(trained[0]), "--input", part, "--out", str(tmp_path / out)]
    with full_disk(2000):
        assert main(["predict", *arguments]) == 2
    printed = capsys.readouterr()
    lines = [line for line in printed.err.splitlines() if not line.startswith("warning: ")]
    assert lines == [
        f"error: {tmp_path / out}: cannot be written (File too large); choose another place"
    ]
    assert "predicted" not in printed.out
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_predict_without_cuda(trained, part, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    arguments = ["--model", str(trained[0]), "--input", part, "--out", str(tmp_path / "x.vtu")]
    assert main(["predict", *arguments, "--device", "cuda"]) == 2
    assert "'cuda' needs CUDA, which this machine" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (
            InterruptedTraining("stopped by SIGTERM after step 3", signal.SIGTERM),
            143,
            "after step 3",
        ),
        (
            InterruptedTraining("stopped by Ctrl-C after step 3"),
            130,
            "after step 3; continue by --re",
        ),
        (SIGTERMException(), 143, "interrupted at once; continue by --resume"),  # in a test
        (KeyboardInterrupt(), 130, "interrupted"),
        (PermissionError(13, "Permission denied", "runs"), 2, "error: runs: Permission denied"),
    ],
)
def test_exit_codes(monkeypatch, capsys, error, code, message):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("flare_mesh.cli._train", fail)
    assert main(["fit", "--config", "lpbf_cpu"]) == code
    assert message in capsys.readouterr().err


def test_unknown_option_exits_2(capsys):
    assert main(["predict", "--modle", "x"]) == 2
    assert "modle" in capsys.readouterr().err


def test_module_runs():
    done = subprocess.run(
        [sys.executable, "-m", "flare_mesh", "--help"], capture_output=True, text=True, check=True
    )
    assert "fields of mesh files or CAD parts" in done.stdout
