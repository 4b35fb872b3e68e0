import gc
import pickle
import time
import tracemalloc

import h5py
import numpy as np
import pytest
import torch
from torch_geometric.loader import DataLoader

from flare_mesh.datasets.point_folder import PointFolder

SIZES = {"a": 40, "b": 25, "c": 60, "d": 33, "e": 40}
BOTH = ["npy", "hdf5"]


def arrays_of(name, count):
    rng = np.random.default_rng(len(name) + count)
    # Every row contains its number, which shows whether rows of all arrays belong together.
    row = np.arange(count, dtype=np.float64)
    return {
        "pos": rng.random((count, 3)),
        "row": row,
        "fields/velocity": (row[:, None] + [0.0, 0.25, 0.5]).astype("f4"),
        "stress": rng.random((count, 3, 3)).astype("f4"),
        "inflow": np.array([[count, 7.0]]),
        "angle": np.array(3.5),
        "area": rng.random(count),
        "cells": np.zeros((count + 11, 4), dtype=np.int32),
    }


def write(path, arrays, kind):
    if kind == "npy":
        for name, values in arrays.items():
            file = path / f"{name}.npy"
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, values)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path.with_suffix(".h5"), "w") as file:
            for name, values in arrays.items():
                file[name] = values


def make(root, kind):
    """Writes the cases and returns their arrays."""
    cases = {name: arrays_of(name, count) for name, count in SIZES.items()}
    for name, arrays in cases.items():
        write(root / name, arrays, kind)
    return cases


def everything(root, **options):
    """A data set of all cases."""
    options = {"targets": ["row"], "fractions": {"train": 1.0}, **options}
    return PointFolder(root, **options)


@pytest.mark.parametrize("kind", BOTH)
def test_whole_cases(tmp_path, kind):
    cases = make(tmp_path, kind)
    data_set = everything(
        tmp_path,
        inputs=["fields/velocity", "inflow", "angle"],
        targets=["stress", "row"],
        weight="area",
    )
    assert data_set.cases == [*SIZES]
    expected = {"fields/velocity": 3, "stress": 9, "inflow": 2, "row": 1, "angle": 1, "area": 1}
    assert dict(data_set.FIELDS) == expected
    assert data_set.input_channels == {"fields/velocity": 3, "inflow": 2, "angle": 1}
    for case_id, data in zip(SIZES, data_set, strict=True):
        arrays, count = cases[case_id], SIZES[case_id]
        assert data.case_id == case_id
        np.testing.assert_array_equal(data.pos, arrays["pos"].astype("f4"))
        np.testing.assert_array_equal(data.weight, arrays["area"].astype("f4"))
        np.testing.assert_array_equal(data["stress"], arrays["stress"].reshape(count, 9))
        np.testing.assert_array_equal(data["inflow"], arrays["inflow"])
        assert data["angle"].tolist() == [[3.5]]
        np.testing.assert_array_equal(data.x[:, :3], arrays["fields/velocity"])
        assert (data.x[:, 3:] == torch.tensor([count, 7.0, 3.5])).all()
        np.testing.assert_array_equal(data.y[:, 9], arrays["row"])
        assert all(data[key].dtype == torch.float32 for key in ("pos", "x", "y", "weight"))


@pytest.mark.parametrize("method", ["uniform", "blocks"])
@pytest.mark.parametrize("kind", BOTH)
def test_draws_belong_together(tmp_path, kind, method):
    cases = make(tmp_path, kind)
    data_set = everything(
        tmp_path,
        inputs=["fields/velocity", "inflow"],
        weight="area",
        num_points=30,
        method=method,
        num_blocks=5,
    )
    draws = set()
    for case_id, data in zip(SIZES, data_set, strict=True):
        arrays, count = cases[case_id], SIZES[case_id]
        num = min(30, count)
        rows = data.y[:, 0].long().numpy()
        assert len(np.unique(rows)) == num
        np.testing.assert_array_equal(data.pos, arrays["pos"][rows].astype("f4"))
        np.testing.assert_array_equal(data.x[:, :3], arrays["fields/velocity"][rows])
        assert data["inflow"].shape == (1, 2)
        expected = (arrays["area"][rows] * (count / num)).astype("f4")
        np.testing.assert_array_equal(data.weight, expected)
        draws.add(tuple(rows.tolist()))
    assert tuple(range(25)) in draws  # the case that has fewer


def test_draws(tmp_path):
    make(tmp_path, "npy")
    varying, fixed = (everything(tmp_path, num_points=10, seed=seed) for seed in (None, 1))
    assert not torch.equal(varying[0].y, varying[0].y)
    torch.manual_seed(0)
    first = varying[0].y
    torch.manual_seed(0)
    assert torch.equal(first, varying[0].y)
    state = torch.get_rng_state()
    assert torch.equal(fixed[0].y, fixed[0].y)
    assert torch.equal(torch.get_rng_state(), state)
    # Cases of the same size do not share their draw, and it depends on nothing but the name.
    assert not torch.equal(fixed[0].y, fixed[4].y)
    (tmp_path / "a" / "row.npy").unlink()
    without_a, other = (
        everything(tmp_path, num_points=10, seed=seed, skip_bad=True) for seed in (1, 2)
    )
    assert torch.equal(without_a[3].y, fixed[4].y)
    assert not torch.equal(other[3].y, fixed[4].y)


def test_weights_have_no_bias(tmp_path):
    rng = np.random.default_rng(0)
    area, row = rng.random(50), np.arange(50.0)
    write(tmp_path / "a", {"pos": rng.random((50, 2)), "row": row, "area": area}, "npy")
    data_set = everything(tmp_path, weight="area", num_points=20)
    torch.manual_seed(0)
    sums = np.array(
        [
            (float(data.weight.sum()), float((data.weight * data.y[:, 0]).sum()))
            for data in (data_set[0] for _ in range(400))
        ]
    )
    error = sums.std(axis=0) / 400**0.5
    assert (abs(sums.mean(axis=0) - [area.sum(), area @ row]) < 4 * error).all()


def test_splits(tmp_path):
    make(tmp_path, "npy")
    parts = {
        split: PointFolder(tmp_path, split, targets=["row"]).cases for split in ("train", "test")
    }
    assert sorted(parts["train"] + parts["test"]) == [*SIZES]
    assert len(parts["test"]) == 1
    fractions = {"train": 0.4, "val": 0.2, "test": 0.4}
    options = {"targets": ["row"], "fractions": fractions, "split_seed": 5}
    names = [name for split in fractions for name in PointFolder(tmp_path, split, **options).cases]
    assert sorted(names) == [*SIZES]
    for name in SIZES:
        (tmp_path / "val").mkdir(exist_ok=True)
        (tmp_path / name).rename(tmp_path / "val" / name)
    assert PointFolder(tmp_path, "val", targets=["row"]).cases == [*SIZES]


def test_batches_and_workers(tmp_path):
    make(tmp_path, "hdf5")
    data_set = everything(tmp_path, num_points=20, inputs=["inflow"], weight="area")
    assert len(pickle.dumps(data_set)) < 3000
    copy = pickle.loads(pickle.dumps(data_set))
    torch.manual_seed(0)
    drawn = data_set[1].y
    torch.manual_seed(0)
    assert torch.equal(copy[1].y, drawn)
    torch.manual_seed(0)
    loader = DataLoader(data_set, batch_size=2, num_workers=2)
    epochs = [list(loader), list(loader)]
    for batches in epochs:
        assert [batch.num_graphs for batch in batches] == [2, 2, 1]
        assert [batch.num_nodes for batch in batches] == [40, 40, 20]
        assert batches[0]["inflow"].shape == (2, 2)
        assert batches[0].ptr.tolist() == [0, 20, 40]
    assert not torch.equal(epochs[0][0].y, epochs[1][0].y)
    # Two workers draw different rows of cases of the same size.
    assert not torch.equal(epochs[0][0].y[:20], epochs[0][2].y)


def test_x_and_y_are_names_of_arrays(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {key: rng.random((9, 2)).astype("f4") for key in ("pos", "x", "y")}
    write(tmp_path / "a", arrays, "npy")
    data = everything(tmp_path, inputs=["x"], targets=["y"])[0]
    np.testing.assert_array_equal(data.x, arrays["x"])
    np.testing.assert_array_equal(data.y, arrays["y"])
    renamed = {"arrays": {"coordinate": "y", "value": "x"}}
    data = everything(tmp_path, inputs=["coordinate"], targets=["value"], **renamed)[0]
    np.testing.assert_array_equal(data.x, arrays["y"])
    np.testing.assert_array_equal(data.y, arrays["x"])
    np.testing.assert_array_equal(data["coordinate"], arrays["y"])
    for role, name in (
        ("input", "y"),
        ("target", "x"),
        ("input", "refractive_index"),
        ("target", "cell_volume"),
        ("input", "pos"),
        ("input", "line"),
        ("target", "weight"),
        ("input", "batches"),
    ):
        message = rf"{role} '{name}' has another meaning .* arrays={{'my_field': '{name}'}}"
        with pytest.raises(ValueError, match=message):
            everything(tmp_path, **{"targets": ["y"], f"{role}s": [name]})


def test_compressed_chunks_and_blocks(tmp_path):
    rng = np.random.default_rng(0)
    pos, row = rng.random((5000, 3)).astype("f4"), np.arange(5000.0)
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["pos"] = pos
        file.create_dataset("row", data=row, chunks=(500,), compression="gzip")
        file.create_dataset("area", data=row + 1, chunks=(128,), compression="gzip")
    options = {"num_points": 300, "method": "blocks", "num_blocks": 2, "weight": "area"}
    data = everything(tmp_path, **options)[0]
    rows = data.y[:, 0].long().numpy()
    assert len(np.unique(rows // 500)) <= 3  # the largest chunks are the blocks
    np.testing.assert_array_equal(data.pos, pos[rows])
    np.testing.assert_allclose(data.weight, (rows + 1) * (5000 / 300), rtol=1e-6)


@pytest.mark.slow
def test_opens_ten_thousand_cases(tmp_path):
    write(tmp_path / "case_00000", arrays_of("a", 5), "hdf5")
    for number in range(1, 10_000):
        (tmp_path / f"case_{number:05d}.h5").touch()
    everything(tmp_path)
    start = time.perf_counter()
    data_set = everything(tmp_path)
    seconds = time.perf_counter() - start
    assert len(data_set) == 10_000
    assert data_set[0].num_nodes == 5
    assert seconds < 1


def test_memory_is_that_of_the_draw(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    count, num = 50_000_000, 5000
    for name, shape in (("pos", (count, 3)), ("row", (count,)), ("area", (count,))):
        np.lib.format.open_memmap(folder / f"{name}.npy", "w+", "<f4", shape).flush()
    data_set = everything(tmp_path, num_points=num, weight="area")
    data_set[0]
    gc.collect()
    tracemalloc.start()
    try:
        data = data_set[0]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert data.num_nodes == num
    assert peak < 60 * num * 8
    assert len(pickle.dumps(data_set)) < 3000


@pytest.mark.parametrize("kind", BOTH)
def test_wrong_cases(tmp_path, kind):
    def changed(name, **changes):
        arrays = {**arrays_of("a", 40), **changes}
        given = {key: values for key, values in arrays.items() if values is not None}
        write(tmp_path / name, given, kind)

    nan = np.arange(40.0)
    nan[5] = np.nan
    write(tmp_path / "a_good", arrays_of("a", 40), kind)
    changed("b", row=None)
    changed("c", row=np.zeros(39))
    changed("d", row=np.zeros((40, 2)))
    changed("e", row=nan)
    changed("f", area=-np.ones(40))
    changed("g", area=np.ones((1, 40)))
    changed("h", pos=np.zeros((3, 40)))
    changed("i", pos=np.zeros((0, 3)))
    changed("j", pos=None)
    changed("k", row=np.full(40, 1e300))
    data_set = everything(tmp_path, inputs=["inflow"], weight="area")
    for index, message in enumerate(
        (
            r"b(\.h5)?, 'row': (not there|no such data set); .* \[",
            r"c(\.h5)?, 'row': expected 40 rows, as in the coordinates, .* \(got shape \[39\]\)",
            r"d(\.h5)?, 'row': expected 1 channels, as in the first case \(got shape \[40, 2\]\)",
            "case 'e': 1 values of 'y' are NaN",
            r"f(\.h5)?, 'area': expected weights that are finite and not negative",
            r"g(\.h5)?, 'area': expected weights of shape \[40\] \(got \[1, 40\]\)",
            r"h(\.h5)?, 'pos': expected coordinates of shape .* \(got \[3, 40\]\)",
            r"i(\.h5)?, 'pos': expected coordinates of shape .* \(got \[0, 3\]\)",
            r"j(\.h5)?, 'pos': (not there|no such data set)",
            "case 'k': 40 values of 'y' are NaN or infinite",
        ),
        start=1,
    ):
        with pytest.raises(ValueError, match=message):
            data_set[index]
    good = everything(tmp_path, inputs=["inflow"], weight="area", skip_bad=True)
    assert [data.case_id for data in good] == ["a_good"]


@pytest.mark.parametrize("kind", BOTH)
def test_damaged_files(tmp_path, kind):
    make(tmp_path, kind)
    files = {"npy": ("a/row.npy", "b/row.npy"), "hdf5": ("a.h5", "b.h5")}[kind]
    truncated, other = (tmp_path / name for name in files)
    truncated.write_bytes(truncated.read_bytes()[:-40])
    other.write_bytes(b"something else")
    with pytest.raises(ValueError, match=rf"{truncated.name}: not a whole"):
        everything(tmp_path)
    data_set = everything(tmp_path, skip_bad=True)
    assert [data.case_id for data in data_set] == ["c", "d", "e"]
    for name in "cde":
        path = tmp_path / {"npy": f"{name}/row.npy", "hdf5": f"{name}.h5"}[kind]
        path.write_bytes(b"")
    with pytest.raises(ValueError, match="no case can be used; the first one: .*not a whole"):
        everything(tmp_path, skip_bad=True)


def test_wrong_options(tmp_path):
    make(tmp_path, "npy")
    for options, message in (
        ({"targets": ["pressure"]}, r"a, 'pressure': not there; it has \['angle', "),
        ({"inputs": ["cells"]}, r"'cells': expected 40 rows, .* \(got shape \[51, 4\]\)"),
        ({"weight": "volume"}, r"a, 'volume': not there"),
        ({"weight": "stress"}, r"expected weights of shape \[40\] \(got \[40, 3, 3\]\)"),
        ({"targets": []}, "expected at least one target"),
        ({"num_points": 0}, r"num_points of at least 1 \(got 0\)"),
        ({"method": "all"}, "expected method 'uniform' or 'blocks'"),
        ({"num_blocks": 0}, "num_blocks of at least 1"),
        ({"pos": "row"}, r"'row': expected coordinates of shape .* \(got \[40\]\)"),
    ):
        with pytest.raises(ValueError, match=message):
            everything(tmp_path, **options)
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        everything(tmp_path / "nowhere")
