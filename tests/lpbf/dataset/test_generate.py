import hashlib
import json
import os
import signal

import numpy as np
import pytest
import trimesh

from flare_mesh.io import reader_process
from lpbf.dataset import run_case
from lpbf.dataset.case_file import read_metadata
from lpbf.dataset.settings import Settings
from lpbf.generate import generate


@pytest.fixture(scope="module")
def data_set(tmp_path_factory, small_set):
    out = tmp_path_factory.mktemp("lpbf") / "set"
    assert generate(out, 8, settings=small_set, workers=2) == 8
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


def test_checksums(data_set):
    for entry in json.loads((data_set / "index.json").read_text()):
        content = (data_set / entry["file"]).read_bytes()
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()


@pytest.mark.slow
def test_same_content_for_any_number_of_workers(data_set, tmp_path, small_set, assert_same_sets):
    generate(tmp_path / "one", 8, settings=small_set, workers=1)
    assert_same_sets(data_set, tmp_path / "one")


def test_another_seed_is_another_set(data_set, tmp_path, inline, small_set):
    generate(tmp_path / "o", 1, settings=Settings(**{**vars(small_set), "seed": 1}))
    case = "train/part_000000.npz"
    assert (tmp_path / "o" / case).read_bytes() != (data_set / case).read_bytes()


def test_part_files_and_rejections(tmp_path, inline, small_set):
    parts = tmp_path / "parts"
    (parts / "sub").mkdir(parents=True)
    trimesh.creation.box((20.0, 12.0, 12.0)).export(parts / "good.stl")
    trimesh.creation.box((300.0, 12.0, 12.0)).export(parts / "sub" / "long.ply")
    (parts / "empty.stl").write_bytes(b"")
    out = tmp_path / "set"
    assert generate(out, 0, settings=small_set, parts=parts) == 1
    (case,) = out.glob("t*/good_stl.npz")
    assert read_metadata(case)["source"] == "good.stl"
    log = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
    assert [entry["case"] for entry in log] == ["empty_stl", "sub_long_ply"]
    assert "empty.stl: " in log[0]["reason"]
    assert "larger than the build volume" in log[1]["reason"]
    assert all(entry["given_up"] for entry in log)
    generate(out, 0, settings=small_set, parts=parts, resume=True)
    assert len((out / "rejected.jsonl").read_text().splitlines()) == 2


def test_rejected_procedural_parts_are_replaced(tmp_path, inline, small_set):
    narrow = Settings(**{**vars(small_set), "min_nodes": 150, "max_nodes": 250})
    generate(tmp_path / "a", 3, settings=narrow)
    for case in (tmp_path / "a").glob("t*/*.npz"):
        metadata = read_metadata(case)
        assert 150 <= metadata["num_nodes"] <= 250
    lines = (tmp_path / "a" / "rejected.jsonl").read_text().splitlines()
    assert lines
    assert all("are outside the limits of 150 to 250" in json.loads(x)["reason"] for x in lines)
    assert not any(json.loads(x)["given_up"] for x in lines)


def test_warnings_are_shown(tmp_path, capsys, inline, small_set):
    parts = tmp_path / "parts"
    parts.mkdir()
    boxes = [trimesh.creation.box((16.0, 12.0, 12.0)) for _ in range(2)]
    boxes[1].apply_translation((4.0, 0.0, 0.0))
    trimesh.util.concatenate(boxes).export(parts / "two.stl")
    generate(tmp_path / "set", 0, settings=small_set, parts=parts)
    assert "two.stl: has 2 bodies; check the voxels" in capsys.readouterr().err


def test_a_part_that_breaks_its_reader_does_not_end_the_run(
    tmp_path, monkeypatch, inline, small_set, rejections
):
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
    assert generate(tmp_path / "set", 0, settings=small_set, parts=parts) == 1
    index = json.loads((tmp_path / "set/index.json").read_text())
    assert [entry["case_id"] for entry in index] == ["c_stl"]
    assert [(line["kind"], line["reason"]) for line in rejections(tmp_path / "set")] == [
        (
            "part",
            "a.stl: its reader crashed (SIGABRT); the file is damaged or cannot be read",
        ),
        ("error", "b.stl: IndexError: index 9 is out of bounds"),
    ]
