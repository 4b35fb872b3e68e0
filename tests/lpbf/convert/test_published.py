import json
import pickle

import numpy as np
import pytest
import torch

from flare_mesh.datasets import LPBF
from lpbf import HexMesh
from lpbf.convert import convert_published
from lpbf.convert.__main__ import main
from lpbf.dataset.case_file import file_digest


def write_published(path, scale=1.0, **changes):
    mesh = HexMesh.from_mask(np.ones((2, 2, 2)), 2.0)
    n = mesh.num_nodes
    arrays = {
        "pos": mesh.points.astype(np.float32),
        "edge_index": mesh.edge_index,
        "elems": mesh.cells.astype(np.int32),
        "temp": np.full((n, 1), 30.0, dtype=np.float32),
        "disp": (0.01 * scale * mesh.points).astype(np.float32),
        "vmstr": np.arange(n, dtype=np.float32)[:, None],
        "_metadata": np.array([json.dumps({"metadata": {}})], dtype=object),
        **changes,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)


@pytest.fixture
def published(tmp_path, monkeypatch):
    root = tmp_path / "published"
    write_published(root / "train/case00001_a.npz")
    write_published(root / "train/case00002_b.npz", scale=2.0)
    write_published(root / "test/case00003_c.npz", temp=np.full(27, 1.0))

    def never(*args, **kwargs):
        raise AssertionError("unpickled")

    monkeypatch.setattr(pickle, "load", never)
    monkeypatch.setattr(pickle, "loads", never)
    return root


def test_the_same_cases_without_pickles(published, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["published", str(published), "--out", str(out)]) == 0
    assert "3 cases in" in capsys.readouterr().out
    for split in ("train", "test"):
        for ours, theirs in zip(LPBF(out, split), LPBF(published, split), strict=True):
            for key in ("pos", "y", "temperature", "cell_index", "edge_index"):
                assert torch.equal(ours[key], theirs[key])
            assert ours.case_id == theirs.case_id
    index = json.loads((out / "index.json").read_text())
    assert [entry["file"] for entry in index] == [
        "test/case00003_c.npz",
        "train/case00001_a.npz",
        "train/case00002_b.npz",
    ]
    with np.load(out / index[0]["file"], allow_pickle=False) as file:
        assert json.loads(str(file["_metadata"])) == index[0]["metadata"]
    assert all(entry["sha256"] == file_digest(out / entry["file"]) for entry in index)
    assert (out / "rejected.jsonl").read_text() == ""


def test_limits_and_damage(published, tmp_path):
    write_published(published / "train/d.npz", vmstr=np.zeros(3))
    write_published(published / "train/e.npz", elems=np.full((1, 8), 99))
    write_published(published / "train/f.npz", disp=np.full((27, 3), np.nan))
    write_published(published / "train/g.npz", elems=np.zeros((0, 8), dtype=int))
    write_published(published / "train/h.npz", disp=np.zeros((27, 2)))
    (published / "train/i.npz").write_text("hello")
    kept, rejected = convert_published(published, tmp_path / "out")
    assert kept == 3
    for name, reason in (
        ("d", r"expected 'vmstr' of shape [27, 1] (got [3])"),
        ("e", "expected node numbers from 0 to 26"),
        ("f", "81 values are NaN or infinite"),
        ("g", "expected hexahedra in 'elems' (got none)"),
        ("h", "expected 'disp' of shape [27, 3] (got [27, 2])"),
        ("i", "not a whole npz file"),
    ):
        assert reason in rejected[f"train/{name}.npz"]
    out = tmp_path / "small"
    limit = ["--max-displacement-z", "0.05"]
    assert main(["published", str(published), "--out", str(out), *limit]) == 0
    assert [entry["case_id"] for entry in json.loads((out / "index.json").read_text())] == [
        "case00003_c",
        "case00001_a",
    ]
    assert main(["published", str(tmp_path), "--out", str(tmp_path / "x")]) == 2
    assert main(["published", str(published), "--out", str(out)]) == 2


def test_metadata_of_the_parquet_index(published, tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = {
        "case_id": ["case00001_a"],
        "file": ["train/case00001_a.npz"],
        "num_nodes": [27],
        "num_edges": [108],
        "metadata": [json.dumps({"case_name": "a", "time_steps": 1})],
    }
    (published / "data").mkdir()
    path = published / "data/train-00000-of-00001.parquet"
    parquet.write_table(pyarrow.table(table), path)
    convert_published(published, tmp_path / "out")
    index = json.loads((tmp_path / "out/index.json").read_text())
    assert index[1]["metadata"]["published"] == {"case_name": "a", "time_steps": 1}
    assert "published" not in index[0]["metadata"]
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ValueError, match=r"train-00000-of-00001.parquet: damaged"):
        convert_published(published, tmp_path / "more")
