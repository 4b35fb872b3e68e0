import pickle

import h5py
import numpy as np
import pytest
import torch
from scipy.io import savemat
from torch_geometric.loader import DataLoader

from flare_mesh.datasets.plasticity import Plasticity
from flare_mesh.io import mat

TOTAL, NX, NY, STEPS = 12, 6, 4, 3


@pytest.fixture
def arrays(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        "input": rng.standard_normal((TOTAL, NX)),
        "output": rng.standard_normal((TOTAL, NX, NY, STEPS, 4)),
    }
    (tmp_path / "plasticity").mkdir()
    savemat(tmp_path / "plasticity/plas_N987_T20.mat", arrays, do_compression=True)
    return arrays


def check_trajectory(case, arrays, row):
    for i in range(NX):
        for j in range(NY):
            node = i * NY + j
            np.testing.assert_allclose(case.pos[node], [i / (NX - 1), j / (NY - 1)], rtol=1e-6)
            assert case.x[node] == np.float32(arrays["input"][row, i])
            for t in range(STEPS):
                np.testing.assert_array_equal(
                    case.y[node, 4 * t : 4 * t + 4], arrays["output"][row, i, j, t].astype("f4")
                )


def test_trajectories(tmp_path, arrays):
    train, test = Plasticity(tmp_path), Plasticity(tmp_path, "test")
    assert (len(train), len(test)) == (11, 1)
    check_trajectory(train[2], arrays, 2)
    check_trajectory(test[0], arrays, 11)
    assert test.cases == ["0011"]
    assert train.target_channels == {"deformation": 4 * STEPS}
    assert train[0].quad.shape == ((NX - 1) * (NY - 1), 4)
    assert train.grid_shape == (NX, NY)


def test_steps(tmp_path, arrays):
    whole, steps = Plasticity(tmp_path), Plasticity(tmp_path, mode="steps")
    assert len(steps) == STEPS * len(whole)
    assert steps.input_channels == {"die": 1, "time": 1}
    assert steps.target_channels == {"deformation": 4}
    for index in (0, 4, 8):
        row, t = divmod(index, STEPS)
        case = steps[index]
        assert case.case_id == f"{row:04d}_t{t:02d}"
        assert torch.equal(case.y, whole[row].y[:, 4 * t : 4 * t + 4])
        assert torch.equal(case.x[:, :1], whole[row].x)
        assert bool((case.x[:, 1] == t / (STEPS - 1)).all())


def test_halves_of_the_target(tmp_path, arrays):
    data_set = Plasticity(tmp_path, targets=["displacement"])
    expected = arrays["output"][1, ..., 2:].reshape(NX * NY, -1).astype("f4")
    np.testing.assert_array_equal(data_set[1].y, expected)
    case = Plasticity(tmp_path, mode="steps", targets=["coordinates", "displacement"])[4]
    assert torch.equal(case.y, Plasticity(tmp_path, mode="steps")[4].y)


def test_published_sizes(tmp_path):
    savemat(
        tmp_path / "plas_N987_T20.mat",
        {"input": np.ones((987, 2)), "output": np.ones((987, 2, 2, 1, 4))},
    )
    flare, lno = Plasticity(tmp_path, "test"), Plasticity(tmp_path, "test", convention="lno")
    assert len(Plasticity(tmp_path)) == 900
    assert (flare.cases[0], len(flare)) == ("0907", 80)
    assert (lno.cases[0], len(lno)) == ("0900", 87)


def test_version_7_3_and_another_name(tmp_path, arrays):
    (tmp_path / "plasticity/plas_N987_T20.mat").unlink()
    with h5py.File(tmp_path / "plas_N12_T3.mat", "w", userblock_size=512) as file:
        for name, values in arrays.items():
            file[name] = values.T
    check_trajectory(Plasticity(tmp_path)[2], arrays, 2)


def test_converted_once_and_mapped(tmp_path, arrays, monkeypatch):
    data_set = Plasticity(tmp_path)
    assert isinstance(data_set.array("output"), np.memmap)
    assert data_set.array("output").dtype == np.float32
    assert len(list((tmp_path / "processed").iterdir())) == 2
    monkeypatch.setattr(mat, "MatFile", None)
    again = pickle.loads(pickle.dumps(Plasticity(tmp_path)))
    assert torch.equal(again[4].y, data_set[4].y)
    batches = list(DataLoader(data_set, batch_size=4, num_workers=2))
    assert torch.equal(torch.cat([b.y for b in batches]), torch.cat([case.y for case in data_set]))


def test_changes_of_a_case_do_not_reach_the_others(tmp_path, arrays):
    data_set = Plasticity(tmp_path)
    data_set[0].pos.zero_()
    assert data_set[1].pos.abs().sum() > 0


def test_wrong_files(tmp_path, arrays):
    path = tmp_path / "plasticity/plas_N987_T20.mat"
    with pytest.raises(
        FileNotFoundError, match=r"no file plas_N\*_T\*.mat there; get it from http"
    ):
        Plasticity(tmp_path / "nowhere")
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ValueError, match=r"plas_N987_T20.mat: not a whole MAT file"):
        Plasticity(tmp_path)
    path.write_bytes(b"<html>")
    with pytest.raises(ValueError, match=r"plas_N987_T20.mat: not a whole MAT file"):
        Plasticity(tmp_path)
    savemat(path, {"output": arrays["output"]})
    with pytest.raises(ValueError, match=r"no array 'input' of real numbers; it has \['output'\]"):
        Plasticity(tmp_path)
    savemat(path, {**arrays, "input": arrays["input"][:, :-1]})
    with pytest.raises(ValueError, match=r"'input': expected .* \[12, 6\] \(got \[12, 5\]\)"):
        Plasticity(tmp_path)
    with pytest.raises(ValueError, match="unknown mode 'x'; choose from .*'trajectory'"):
        Plasticity(tmp_path, mode="x")
