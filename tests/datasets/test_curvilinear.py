"""Airfoil and Pipe, whose files have the same layout."""

import pickle

import numpy as np
import pytest
import torch
from torch_geometric.loader import DataLoader

from flare_mesh.datasets.airfoil import Airfoil
from flare_mesh.datasets.pipe import Pipe

PLACES = {Airfoil: "airfoil/naca/NACA_Cylinder", Pipe: "pipe/Pipe"}
SHAPE = (7, 4)


def write(root, kind, total, dtype=np.float64):
    """Half rings, whose second axis is counterclockwise around the centre."""
    rng = np.random.default_rng(0)
    radius, angle = np.meshgrid(np.linspace(1, 3, 7), np.linspace(0, 3, 4), indexing="ij")
    radius = radius + rng.random((total, 1, 1))
    arrays = {
        "X": (radius * np.cos(angle)).astype(dtype),
        "Y": (radius * np.sin(angle)).astype(dtype),
        "Q": rng.standard_normal((total, 5 if kind is Airfoil else 3, *SHAPE)).astype(dtype),
    }
    path = root / PLACES[kind]
    path.parent.mkdir(parents=True, exist_ok=True)
    for name, values in arrays.items():
        np.save(f"{path}_{name}.npy", values)
    return arrays


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("kind", "channel"), [(Airfoil, 4), (Pipe, 0)])
def test_values(tmp_path, kind, channel, dtype):
    arrays = write(tmp_path, kind, 24, dtype)
    train, test = kind(tmp_path), kind(tmp_path, "test")
    assert (len(train), len(test)) == (20, 4)
    for data_set, first in ((train, 0), (test, 20)):
        for index, case in enumerate(data_set):
            row = first + index
            for axis, name in enumerate("XY"):
                np.testing.assert_array_equal(
                    case.pos[:, axis], arrays[name][row].ravel().astype("f4")
                )
            expected = arrays["Q"][row, channel].ravel().astype("f4")
            np.testing.assert_array_equal(case.y[:, 0], expected)
            assert case.x is None
    assert list(train.target_channels) == ["mach" if kind is Airfoil else "velocity_x"]
    assert train.grid_shape == SHAPE


def test_cells_are_counterclockwise(tmp_path):
    write(tmp_path, Pipe, 12)
    for mirror in (False, True):
        if mirror:
            for name in "XYQ":
                values = np.load(tmp_path / f"pipe/Pipe_{name}.npy")
                np.save(tmp_path / f"pipe/Pipe_{name}.npy", values[..., ::-1].copy())
        case = Pipe(tmp_path)[3]
        assert case.quad.shape == (6 * 3, 4)
        a, b, c, d = (case.pos[case.quad[:, i]] for i in range(4))
        area = (c - a)[:, 0] * (d - b)[:, 1] - (c - a)[:, 1] * (d - b)[:, 0]
        assert bool((area > 0).all())


@pytest.mark.parametrize("kind", [Airfoil, Pipe])
def test_published_sizes(tmp_path, kind):
    (tmp_path / PLACES[kind]).parent.mkdir(parents=True)
    for name, shape in (("X", (1300, 2, 2)), ("Y", (1300, 2, 2)), ("Q", (1300, 5, 2, 2))):
        np.save(tmp_path / f"{PLACES[kind]}_{name}.npy", np.ones(shape, dtype=np.float32))
    assert kind(tmp_path).cases == [f"{row:04d}" for row in range(1000)]
    flare, lno = kind(tmp_path, "test"), kind(tmp_path, "test", convention="lno")
    assert (flare.cases[0], len(flare)) == ("1000", 200)
    assert (lno.cases[0], len(lno)) == ("1100", 200)


def test_other_fields(tmp_path):
    arrays = write(tmp_path, Airfoil, 12)
    data_set = Airfoil(tmp_path, inputs=["density"], targets=["velocity", "pressure"])
    case = data_set[5]
    assert data_set.target_channels == {"velocity": 2, "pressure": 1}
    flow = arrays["Q"][5].reshape(5, -1).T.astype("f4")
    np.testing.assert_array_equal(case.x, flow[:, :1])
    np.testing.assert_array_equal(case.y, flow[:, 1:4])
    np.testing.assert_array_equal(case.velocity, flow[:, 1:3])


def test_batches_and_workers(tmp_path):
    write(tmp_path, Airfoil, 12)
    data_set = Airfoil(tmp_path)
    assert torch.equal(data_set[0].quad, data_set[9].quad)
    assert isinstance(data_set.array("Q"), np.memmap)
    assert torch.equal(pickle.loads(pickle.dumps(data_set))[2].y, data_set[2].y)
    batches = list(DataLoader(data_set, batch_size=4, num_workers=2))
    assert torch.equal(torch.cat([b.y for b in batches]), torch.cat([case.y for case in data_set]))
    assert torch.equal(batches[0].quad[18:36], data_set[0].quad + 28)


def test_wrong_files(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"NACA_Cylinder_X.npy: no such file; get it from http"
    ):
        Airfoil(tmp_path)
    arrays = write(tmp_path, Airfoil, 12)
    path = tmp_path / "airfoil/naca/NACA_Cylinder_Q.npy"
    np.save(path, arrays["Q"][:, :4])
    with pytest.raises(ValueError, match=r"shape \[12, 5 or more, 7, 4\] \(got \[12, 4, 7, 4\]\)"):
        Airfoil(tmp_path)
    np.save(path, arrays["Q"][:10])
    with pytest.raises(ValueError, match=r"shape \[12, 5 or more, 7, 4\] \(got \[10, 5, 7, 4\]\)"):
        Airfoil(tmp_path)
    np.save(path, arrays["Q"][:, 0])
    with pytest.raises(
        ValueError, match=r"Q.npy: expected an array of shape .* \(got \[12, 7, 4\]"
    ):
        Airfoil(tmp_path)
    for shape in ((), (12,), (12, 5, 7, 4, 2)):
        np.save(path, np.zeros(shape))
        with pytest.raises(ValueError, match=r"Q.npy: expected an array of shape \[12, 5 or"):
            Airfoil(tmp_path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"Q.npy: not a whole npy file"):
        Airfoil(tmp_path)
    np.save(tmp_path / "airfoil/naca/NACA_Cylinder_Y.npy", arrays["Y"][:, :-1])
    with pytest.raises(ValueError, match=r"Y.npy: expected an array of shape \[12, 7, 4\]"):
        Airfoil(tmp_path)


def test_more_channels_than_published_are_passed_over(tmp_path):
    arrays = write(tmp_path, Airfoil, 12)
    more = np.concatenate([arrays["Q"], arrays["Q"]], axis=1)
    np.save(tmp_path / "airfoil/naca/NACA_Cylinder_Q.npy", more)
    expected = arrays["Q"][0, 4].ravel().astype("f4")
    np.testing.assert_array_equal(Airfoil(tmp_path)[0].y[:, 0], expected)
