import pickle

import h5py
import numpy as np
import pytest
import torch
from scipy.io import savemat
from torch_geometric.loader import DataLoader

from flare_mesh.datasets.navier_stokes import NavierStokes

TOTAL, ROWS, COLUMNS, STEPS = 12, 6, 4, 20
NAME = "NavierStokes_V1e-5_N1200_T20.mat"


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {
        "u": rng.standard_normal((TOTAL, ROWS, COLUMNS, STEPS)).astype(np.float32),
        "a": rng.standard_normal((TOTAL, ROWS, COLUMNS)).astype(np.float32),
        "t": np.arange(1.0, STEPS + 1)[None],
    }


def test_the_published_case(tmp_path, arrays):
    savemat(tmp_path / NAME, arrays)
    train, test = NavierStokes(tmp_path), NavierStokes(tmp_path, "test")
    assert (len(train), len(test), train.time_step) == (10, 2, 1.0)
    for data_set, index, row in ((train, 3, 3), (test, 1, 11)):
        case = data_set[index]
        flat = arrays["u"][row].reshape(-1, STEPS)
        np.testing.assert_array_equal(case.x, flat[:, :10])
        np.testing.assert_array_equal(case.y, flat[:, 10:])
        assert case.case_id == f"{row:04d}"
    x, y = np.meshgrid(np.linspace(0, 1, COLUMNS), np.linspace(0, 1, ROWS))
    np.testing.assert_allclose(train[0].pos, np.c_[x.ravel(), y.ravel()], rtol=1e-6)
    assert train[0].quad.shape == ((ROWS - 1) * (COLUMNS - 1), 4)
    assert train.input_channels == {"vorticity_in": 10}
    assert train.grid_shape == (ROWS, COLUMNS)
    assert NavierStokes(tmp_path, stride=3).grid_shape == (2, 2)


def test_published_sizes(tmp_path):
    savemat(tmp_path / NAME, {"u": np.ones((1200, 2, 2, 20), dtype=np.float32)})
    assert len(NavierStokes(tmp_path)) == 1000
    test = NavierStokes(tmp_path, "test")
    assert (test.cases[0], test.cases[-1], test.time_step) == ("1000", "1199", 1.0)


def test_windows(tmp_path, arrays):
    savemat(tmp_path / NAME, arrays)
    data_set = NavierStokes(tmp_path, window=(10, 1), mode="windows")
    assert len(data_set) == 10 * 10
    case = data_set[37]
    flat = arrays["u"][3].reshape(-1, STEPS)
    assert case.case_id == "0003_t7"
    np.testing.assert_array_equal(case.x, flat[:, 7:17])
    np.testing.assert_array_equal(case.y, flat[:, 17:18])
    rest = NavierStokes(tmp_path, window=(4, None))
    assert (len(rest), rest.target_channels) == (10, {"vorticity_out": 16})


def test_initial_state_stride_and_periodic_nodes(tmp_path, arrays):
    savemat(tmp_path / NAME, arrays)
    data_set = NavierStokes(tmp_path, inputs=["vorticity_0"], stride=2, periodic=True)
    case = data_set[5]
    np.testing.assert_array_equal(case.x[:, 0], arrays["a"][5, ::2, ::2].ravel())
    np.testing.assert_array_equal(case.y, arrays["u"][5, ::2, ::2, 10:].reshape(-1, 10))
    x, y = np.meshgrid([0, 0.5], [0, 1 / 3, 2 / 3])
    np.testing.assert_allclose(case.pos, np.c_[x.ravel(), y.ravel()], rtol=1e-6)


def test_other_files(tmp_path, arrays):
    with h5py.File(tmp_path / "ns_V1e-3_N5000_T50.mat", "w", userblock_size=512) as file:
        for name, values in {**arrays, "t": arrays["t"] / 2}.items():
            file[name] = values.T
    data_set = NavierStokes(tmp_path)
    assert data_set.time_step == 0.5
    np.testing.assert_array_equal(data_set[2].x, arrays["u"][2].reshape(-1, STEPS)[:, :10])
    (tmp_path / "more").mkdir()
    savemat(tmp_path / "more" / NAME, {"u": -arrays["u"]})
    with pytest.raises(ValueError, match=r"several files match, .*more.NavierStokes.* by 'file'"):
        NavierStokes(tmp_path)
    assert torch.equal(NavierStokes(tmp_path, file=NAME)[2].x, -data_set[2].x)


def test_batches_and_workers(tmp_path, arrays):
    savemat(tmp_path / NAME, arrays)
    data_set = pickle.loads(pickle.dumps(NavierStokes(tmp_path, window=(3, 2), mode="windows")))
    assert isinstance(data_set.array("u"), np.memmap)
    batches = list(DataLoader(data_set, batch_size=16, num_workers=2))
    assert torch.equal(torch.cat([b.y for b in batches]), torch.cat([case.y for case in data_set]))


def test_wrong_files(tmp_path, arrays):
    path = tmp_path / NAME
    with pytest.raises(FileNotFoundError, match=r"no file NavierStokes_V\*.mat or ns_V\*.mat or "):
        NavierStokes(tmp_path)
    savemat(path, arrays)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match=f"{NAME}: not a whole MAT file"):
        NavierStokes(tmp_path)
    savemat(path, {"a": arrays["a"]})
    with pytest.raises(ValueError, match=r"no array 'u' of real numbers; it has \['a'\]"):
        NavierStokes(tmp_path)
    savemat(path, {"u": arrays["u"][0]})
    with pytest.raises(ValueError, match=r"'u': expected .* \(got \[6, 4, 20\]\)"):
        NavierStokes(tmp_path)
    savemat(path, {**arrays, "a": arrays["a"][:5]})
    with pytest.raises(ValueError, match=r"'a': expected .* \[12, 6, 4\] \(got \[5, 6, 4\]\)"):
        NavierStokes(tmp_path, inputs=["vorticity_0"])
    for options, message in (
        ({"window": (10, 11)}, r"at most 20 together \(got \(10, 11\)\)"),
        ({"mode": "x"}, "unknown mode 'x'"),
        ({"stride": 4}, r"expected a stride from 1 to 3 for a grid of 6 x 4 nodes \(got 4\)"),
        ({"split": "val"}, "unknown split 'val'"),
    ):
        with pytest.raises(ValueError, match=message):
            NavierStokes(tmp_path, **options)
