import json
import pickle
import shutil

import numpy as np
import pytest
import torch
from torch_geometric.loader import DataLoader

from flare_mesh.datasets import LPBF


def write_published(path, nodes=8, **changes):
    """A case with the keys, shapes and types of the published set."""
    corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    arrays = {
        "pos": np.concatenate([corners, corners + np.array([0, 0, 1])]).astype(np.float32),
        "edge_index": np.array([[0, 1], [1, 0]]),
        "elems": np.arange(8)[None],
        "temp": np.full((nodes, 1), 30.0),
        "disp": np.arange(24.0).reshape(8, 3),
        "vmstr": np.arange(8.0)[:, None],
        "_metadata": np.array({"pickled": True}, dtype=object),
        **changes,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})


def test_generated_set(lpbf_root):
    train, test = LPBF(lpbf_root), LPBF(lpbf_root, "test")
    assert (len(train), len(test)) == (6, 2)
    case = train[0]
    assert case.case_id == "part_000000"
    with np.load(lpbf_root / "train/part_000000.npz") as file:
        np.testing.assert_array_equal(case.y[:, :3], file["disp"])
        np.testing.assert_array_equal(case.y[:, 3], file["vmstr"])
        np.testing.assert_array_equal(case.hexahedron, file["elems"])
    assert case.temperature.shape == (case.num_nodes, 1)
    assert train.target_channels == {"displacement": 3, "von_mises": 1}


def test_the_published_target_is_the_z_displacement(lpbf_root):
    case = LPBF(lpbf_root, targets=["displacement_z"])[0]
    torch.testing.assert_close(case.y, case.displacement[:, 2:])
    assert "displacement_z" not in LPBF(lpbf_root)[0]


def test_batches(lpbf_root):
    data_set = LPBF(lpbf_root, targets=["von_mises"])
    batch = next(iter(DataLoader(data_set, batch_size=3)))
    assert batch.y.shape == (batch.num_nodes, 1)
    sizes = batch.pos[batch.hexahedron].amax(1) - batch.pos[batch.hexahedron].amin(1)
    assert bool((sizes == 4.0).all())


def test_transform(lpbf_root):
    data_set = LPBF(lpbf_root, transform=lambda case: case.num_nodes)
    assert data_set[1] == LPBF(lpbf_root)[1].num_nodes


def test_published_layout_without_unpickling(tmp_path, monkeypatch):
    write_published(tmp_path / "train/a.npz")
    write_published(tmp_path / "train/b.npz", temp=np.full(8, 1.0), vmstr=np.arange(8.0))

    def never(*args, **kwargs):
        raise AssertionError("unpickled")

    monkeypatch.setattr(pickle, "load", never)
    a, b = LPBF(tmp_path)
    assert torch.equal(a.y, b.y)
    assert torch.equal(a.displacement, torch.arange(24.0).view(8, 3))
    assert b.temperature.shape == (8, 1)


def test_bad_options(tmp_path, lpbf_root):
    with pytest.raises(ValueError, match="unknown split 'val'; choose 'train' or 'test'"):
        LPBF(lpbf_root, "val")
    with pytest.raises(ValueError, match=r"unknown targets \['disp'\]; choose from"):
        LPBF(lpbf_root, targets=["disp"])
    with pytest.raises(FileNotFoundError, match=r"train: no cases .*lpbf.generate"):
        LPBF(tmp_path)


def test_damaged_cases(tmp_path, lpbf_root):
    whole = lpbf_root / "train/part_000000.npz"
    folder = tmp_path / "train"
    folder.mkdir()
    (folder / "a.npz").write_bytes(whole.read_bytes()[:-300])
    (folder / "b.npz").write_text("hello")
    shutil.copy(whole, folder / ".c.partial.npz")
    write_published(folder / "d.npz", vmstr=None)
    write_published(folder / "e.npz", vmstr=np.zeros(7))
    write_published(folder / "f.npz", disp=np.array([{}] * 8, dtype=object))
    write_published(folder / "h.npz", disp=np.zeros((3, 8)))
    write_published(folder / "g.npz", elems=np.arange(1, 9)[None])
    data_set = LPBF(tmp_path)
    assert len(data_set) == 7
    with pytest.raises(
        ValueError, match=r"'disp': expected an array of shape \[8, 3\] \(got \[3, 8\]\)"
    ):
        data_set[6]
    with pytest.raises(ValueError, match=r"g.npz: expected node numbers from 0 to 7 in 'elems'"):
        data_set[5]
    for index, message in (
        (0, r"a\.npz: not a whole npz file"),
        (1, r"b\.npz: not a whole npz file"),
        (2, r"d\.npz: not a whole npz file \(no arrays \['vmstr'\]; it has"),
        (4, r"f\.npz, 'disp': holds Python objects, which are not unpickled"),
    ):
        with pytest.raises(ValueError, match=message):
            data_set[index]
    with pytest.raises(
        ValueError, match=r"e.npz: 'vmstr': expected an array of shape \[8, 1\] \(got \[7\]\)"
    ):
        data_set[3]


def test_bad_cases_are_left_out(tmp_path, caplog):
    write_published(tmp_path / "train/a.npz")
    write_published(tmp_path / "train/b.npz", disp=np.full((8, 3), np.nan))
    write_published(tmp_path / "train/c.npz")
    with pytest.raises(ValueError, match=r"case 'b': 24 values of 'y' are NaN or infinite; repair"):
        LPBF(tmp_path)[1]
    data_set = LPBF(tmp_path, skip_bad=True)
    assert [case.case_id for case in data_set] == ["a", "c"]
    assert "case 'b' is left out" in caplog.text
    write_published(tmp_path / "train/a.npz", disp=np.full((8, 3), np.inf))
    (tmp_path / "train/c.npz").unlink()
    with pytest.raises(ValueError, match="no case of 2 can be used"):
        LPBF(tmp_path, skip_bad=True)


def test_inputs_and_sizes(tmp_path):
    write_published(tmp_path / "train/a.npz")
    case = LPBF(tmp_path, inputs=["temperature"], targets=["displacement"])[0]
    assert torch.equal(case.x, case.temperature)
    assert torch.equal(case.y, case.displacement)
    with pytest.raises(ValueError, match=r"'pos': declares .* more than the limit of 100"):
        LPBF(tmp_path, max_bytes=100)[0]


def test_symmetries_by_the_inherent_strains(lpbf_root, tmp_path):
    found = LPBF(lpbf_root).square_symmetry()
    assert found.holds
    assert "equal in x and y in all 6 training cases" in found.reason
    folder = tmp_path / "set"
    shutil.copytree(lpbf_root, folder)
    index = folder / "index.json"
    entries = json.loads(index.read_text())
    strain = [entry for entry in entries if entry["file"].startswith("train")][-1]
    strain["metadata"]["process"]["inherent_strain"] = [-0.004, -0.002, -0.004]
    index.write_text(json.dumps(entries))
    found = LPBF(folder).square_symmetry()
    assert not found.holds
    assert "differs in x and y, -0.004 and -0.002 in the case 'part_" in found.reason
    assert LPBF(folder, "test").square_symmetry().holds  # whose strains are as they were
    # A case without an entry, as of another program.
    index.write_text(json.dumps(entries[1:]))
    found = LPBF(folder).square_symmetry()
    assert not found.holds
    assert "add 'augment' and 'average_symmetries'" in found.reason
    for text in ("{", "[1]", '[{"file": "train/part_000000.npz", "metadata": {"process": {}}}]'):
        index.write_text(text)
        with pytest.raises(ValueError, match=r"index.json: expected a list of cases with 'file'"):
            LPBF(folder).square_symmetry()
    index.unlink()
    assert not LPBF(folder).square_symmetry().holds
