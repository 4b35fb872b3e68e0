import errno
import filecmp
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from flare_mesh.io import reader_process
from flare_mesh.workers import WorkerLostError
from lpbf.core.process import Process
from lpbf.dataset import run_case
from lpbf.dataset.case_file import read_metadata
from lpbf.dataset.cases import list_cases
from lpbf.dataset.settings import Settings, read_settings
from lpbf.generate import generate, main

SMALL = Settings(
    pitch=(4.0, 4.0, 4.0),
    size=(16.0, 24.0),
    min_nodes=30,
    max_volume_error=9.0,
    test_fraction=0.25,
    max_dropped=1.0,
)


def files_of(root):
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


def assert_same_folders(a, b):
    """Compare two data sets, except for the seconds of the cases."""
    assert files_of(a) == files_of(b)
    files = [name for name in files_of(a) if name != "timing.json"]
    differing = filecmp.cmpfiles(a, b, files, shallow=False)[1:]
    assert differing == ([], [])


@pytest.fixture
def inline(monkeypatch):
    """Run cases in this process, which is faster."""
    monkeypatch.setattr(
        "lpbf.dataset.generate.run_tasks", lambda function, tasks, _: (function(*t) for t in tasks)
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data_set(tmp_path_factory):
    out = tmp_path_factory.mktemp("lpbf") / "set"
    assert generate(out, 8, settings=SMALL, workers=2) == 8
    return out


def test_layout(data_set):
    index = json.loads((data_set / "index.json").read_text())
    assert [entry["file"] for entry in index if "test" in entry["file"]] == [
        "test/part_000003.npz",
        "test/part_000007.npz",
    ]
    for entry in index:
        with np.load(data_set / entry["file"], allow_pickle=False) as case:
            nodes, cells = case["pos"].shape[0], case["elems"].shape[0]
            assert entry["num_nodes"] == nodes
            assert entry["num_edges"] == case["edge_index"].shape[1]
            assert case["pos"].shape == case["disp"].shape == (nodes, 3)
            assert case["vmstr"].shape == case["temp"].shape == (nodes,)
            assert case["elems"].shape == (cells, 8)
            largest = np.linalg.norm(case["disp"], axis=1).max()
            assert json.loads(str(case["_metadata"])) == entry["metadata"]
        assert entry["metadata"]["max_displacement_mm"] == pytest.approx(largest)
        assert entry["metadata"]["source"] == "procedural"


@pytest.mark.slow
def test_same_content_for_any_number_of_workers(data_set, tmp_path):
    generate(tmp_path / "one", 8, settings=SMALL, workers=1)
    assert_same_folders(data_set, tmp_path / "one")


def test_another_seed_is_another_set(data_set, tmp_path, inline):
    generate(tmp_path / "o", 1, settings=Settings(**{**vars(SMALL), "seed": 1}))
    case = "train/part_000000.npz"
    assert (tmp_path / "o" / case).read_bytes() != (data_set / case).read_bytes()


def test_resume_redoes_only_what_is_missing_or_damaged(tmp_path, inline):
    generate(tmp_path / "undisturbed", 8, settings=SMALL)
    out = tmp_path / "set"
    generate(out, 4, settings=SMALL)
    kept, truncated, altered = (out / f"train/part_{i:06d}.npz" for i in range(3))
    before = kept.stat().st_mtime_ns
    truncated.write_bytes(truncated.read_bytes()[:-400])
    content = bytearray(altered.read_bytes())
    content[1000] ^= 1
    altered.write_bytes(content)
    (out / "train/.part_000002.1.partial.npz").write_bytes(b"half")
    (out / "rejected.jsonl").write_text('{"case": "part_0000')
    assert generate(out, 8, settings=SMALL, resume=True) == 8
    assert kept.stat().st_mtime_ns == before
    assert_same_folders(tmp_path / "undisturbed", out)


def test_an_undamaged_file_of_another_case_is_replaced(tmp_path, inline):
    out = tmp_path / "set"
    generate(out, 2, settings=SMALL)
    first, second = sorted(out.glob("train/*.npz"))
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    generate(out, 2, settings=SMALL, resume=True)
    assert first.read_bytes() == content


def test_checksums(data_set):
    for entry in json.loads((data_set / "index.json").read_text()):
        content = (data_set / entry["file"]).read_bytes()
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()


@pytest.mark.slow
def test_resume_after_a_kill(tmp_path):
    """Kill only the parent, as the kernel does when memory runs out; some parts are rejected."""
    narrow = Settings(**{**vars(SMALL), "min_nodes": 100, "max_nodes": 250})
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
    deadline = time.monotonic() + 60
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
    assert_same_folders(tmp_path / "undisturbed", out)


def test_a_corrected_or_replaced_part_file_is_run_again(tmp_path, inline):
    parts = tmp_path / "parts"
    parts.mkdir()
    trimesh.creation.box((20.0, 12.0, 12.0)).export(parts / "a.stl")
    (parts / "b.stl").write_bytes(b"")
    generate(tmp_path / "set", 0, settings=SMALL, parts=parts)
    trimesh.creation.box((16.0, 12.0, 12.0)).export(parts / "a.stl")
    trimesh.creation.box((12.0, 12.0, 12.0)).export(parts / "b.stl")
    assert generate(tmp_path / "set", 0, settings=SMALL, parts=parts, resume=True) == 2
    generate(tmp_path / "again", 0, settings=SMALL, parts=parts)
    assert_same_folders(tmp_path / "set", tmp_path / "again")
    (parts / "a.stl").write_bytes(b"")
    assert generate(tmp_path / "set", 0, settings=SMALL, parts=parts, resume=True) == 1
    assert not list((tmp_path / "set").glob("t*/a_stl.npz"))


def test_warnings_are_shown(tmp_path, capsys, inline):
    parts = tmp_path / "parts"
    parts.mkdir()
    boxes = [trimesh.creation.box((16.0, 12.0, 12.0)) for _ in range(2)]
    boxes[1].apply_translation((4.0, 0.0, 0.0))
    trimesh.util.concatenate(boxes).export(parts / "two.stl")
    generate(tmp_path / "set", 0, settings=SMALL, parts=parts)
    assert "two.stl: has 2 bodies; check the voxels" in capsys.readouterr().err


def test_nothing_accepted(tmp_path, capsys, inline):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "a.stl").touch()
    out = tmp_path / "set"
    arguments = ["--out", str(out), "--parts", str(tmp_path / "parts")]  # and no others
    assert main(arguments) == 2
    assert "every part was rejected, the first because: " in capsys.readouterr().err


def test_damaged_settings(tmp_path, capsys):
    for content in ("{", "[1]"):
        (tmp_path / "settings.json").write_text(content)
        assert main(["--out", str(tmp_path), "--resume"]) == 2
        assert "settings.json: damaged" in capsys.readouterr().err


def test_part_files_and_rejections(tmp_path, inline):
    parts = tmp_path / "parts"
    (parts / "sub").mkdir(parents=True)
    trimesh.creation.box((20.0, 12.0, 12.0)).export(parts / "good.stl")
    trimesh.creation.box((300.0, 12.0, 12.0)).export(parts / "sub" / "long.ply")
    (parts / "empty.stl").write_bytes(b"")
    out = tmp_path / "set"
    assert generate(out, 0, settings=SMALL, parts=parts) == 1
    (case,) = out.glob("t*/good_stl.npz")
    assert read_metadata(case)["source"] == "good.stl"
    log = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
    assert [entry["case"] for entry in log] == ["empty_stl", "sub_long_ply"]
    assert "empty.stl: " in log[0]["reason"]
    assert "larger than the build volume" in log[1]["reason"]
    assert all(entry["given_up"] for entry in log)
    generate(out, 0, settings=SMALL, parts=parts, resume=True)
    assert len((out / "rejected.jsonl").read_text().splitlines()) == 2


def test_rejected_procedural_parts_are_replaced(tmp_path, inline):
    narrow = Settings(**{**vars(SMALL), "min_nodes": 150, "max_nodes": 250})
    generate(tmp_path / "a", 3, settings=narrow)
    for case in (tmp_path / "a").glob("t*/*.npz"):
        metadata = read_metadata(case)
        assert 150 <= metadata["num_nodes"] <= 250
    lines = (tmp_path / "a" / "rejected.jsonl").read_text().splitlines()
    assert lines
    assert all("are outside the limits of 150 to 250" in json.loads(x)["reason"] for x in lines)
    assert not any(json.loads(x)["given_up"] for x in lines)


def test_split_does_not_change_when_the_set_grows():
    few, many = (list_cases(n, SMALL) for n in (5, 50))
    assert many[:5] == few
    assert sum(c.split == "test" for c in many) == 12


def test_linked_folders_of_parts(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "parts").mkdir()
    for name in ("disk/a.stl", "parts/b.stl", "parts/._b.stl"):
        (tmp_path / name).touch()
    (tmp_path / "parts" / "more").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "back").symlink_to(tmp_path / "parts")
    cases = list_cases(0, SMALL, tmp_path / "parts")
    assert sorted(case.source for case in cases) == ["b.stl", "more/a.stl"]


def test_a_file_stays_in_its_split_when_others_join(tmp_path):
    for i in range(100, 200):
        (tmp_path / f"{i}.stl").touch()
    before = {case.name: case.split for case in list_cases(0, SMALL, tmp_path)}
    assert 10 < sum(split == "test" for split in before.values()) < 40
    for i in range(50):
        (tmp_path / f"{i}.stl").touch()
    after = {case.name: case.split for case in list_cases(3, SMALL, tmp_path)}
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--num-parts", "0"], "expected --num-parts > 0, or --parts (got 0)"),
        (["--parts", "nowhere"], "nowhere: no such folder"),
        (["--pitch", "-1"], "expected the pitch as one or three lengths > 0 mm (got -1.0)"),
        (["--pitch", "inf"], "expected the pitch as one or three lengths > 0 mm (got inf)"),
        (
            ["--pitch", "50,50,50"],
            "a pitch of 50 mm leaves parts of 24 mm without voxels; use at most",
        ),
        (
            ["--pitch", "0.01,0.01,0.01"],
            "up to 1.25e+11 voxels, over the limit of 4,000,000; use a coarser",
        ),
        (["--size", "16", "inf"], "0 < low <= high mm"),
        (["--size", "9", "3"], "0 < low <= high"),
        (["--workers", "0"], "expected --workers >= 1 (got 0)"),
        (["--material", "wood"], "unknown material 'wood'"),
        (["--test-fraction", "1"], "0 <= test_fraction < 1"),
        (["--max-dropped", "2"], "expected 0 <= max_dropped <= 1 (got 2.0)"),
        (["--supports", "a.stl"], "--supports: expected auto for a data set (got a.stl)"),
        (["--supports", "auto", "--islands", "drop"], "expected islands or generated supports"),
        (["--build-volume", "1", "2", "-3"], "expected the build volume as one or three lengths"),
    ],
)
def test_bad_input_exits_2_and_writes_nothing(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["--out", "set", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use(data_set, tmp_path, capsys):
    before = files_of(data_set)
    assert main(["--out", str(data_set)]) == 2
    assert "holds a data set; add --resume" in capsys.readouterr().err
    assert main(["--out", str(data_set), "--resume", "--pitch", "1.5"]) == 2
    assert "begun with other settings (" in capsys.readouterr().err
    assert files_of(data_set) == before
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["--out", str(tmp_path)]) == 2
    assert "not an empty folder" in capsys.readouterr().err
    assert files_of(tmp_path) == ["notes.txt"]


DROPPED = ("--test-fraction", "0.25", "--max-dropped", "1")


def arguments_of(out, *more):
    small = "--pitch 4,4,4 --size 16 24 --min-nodes 30 --max-volume-error 9"
    return ["--out", str(out), *small.split(), *DROPPED, *more]


def test_process_from_a_file_and_from_options(tmp_path, inline):
    file = tmp_path / "process.yaml"
    Process(scan_rotation=67.0, temperature=30.0, release=True).to_yaml(file)
    options = ("--num-parts", "1", "--process", str(file), "--scan-rotation", "90", "--no-release")
    assert main(arguments_of(tmp_path / "set", *options)) == 0
    found = Process.from_dict(read_settings(tmp_path / "set")["process"])
    assert found == Process(layer_height=4.0, scan_rotation=90.0, temperature=30.0, islands="drop")
    with np.load(tmp_path / "set/train/part_000000.npz") as case:
        assert (case["temp"] == 30.0).all()


def test_islands_in_powder_by_option_and_by_file(tmp_path, inline):
    file = tmp_path / "process.yaml"
    Process(islands="powder").to_yaml(file)
    sets = {"option": ("--islands", "powder"), "file": ("--process", str(file)), "neither": ()}
    found = {}
    for name, options in sets.items():
        assert main(arguments_of(tmp_path / name, "--num-parts", "1", *options)) == 0
        settings = read_settings(tmp_path / name)
        found[name] = settings["islands"], settings["process"]["islands"]
    assert found == {
        "option": ("powder", "powder"),
        "file": ("powder", "powder"),
        "neither": ("drop", "drop"),
    }


def test_orientations_scales_and_three_edges_of_a_voxel(tmp_path, inline, capsys):
    options = ("--num-parts", "2", "--orientations", "2", "--scale", "0.9", "1.1")
    assert main(arguments_of(tmp_path / "set", *options, "--pitch", "4,4,2")) == 0
    printed = capsys.readouterr().out
    entries = json.loads((tmp_path / "set/index.json").read_text())
    assert printed.startswith(f"{len(entries)} cases in {tmp_path / 'set'}, ")
    parts = ["part_000000", "part_000000_rotated_01", "part_000001", "part_000001_rotated_01"]
    assert [entry["case_id"] for entry in entries] == parts
    assert {tuple(entry["metadata"]["pitch_mm"]) for entry in entries} == {(4.0, 4.0, 2.0)}
    assert entries[0]["metadata"]["rotation"] != entries[1]["metadata"]["rotation"]


def test_rejections_are_counted(tmp_path, inline, capsys):
    options = ("--num-parts", "3", "--min-nodes", "150", "--max-nodes", "250")
    assert main(arguments_of(tmp_path / "set", *options)) == 0
    count = len((tmp_path / "set/rejected.jsonl").read_text().splitlines())
    assert f"{count} parts rejected ({count} nodes): " in capsys.readouterr().out


def test_a_set_of_another_process_is_not_resumed(data_set, capsys):
    assert main(arguments_of(data_set, "--num-parts", "8", "--resume", "--release")) == 2
    expected = "other settings (process.release = False, now True); use the same ones"
    assert expected in capsys.readouterr().err


def test_a_full_disk(tmp_path, monkeypatch, capsys, inline):
    generate(tmp_path / "undisturbed", 6, settings=SMALL)
    write, written = Path.write_bytes, []

    def fill(path, content):
        written.append(path)
        if len(written) > 3:
            write(path, bytes(content)[:100])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write(path, content)

    out = tmp_path / "set"
    monkeypatch.setattr(Path, "write_bytes", fill)
    assert main(arguments_of(out, "--num-parts", "6")) == 2
    error = capsys.readouterr().err
    assert f"error: {out}: the disk is full; free some space and continue with --resume\n" in error
    index = json.loads((out / "index.json").read_text())
    assert [entry["file"] for entry in index] == [f"t{f}" for f in FIRST]
    monkeypatch.setattr(Path, "write_bytes", write)
    assert main(arguments_of(out, "--num-parts", "6", "--resume")) == 0
    assert_same_folders(out, tmp_path / "undisturbed")


FIRST = [f"rain/part_{i:06d}.npz" for i in range(3)]


def test_cases_that_kill_their_worker_are_named(tmp_path, monkeypatch, capsys):
    def run(function, tasks, workers):
        tasks = list(tasks)
        yield from (function(*task) for task in tasks if task[0].part != 1)
        (tmp_path / "set/train/.part_000001.99.partial.npz").touch()
        raise WorkerLostError([task for task in tasks if task[0].part == 1], ["SIGSEGV"])

    monkeypatch.setattr("lpbf.dataset.generate.run_tasks", run)
    assert main(arguments_of(tmp_path / "set", "--num-parts", "3")) == 1
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
    assert main(arguments_of(tmp_path / "set", "--num-parts", "3", "--resume")) == 0
    assert rejections(tmp_path / "set") == []
    assert len(json.loads((tmp_path / "set/index.json").read_text())) == 3


def rejections(out):
    return [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]


def test_a_part_that_breaks_its_reader_does_not_end_the_run(tmp_path, monkeypatch, inline):
    """One file that trimesh cannot take, one that ends the reader's process, one good one."""
    parts = tmp_path / "parts"
    parts.mkdir()
    for name in "abc":
        trimesh.creation.box((20.0, 12.0, 12.0)).export(parts / f"{name}.stl")
    exchange, voxels = reader_process._exchange, run_case.voxelize

    def exchanged(child, request, seconds):
        if (request["path"] or "").endswith("a.stl"):
            os.kill(child.pid, signal.SIGABRT)
        return exchange(child, request, seconds)

    def voxelize(part, *arguments, **options):
        if part.metadata["file_path"].endswith("b.stl"):
            raise IndexError("index 9 is out of bounds\nfor axis 0")
        return voxels(part, *arguments, **options)

    monkeypatch.setattr(reader_process, "_exchange", exchanged)
    monkeypatch.setattr(run_case, "voxelize", voxelize)
    assert generate(tmp_path / "set", 0, settings=SMALL, parts=parts) == 1
    index = json.loads((tmp_path / "set/index.json").read_text())
    assert [entry["case_id"] for entry in index] == ["c_stl"]
    assert [(line["kind"], line["reason"]) for line in rejections(tmp_path / "set")] == [
        (
            "part",
            "a.stl: its reader crashed (SIGABRT); the file is damaged or cannot be read",
        ),
        ("error", "b.stl: IndexError: index 9 is out of bounds"),
    ]


@pytest.mark.parametrize("error", [KeyboardInterrupt, TypeError("ours")])
def test_the_index_is_written_however_the_run_ends(tmp_path, monkeypatch, inline, error):
    def fail(function, tasks, workers):
        yield function(*next(tasks))
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("lpbf.dataset.generate.run_tasks", fail)
        with pytest.raises(BaseException, match=r"ours|"):
            generate(tmp_path / "set", 2, settings=SMALL)
    index = json.loads((tmp_path / "set/index.json").read_text())
    assert [entry["case_id"] for entry in index] == ["part_000000"]
    generate(tmp_path / "set", 2, settings=SMALL, resume=True)
    generate(tmp_path / "undisturbed", 2, settings=SMALL)
    assert_same_folders(tmp_path / "set", tmp_path / "undisturbed")


def test_interrupted(tmp_path, monkeypatch, capsys, inline):
    def interrupt(function, tasks, workers):
        yield function(*next(tasks))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("lpbf.dataset.generate.run_tasks", interrupt)
        assert main(arguments_of(tmp_path / "set", "--num-parts", "2")) == 130
    assert "interrupted; continue with --resume" in capsys.readouterr().err
    before = (tmp_path / "set/train/part_000000.npz").stat().st_mtime_ns
    assert main(arguments_of(tmp_path / "set", "--num-parts", "2", "--resume")) == 0
    assert (tmp_path / "set/train/part_000000.npz").stat().st_mtime_ns == before


def test_damaged_index(tmp_path, inline, capsys):
    generate(tmp_path / "set", 1, settings=SMALL)
    (tmp_path / "set/index.json").write_text('[{"case_id": ')
    assert main(arguments_of(tmp_path / "set", "--num-parts", "1", "--resume")) == 2
    assert "index.json: damaged (" in capsys.readouterr().err
    (tmp_path / "set/index.json").unlink()
    assert main(arguments_of(tmp_path / "set", "--num-parts", "1", "--resume")) == 0


def test_cases_of_an_earlier_run_stay_in_the_index(tmp_path, inline):
    generate(tmp_path / "set", 3, settings=SMALL)
    before = (tmp_path / "set/index.json").read_bytes()
    assert generate(tmp_path / "set", 1, settings=SMALL, resume=True) == 3
    assert (tmp_path / "set/index.json").read_bytes() == before


def test_local_workers_and_a_cluster_exclude_each_other(tmp_path, capsys):
    options = ("--workers", "2", "--scheduler", "tcp://127.0.0.1:9")
    assert main(arguments_of(tmp_path / "set", *options)) == 2
    assert "expected --workers or --scheduler (got both)" in capsys.readouterr().err
