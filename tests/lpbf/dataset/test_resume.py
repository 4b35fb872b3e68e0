import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trimesh

from flare_mesh.workers import WorkerLostError
from lpbf.dataset.settings import Settings
from lpbf.generate import generate, main

FIRST = [f"rain/part_{i:06d}.npz" for i in range(3)]


def test_resume_redoes_only_what_is_missing_or_damaged(
    tmp_path, inline, small_set, assert_same_sets
):
    generate(tmp_path / "undisturbed", 8, settings=small_set)
    out = tmp_path / "set"
    generate(out, 4, settings=small_set)
    kept, truncated, altered = (out / f"train/part_{i:06d}.npz" for i in range(3))
    before = kept.stat().st_mtime_ns
    truncated.write_bytes(truncated.read_bytes()[:-400])
    content = bytearray(altered.read_bytes())
    content[1000] ^= 1
    altered.write_bytes(content)
    (out / "train/.part_000002.1.partial.npz").write_bytes(b"half")
    (out / "rejected.jsonl").write_text('{"case": "part_0000')
    assert generate(out, 8, settings=small_set, resume=True) == 8
    assert kept.stat().st_mtime_ns == before
    assert_same_sets(tmp_path / "undisturbed", out)


def test_an_undamaged_file_of_another_case_is_replaced(tmp_path, inline, small_set):
    out = tmp_path / "set"
    generate(out, 2, settings=small_set)
    first, second = sorted(out.glob("train/*.npz"))
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    generate(out, 2, settings=small_set, resume=True)
    assert first.read_bytes() == content


@pytest.mark.slow
def test_resume_after_a_kill(tmp_path, small_set, assert_same_sets, files_of):
    """Kill only the parent, as the kernel does when memory runs out; some parts are rejected."""
    narrow = Settings(**{**vars(small_set), "min_nodes": 100, "max_nodes": 250})
    out = tmp_path / "set"
    script = tmp_path / "run.py"
    script.write_text(
        "from lpbf.generate import generate\n"
        "from lpbf.dataset.settings import Settings\n"
        "from lpbf.core.process import Process\n"
        "if __name__ == '__main__':\n"
        f"    generate({str(out)!r}, 8, settings={narrow!r}, workers=2)\n"
    )
    process = subprocess.Popen([sys.executable, script])
    deadline = time.monotonic() + 240
    while not list(out.glob("train/part_*.npz")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert list(out.glob("train/part_*.npz"))
    assert not (out / "index.json").exists()
    time.sleep(1.5)
    finished = files_of(out)
    time.sleep(0.5)
    assert files_of(out) == finished, "the workers outlived their parent"
    generate(out, 8, settings=narrow, resume=True)
    generate(tmp_path / "undisturbed", 8, settings=narrow, workers=2)
    assert (out / "rejected.jsonl").read_text().count("outside the limits") > 0
    assert_same_sets(tmp_path / "undisturbed", out)


def test_a_corrected_or_replaced_part_file_is_run_again(
    tmp_path, inline, small_set, assert_same_sets
):
    parts = tmp_path / "parts"
    parts.mkdir()
    trimesh.creation.box((20.0, 12.0, 12.0)).export(parts / "a.stl")
    (parts / "b.stl").write_bytes(b"")
    generate(tmp_path / "set", 0, settings=small_set, parts=parts)
    trimesh.creation.box((16.0, 12.0, 12.0)).export(parts / "a.stl")
    trimesh.creation.box((12.0, 12.0, 12.0)).export(parts / "b.stl")
    assert generate(tmp_path / "set", 0, settings=small_set, parts=parts, resume=True) == 2
    generate(tmp_path / "again", 0, settings=small_set, parts=parts)
    assert_same_sets(tmp_path / "set", tmp_path / "again")
    (parts / "a.stl").write_bytes(b"")
    assert generate(tmp_path / "set", 0, settings=small_set, parts=parts, resume=True) == 1
    assert not list((tmp_path / "set").glob("t*/a_stl.npz"))


def test_a_full_disk(tmp_path, monkeypatch, capsys, inline, small_set, assert_same_sets, command):
    generate(tmp_path / "undisturbed", 6, settings=small_set)
    write, written = Path.write_bytes, []

    def fill(path, content):
        written.append(path)
        if len(written) > 3:
            write(path, bytes(content)[:100])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write(path, content)

    out = tmp_path / "set"
    monkeypatch.setattr(Path, "write_bytes", fill)
    assert main(command(out, "--num-parts", "6")) == 2
    error = capsys.readouterr().err
    assert f"error: {out}: the disk is full; free some space and continue with --resume\n" in error
    index = json.loads((out / "index.json").read_text())
    assert [entry["file"] for entry in index] == [f"t{f}" for f in FIRST]
    monkeypatch.setattr(Path, "write_bytes", write)
    assert main(command(out, "--num-parts", "6", "--resume")) == 0
    assert_same_sets(out, tmp_path / "undisturbed")


def test_cases_that_kill_their_worker_are_named(tmp_path, monkeypatch, capsys, rejections, command):
    def run(function, tasks, workers):
        tasks = list(tasks)
        yield from (function(*task) for task in tasks if task[0].part != 1)
        (tmp_path / "set/train/.part_000001.99.partial.npz").touch()
        raise WorkerLostError([task for task in tasks if task[0].part == 1], ["SIGSEGV"])

    monkeypatch.setattr("lpbf.dataset.generate.run_tasks", run)
    assert main(command(tmp_path / "set", "--num-parts", "3")) == 1
    error = capsys.readouterr().err
    assert "a worker died at each try of 1 tasks (SIGSEGV): part_000001; continue" in error
    assert len(list((tmp_path / "set").glob("t*/*.npz"))) == 2
    assert not list((tmp_path / "set").rglob("*.partial*"))
    index = json.loads((tmp_path / "set/index.json").read_text())
    assert [entry["case_id"] for entry in index] == ["part_000000", "part_000002"]
    (log,) = rejections(tmp_path / "set")
    assert (log["case"], log["kind"], log["given_up"]) == ("part_000001", "crash", True)
    assert log["reason"] == "the case ended its worker at each try (SIGSEGV)"
    monkeypatch.setattr(
        "lpbf.dataset.generate.run_tasks", lambda function, tasks, _: (function(*t) for t in tasks)
    )
    assert main(command(tmp_path / "set", "--num-parts", "3", "--resume")) == 0
    assert rejections(tmp_path / "set") == []
    assert len(json.loads((tmp_path / "set/index.json").read_text())) == 3


@pytest.mark.parametrize("error", [KeyboardInterrupt, TypeError("ours")])
def test_the_index_is_written_however_the_run_ends(
    tmp_path, monkeypatch, inline, error, small_set, assert_same_sets
):
    def fail(function, tasks, workers):
        yield function(*next(tasks))
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("lpbf.dataset.generate.run_tasks", fail)
        with pytest.raises(BaseException, match=r"ours|"):
            generate(tmp_path / "set", 2, settings=small_set)
    index = json.loads((tmp_path / "set/index.json").read_text())
    assert [entry["case_id"] for entry in index] == ["part_000000"]
    generate(tmp_path / "set", 2, settings=small_set, resume=True)
    generate(tmp_path / "undisturbed", 2, settings=small_set)
    assert_same_sets(tmp_path / "set", tmp_path / "undisturbed")


def test_interrupted(tmp_path, monkeypatch, capsys, inline, command):
    def interrupt(function, tasks, workers):
        yield function(*next(tasks))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("lpbf.dataset.generate.run_tasks", interrupt)
        assert main(command(tmp_path / "set", "--num-parts", "2")) == 130
    assert "interrupted; continue with --resume" in capsys.readouterr().err
    before = (tmp_path / "set/train/part_000000.npz").stat().st_mtime_ns
    assert main(command(tmp_path / "set", "--num-parts", "2", "--resume")) == 0
    assert (tmp_path / "set/train/part_000000.npz").stat().st_mtime_ns == before


def test_damaged_index(tmp_path, inline, capsys, small_set, command):
    generate(tmp_path / "set", 1, settings=small_set)
    (tmp_path / "set/index.json").write_text('[{"case_id": ')
    assert main(command(tmp_path / "set", "--num-parts", "1", "--resume")) == 2
    assert "index.json: damaged (" in capsys.readouterr().err
    (tmp_path / "set/index.json").unlink()
    assert main(command(tmp_path / "set", "--num-parts", "1", "--resume")) == 0


def test_cases_of_an_earlier_run_stay_in_the_index(tmp_path, inline, small_set):
    generate(tmp_path / "set", 3, settings=small_set)
    before = (tmp_path / "set/index.json").read_bytes()
    assert generate(tmp_path / "set", 1, settings=small_set, resume=True) == 3
    assert (tmp_path / "set/index.json").read_bytes() == before
