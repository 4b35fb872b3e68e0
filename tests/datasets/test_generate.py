import filecmp
import json
import subprocess
import sys
import time

import numpy as np
import pytest
import scipy.io
import torch

from flare_mesh.datasets import generate as command
from flare_mesh.datasets.generate import generate, main
from flare_mesh.datasets.generators.recipes import (
    DarcyRecipe,
    ElasticityRecipe,
    NavierStokesRecipe,
)

DARCY = DarcyRecipe(num_train=4, num_test=2, resolution=17)
FLOW = NavierStokesRecipe(num=3, solver_resolution=16, resolution=8, final_time=2, dt=0.05)


@pytest.fixture
def here(monkeypatch):
    """Runs the tasks in this process: what is tested does not depend on where they run."""
    monkeypatch.setattr(command, "run_tasks", lambda f, tasks, workers: (f(*t) for t in tasks))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def call(recipe, out, *flags, **options):
    """The exit code of the command."""
    given = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    return main([recipe, f"--out={out}", *flags, *given])


def files_of(root):
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


def assert_same_folders(a, b):
    assert files_of(a) == files_of(b)
    assert filecmp.cmpfiles(a, b, files_of(a), shallow=False)[1:] == ([], [])


def test_darcy_layout(tmp_path, here):
    paths = generate(DARCY, tmp_path)
    assert [path.name for path in paths] == [
        "piececonst_r17_N4_smooth1.mat",
        "piececonst_r17_N2_smooth2.mat",
    ]
    assert len(files_of(tmp_path)) == 3
    train, test = (scipy.io.loadmat(path) for path in paths)
    assert train["coeff"].shape == train["sol"].shape == (4, 17, 17)
    assert test["coeff"].shape == test["sol"].shape == (2, 17, 17)
    for i, batch in enumerate(DARCY.batches()):
        (sample,) = DARCY.make(batch)
        file, place = (train, i) if i < 4 else (test, i - 4)
        np.testing.assert_array_equal(file["coeff"][place], sample["coeff"])
        np.testing.assert_allclose(file["sol"][place], sample["sol"], rtol=1e-9)
    settings = json.loads((tmp_path / "darcy_settings.json").read_text())
    assert settings["settings"] == {"seed": 0, "resolution": 17}
    assert settings["files"] == {path.name: path.stat().st_size for path in paths}


def test_other_layouts_in_the_same_folder(tmp_path, here):
    (path,) = generate(FLOW, tmp_path)
    flow = scipy.io.loadmat(path)
    assert (flow["a"].shape, flow["u"].shape) == ((3, 8, 8), (3, 8, 8, 2))
    np.testing.assert_array_equal(flow["t"], [[1, 2]])
    recipe = ElasticityRecipe(num=2, refine=1)
    sigma, xy, rr, theta = (np.load(path) for path in generate(recipe, tmp_path))
    assert sigma.shape == (972, 2)
    assert xy.shape == (972, 2, 2)
    assert rr.shape == (42, 2)
    assert theta.shape == (2, 10)
    (first, *_), (second, *_) = recipe.batches()
    for i, sample in enumerate(recipe.make([first, second])):
        np.testing.assert_allclose(sigma[:, i], sample["sigma"])
        np.testing.assert_array_equal(xy[:, :, i], sample["XY"])
        np.testing.assert_array_equal(theta[i], sample["theta"])


@pytest.mark.slow
def test_same_bytes_for_any_number_of_workers_and_after_a_kill(tmp_path):
    """Kill only the parent, as the kernel does when memory runs out."""
    many = DarcyRecipe(num_train=100, num_test=1, resolution=81)
    generate(many, tmp_path / "two", workers=2)
    out = tmp_path / "killed"
    script = tmp_path / "run.py"
    script.write_text(
        "from flare_mesh.datasets.generate import generate\n"
        "from flare_mesh.datasets.generators.recipes import DarcyRecipe\n"
        "if __name__ == '__main__':\n"
        f"    generate({many!r}, {str(out)!r}, workers=2)\n"
    )
    process = subprocess.Popen([sys.executable, script])
    deadline = time.monotonic() + 60
    while not list(out.glob("*/0_*.npz")) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.wait()
    before = len(list(out.glob("*/0_*.npz")))
    assert 0 < before < 100
    assert not list(out.glob("*.mat"))
    time.sleep(0.5)
    finished = files_of(out)
    time.sleep(0.3)
    assert files_of(out) == finished, "the workers outlived their parent"
    generate(many, out, workers=1, resume=True)
    assert_same_folders(tmp_path / "two", out)


def test_resume_redoes_only_what_is_missing_or_damaged(tmp_path, here):
    generate(DARCY, tmp_path / "undisturbed")
    out = tmp_path / "set"
    generate(DARCY, out, keep_samples=True)
    samples = out / "darcy_samples"
    kept, short, gone = (samples / f"0_00000{i}.npz" for i in range(3))
    before = kept.stat().st_mtime_ns
    short.write_bytes(short.read_bytes()[:-100])
    gone.unlink()
    (samples / ".1_000000.77.partial.npz").write_bytes(b"half")
    (out / "piececonst_r17_N2_smooth2.mat").unlink()
    (out / ".piececonst_r17_N2_smooth2.77.partial.mat").write_bytes(b"half")
    generate(DARCY, out, resume=True, keep_samples=True)
    assert kept.stat().st_mtime_ns == before
    assert len(files_of(samples)) == 6
    (samples / "mine.txt").touch()
    generate(DARCY, out, resume=True)
    assert files_of(samples) == ["mine.txt"]
    (samples / "mine.txt").unlink()
    assert_same_folders(tmp_path / "undisturbed", out)


def test_a_finished_set_is_not_changed(tmp_path, here, monkeypatch):
    generate(DARCY, tmp_path)
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in files_of(tmp_path)}
    monkeypatch.setattr(command, "run_tasks", None)
    generate(DARCY, tmp_path, resume=True)
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in files_of(tmp_path)} == before


def test_extending_a_set(tmp_path, here):
    out = tmp_path / "set"
    generate(DARCY, out, keep_samples=True)
    before = (out / "darcy_samples/0_000003.npz").stat().st_mtime_ns
    larger = DarcyRecipe(num_train=6, num_test=2, resolution=17)
    generate(larger, out, resume=True, keep_samples=True)
    assert (out / "darcy_samples/0_000003.npz").stat().st_mtime_ns == before
    assert not (out / "piececonst_r17_N4_smooth1.mat").exists()
    generate(larger, out, resume=True)
    generate(larger, tmp_path / "at once")
    assert_same_folders(out, tmp_path / "at once")


def test_files_stay_until_larger_ones_are_whole(tmp_path, here, monkeypatch):
    recipe = ElasticityRecipe(num=1, refine=1)
    generate(recipe, tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in files_of(tmp_path)}

    def make(self, samples):
        raise RuntimeError("the solver did not converge")

    larger = ElasticityRecipe(num=2, refine=1)
    with monkeypatch.context() as patch:
        patch.setattr(ElasticityRecipe, "make", make)
        with pytest.raises(RuntimeError, match="did not converge"):
            generate(larger, tmp_path, resume=True)
    assert {name: (tmp_path / name).read_bytes() for name in files_of(tmp_path)} == before
    generate(larger, tmp_path, resume=True)
    assert np.load(tmp_path / "elasticity/Meshes/Random_UnitCell_theta_10.npy").shape == (2, 10)


@pytest.mark.parametrize("samples", [(), ("--keep-samples",)])
def test_a_finished_set_is_not_made_smaller(tmp_path, here, capsys, samples):
    assert call("darcy", tmp_path, *samples, num=6, resolution=9) == 0
    before = files_of(tmp_path)
    capsys.readouterr()
    assert call("darcy", tmp_path, "--resume", num_train=6, num_test=0, resolution=9) == 2
    assert call("darcy", tmp_path, "--resume", num_train=4, num_test=2, resolution=9) == 2
    assert capsys.readouterr().err.splitlines()[1:] == [
        f"error: {tmp_path}: already holds more samples (num_train = 5, now 4), which --resume "
        "would delete; ask for at least as many or choose another --out"
    ]
    assert files_of(tmp_path) == before


def test_no_options_by_half_of_their_name(tmp_path, capsys):
    with pytest.raises(SystemExit):
        call("darcy", tmp_path, num_tr=3)
    assert "unrecognized arguments: --num-tr=3" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_main(tmp_path, here, capsys):
    assert call("darcy", tmp_path, num_train=2, num_test=1, resolution=9, seed=5, workers=1) == 0
    out, error = capsys.readouterr()
    assert out.splitlines() == [
        str(tmp_path / "piececonst_r9_N2_smooth1.mat"),
        str(tmp_path / "piececonst_r9_N1_smooth2.mat"),
    ]
    assert "darcy" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["darcy", "--num-train", "0"], "expected --num-train >= 1 (got 0)"),
        (["darcy", "--num", "1"], "expected --num >= 2, for training and test (got 1)"),
        (["darcy", "--num", "9", "--num-test", "3"], "either --num, or --num-train and --num-test"),
        (["darcy", "--workers", "0"], "expected --workers >= 1 (got 0)"),
        (["navier-stokes", "--dt", "0.3"], "expected a dt > 0 of which 1 is a multiple"),
        (["navier-stokes", "--device", "tpu"], "cannot compute on --device 'tpu' here"),
        (["elasticity", "--refine", "-1"], "expected --refine >= 1 (got -1)"),
    ],
)
def test_bad_input_exits_2_and_writes_nothing(tmp_path, capsys, arguments, message):
    assert main([*arguments, "--out", str(tmp_path / "set")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use(tmp_path, here, capsys):
    generate(DARCY, tmp_path)
    before = files_of(tmp_path)
    assert call("darcy", tmp_path) == 2
    assert "already holds a darcy set; add --resume, or choose" in capsys.readouterr().err
    assert call("darcy", tmp_path, "--resume") == 2
    assert "other options (resolution = 17, now 421); use" in capsys.readouterr().err
    assert files_of(tmp_path) == before
    for content in ("[1]", '{"settings": {}, "files": {"../mine": 3}}'):
        (tmp_path / "darcy_settings.json").write_text(content)
        assert call("darcy", tmp_path, "--resume") == 2
        assert "darcy_settings.json: damaged" in capsys.readouterr().err
    (tmp_path / "darcy_settings.json").unlink()
    assert call("darcy", tmp_path, "--resume", resolution=17, num_train=4) == 2
    assert "smooth1.mat: exists already; choose another --out" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert call("darcy", tmp_path / "file") == 2
    assert "is a file, not a folder" in capsys.readouterr().err


def test_failures_exit_1(tmp_path, here, monkeypatch, capsys):
    def make(self, samples):
        raise RuntimeError("the solver did not converge")

    monkeypatch.setattr(DarcyRecipe, "make", make)
    assert call("darcy", tmp_path, workers=1) == 1
    assert "error: the solver did not converge; continue with --resume" in capsys.readouterr().err
    assert files_of(tmp_path) == ["darcy_settings.json"]


def test_an_unstable_flow_exits_2(tmp_path, here, capsys):
    flow = {"viscosity": 0, "scheme": "euler", "dt": 1, "num": 1, "final_time": 300}
    assert call("navier-stokes", tmp_path, **flow, solver_resolution=16, resolution=8) == 2
    assert "the solution is unstable before t =" in capsys.readouterr().err
    # Nothing was made, so that other options can be tried.
    flow |= {"dt": 0.1, "final_time": 1}
    assert call("navier-stokes", tmp_path, **flow, solver_resolution=16, resolution=8) == 0
