import os
import subprocess
import sys

from flare_mesh.training.run_folder import RunFolder, remove_partial_files, written_files


def test_temporary_files_of_killed_processes_are_removed(tmp_path):
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    (tmp_path / "checkpoints").mkdir()
    gone = [
        tmp_path / "checkpoints" / f".last.{process.pid}.partial.ckpt",
        tmp_path / f".metrics.{os.getpid()}.partial.csv",
        tmp_path / f".x.{10**30}.partial",
    ]
    kept = [
        tmp_path / "checkpoints" / f".best.{os.getppid()}.partial.ckpt",
        tmp_path / "last.1.partial.ckpt",
        tmp_path / ".mine.partial.txt",
        tmp_path / "checkpoints" / "last.ckpt",
    ]
    for path in [*gone, *kept]:
        path.touch()
    remove_partial_files(tmp_path)
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in kept)


def test_only_results_of_a_run_are_replaced(tmp_path):
    written = {"checkpoints/best.ckpt", "ema/surrogate.safetensors", "events/events",
               "surrogate.safetensors", "summary.json", "metrics.csv", "test.json",
               "test_cases.csv"}  # fmt: skip
    others = {"notes.txt", "data/case.npz", "config.yaml", "predicted/summary.json"}
    for name in written | others:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert {str(path.relative_to(tmp_path)) for path in written_files(tmp_path)} == written
    RunFolder(tmp_path, "", replace=True)
    assert all((tmp_path / name).exists() for name in written | others)
