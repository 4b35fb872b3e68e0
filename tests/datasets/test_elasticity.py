import pickle

import numpy as np
import pytest
import torch
from torch_geometric.loader import DataLoader

from flare_mesh.datasets.elasticity import Elasticity

NODES, TOTAL = 30, 24


@pytest.fixture
def arrays(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        "sigma": rng.random((NODES, TOTAL)),
        "XY": rng.random((NODES, 2, TOTAL)),
        "rr": rng.random((42, TOTAL)),
        "theta": rng.random((TOTAL, 10)),
    }
    folder = tmp_path / "elasticity" / "Meshes"
    folder.mkdir(parents=True)
    for name, values in arrays.items():
        np.save(folder / f"Random_UnitCell_{name}_10.npy", values)
    return arrays


def test_values(tmp_path, arrays):
    train, test = Elasticity(tmp_path), Elasticity(tmp_path, "test")
    assert (len(train), len(test)) == (20, 4)
    for data_set, first in ((train, 0), (test, 20)):
        for index, case in enumerate(data_set):
            np.testing.assert_array_equal(case.pos, arrays["XY"][:, :, first + index].astype("f4"))
            expected = arrays["sigma"][:, first + index, None].astype("f4")
            np.testing.assert_array_equal(case.y, expected)
            assert case.case_id == f"{first + index:04d}"
    assert train[0].x is None
    assert (train.input_channels, train.target_channels) == ({}, {"stress": 1})


def test_published_sizes(tmp_path):
    for name, shape in (("sigma", (3, 2000)), ("XY", (3, 2, 2000))):
        np.save(tmp_path / f"Random_UnitCell_{name}_10.npy", np.ones(shape, dtype=np.float32))
    assert len(Elasticity(tmp_path)) == 1000
    flare, lno = Elasticity(tmp_path, "test"), Elasticity(tmp_path, "test", convention="lno")
    assert (flare.cases[0], len(flare)) == ("1800", 200)
    assert (lno.cases[0], len(lno)) == ("1000", 1000)


def test_parameters_of_the_void(tmp_path, arrays):
    data_set = Elasticity(tmp_path, "test", inputs=["theta", "radius"], num_train=3, num_test=2)
    case = data_set[1]
    assert data_set.cases == ["0022", "0023"]
    assert data_set.input_channels == {"theta": 10, "radius": 42}
    expected = np.concatenate([arrays["theta"][23], arrays["rr"][:, 23]]).astype("f4")
    np.testing.assert_array_equal(case.x, np.tile(expected, (NODES, 1)))


def test_any_folder_on_the_path(tmp_path, arrays):
    for folder in ("elasticity", "elasticity/Meshes"):
        assert len(Elasticity(tmp_path / folder)) == 20


def test_batches_and_workers(tmp_path, arrays):
    data_set = Elasticity(tmp_path)
    assert isinstance(data_set.array("stress"), np.memmap)
    assert len(pickle.dumps(data_set)) < 5000
    copy = pickle.loads(pickle.dumps(data_set))
    assert torch.equal(copy[3].y, data_set[3].y)
    batches = list(DataLoader(data_set, batch_size=8, num_workers=2))
    assert [batch.num_graphs for batch in batches] == [8, 8, 4]
    assert torch.equal(
        torch.cat([batch.y for batch in batches]), torch.cat([d.y for d in data_set])
    )


def test_wrong_files(tmp_path, arrays):
    folder = tmp_path / "elasticity" / "Meshes"
    sigma = folder / "Random_UnitCell_sigma_10.npy"
    with pytest.raises(
        FileNotFoundError, match=r"Random_UnitCell_XY_10.npy: no such file; get it "
    ):
        Elasticity(tmp_path / "nowhere")
    content = sigma.read_bytes()
    sigma.write_bytes(content[:-100])
    with pytest.raises(ValueError, match=r"sigma_10.npy: not a whole npy file"):
        Elasticity(tmp_path)
    sigma.write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"sigma_10.npy: not a whole npy file"):
        Elasticity(tmp_path)
    np.save(sigma, arrays["sigma"].T)
    with pytest.raises(ValueError, match=r"expected an array of shape \[30, 24\] \(got \[24, 30\]"):
        Elasticity(tmp_path)
    np.save(sigma, arrays["sigma"].astype(complex))
    with pytest.raises(ValueError, match=r"expected real numbers \(got complex numbers"):
        Elasticity(tmp_path)
    arrays["sigma"][5, 2] = np.nan
    arrays["sigma"][5, 3] = 1e300
    np.save(sigma, arrays["sigma"])
    data_set = Elasticity(tmp_path)
    for case in (2, 3):
        with pytest.raises(ValueError, match=f"case '000{case}': 1 values of 'y' are NaN or inf"):
            data_set[case]
    assert len(Elasticity(tmp_path, skip_bad=True)) == 18


def test_wrong_options(tmp_path, arrays):
    with pytest.raises(ValueError, match=r"unknown targets \['sigma'\]; choose from \['stress'"):
        Elasticity(tmp_path, targets=["sigma"])
    with pytest.raises(ValueError, match=r"unknown convention 'x'; choose from \['flare', 'lno'\]"):
        Elasticity(tmp_path, convention="x")
    with pytest.raises(ValueError, match="unknown split 'val'; choose from"):
        Elasticity(tmp_path, "val")
