import pickle

import h5py
import numpy as np
import pytest
import torch
from scipy.io import savemat
from torch_geometric.loader import DataLoader

from flare_mesh.datasets.darcy import Darcy


def write(root, version="5", nodes=21, name="piececonst_r{nodes}_N{total}_smooth{part}.mat"):
    rng = np.random.default_rng(0)
    written = {}
    for part, total in ((1, 12), (2, 5)):
        arrays = {
            "coeff": rng.choice([3.0, 12.0], (total, nodes, nodes)),
            "sol": rng.random((total, nodes, nodes)).astype(np.float32),
            "Kcoeff": np.zeros((total, nodes, nodes)),
        }
        path = root / name.format(nodes=nodes, total=total, part=part)
        path.parent.mkdir(parents=True, exist_ok=True)
        if version == "5":
            savemat(path, arrays)
        else:
            with h5py.File(path, "w", userblock_size=512) as file:
                for key, values in arrays.items():
                    file[key] = values.T
        written[part] = arrays
    return written


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_values(tmp_path, version):
    arrays = write(tmp_path / "FNO" / "darcy", version)
    train, test = Darcy(tmp_path), Darcy(tmp_path, "test")
    assert (len(train), len(test)) == (12, 5)
    for data_set, part in ((train, 1), (test, 2)):
        case = data_set[3]
        assert case.case_id == "0003"
        # x runs along the last axis, as np.meshgrid has it in the published codes.
        x, y = np.meshgrid(np.linspace(0, 1, 5), np.linspace(0, 1, 5))
        np.testing.assert_allclose(case.pos, np.c_[x.ravel(), y.ravel()], rtol=1e-6)
        for i in range(5):
            for j in range(5):
                assert case.x[5 * i + j] == arrays[part]["coeff"][3, 5 * i, 5 * j]
                assert case.y[5 * i + j] == arrays[part]["sol"][3, 5 * i, 5 * j]
    assert train.grid_shape == (5, 5)
    assert {path.suffix for path in (tmp_path / "processed").iterdir()} == {".npy"}


def test_the_published_grid(tmp_path):
    write(tmp_path, nodes=421)
    case = Darcy(tmp_path, "test")[0]
    assert case.num_nodes == Darcy.STATS["nodes"] == 85 * 85
    assert case.pos.min() == 0
    assert case.pos.max() == 1
    a, b, c, d = (case.pos[case.quad[:, i]] for i in range(4))
    area = ((c - a)[:, 0] * (d - b)[:, 1] - (c - a)[:, 1] * (d - b)[:, 0]) / 2
    assert bool((area > 0).all())
    torch.testing.assert_close(area.sum(), torch.tensor(1.0))


def test_conventions_and_options(tmp_path):
    arrays = write(tmp_path)
    assert Darcy(tmp_path)[0].num_nodes == 25
    case = Darcy(tmp_path, convention="lno", num_train=4)[3]
    np.testing.assert_array_equal(case.y[:, 0], arrays[1]["sol"][3].ravel())
    assert len(Darcy(tmp_path, "test", num_train=2, num_test=3)) == 3
    stride = Darcy(tmp_path, stride=3)[0]
    assert Darcy(tmp_path, stride=3).grid_shape == (7, 7)
    assert stride.num_nodes == 7 * 7
    np.testing.assert_array_equal(stride.y[:, 0], arrays[1]["sol"][0, ::3, ::3].ravel())
    assert stride.pos.max() == pytest.approx(18 / 20)


def test_several_resolutions(tmp_path):
    write(tmp_path)
    write(tmp_path, nodes=11)
    with pytest.raises(ValueError, match="several files match, .* choose by 'resolution'"):
        Darcy(tmp_path)
    assert Darcy(tmp_path, resolution=11, stride=1)[0].num_nodes == 121


def test_batches_and_workers(tmp_path):
    write(tmp_path)
    data_set = pickle.loads(pickle.dumps(Darcy(tmp_path)))
    assert isinstance(data_set.array("sol"), np.memmap)
    batches = list(DataLoader(data_set, batch_size=5, num_workers=2))
    assert torch.equal(torch.cat([b.x for b in batches]), torch.cat([case.x for case in data_set]))


def test_wrong_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file piececonst_r\*_N\*_smooth2.mat there"):
        Darcy(tmp_path, "test")
    arrays = write(tmp_path)[1]
    path = tmp_path / "piececonst_r21_N12_smooth1.mat"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match="smooth1.mat: not a whole MAT file"):
        Darcy(tmp_path)
    savemat(path, {"coeff": arrays["coeff"]})
    with pytest.raises(ValueError, match=r"no array 'sol' of real numbers; it has \['coeff'\]"):
        Darcy(tmp_path)
    savemat(path, {**arrays, "sol": arrays["sol"][:7]})
    with pytest.raises(ValueError, match=r"'sol': expected .* \[12, 21, 21\] \(got \[7, 21, 21\]"):
        Darcy(tmp_path)
    savemat(path, {**arrays, "coeff": arrays["coeff"][0]})
    with pytest.raises(ValueError, match=r"'coeff': expected .* \[any, any, any\] \(got \[21, 21"):
        Darcy(tmp_path)
    savemat(path, arrays)
    for options, message in (
        ({"stride": 21}, r"a stride from 1 to 20 for a grid of 21 x 21 nodes \(got 21\)"),
        ({"num_train": 13}, r"expected num_train from 1 to its 12 cases \(got 13\)"),
        ({"split": "val"}, "unknown split 'val'"),
        ({"convention": "x"}, "unknown convention 'x'"),
        ({"inputs": ["a"]}, r"unknown inputs \['a'\]"),
    ):
        with pytest.raises(ValueError, match=message):
            Darcy(tmp_path, **options)
