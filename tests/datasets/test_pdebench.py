import pickle

import h5py
import numpy as np
import pytest
import torch
from torch_geometric.loader import DataLoader

from flare_mesh.datasets.pdebench import PDEBench
from flare_mesh.datasets.pdebench_files import PDEBENCH_FILES
from flare_mesh.datasets.pdebench_layout import open_pdebench
from flare_mesh.io import download

GRID = (5, 4, 3)
SAMPLES, STEPS = 10, 13
CFD = ("Vx", "Vy", "Vz")


def axes(dim):
    return [np.linspace(0.1, 0.9, size, dtype=np.float32) for size in GRID[:dim]]


def write_fields(path, dim, names, *, static=()):
    """One array a field, as in the sets of advection, Darcy and compressible flow."""
    rng = np.random.default_rng(0)
    arrays = {}
    with h5py.File(path, "w") as file:
        for name in names:
            arrays[name] = rng.random((SAMPLES, STEPS, *GRID[:dim]), dtype=np.float32)
        for name in static:
            arrays[name] = rng.random((SAMPLES, *GRID[:dim]), dtype=np.float32)
        for name, values in arrays.items():
            file[name] = values
        for axis, values in zip("xyz", axes(dim), strict=False):
            file[f"{axis}-coordinate"] = values
        file["t-coordinate"] = np.arange(STEPS + 1, dtype=np.float32) / 20
    return arrays


def write_darcy(path):
    arrays = write_fields(path, 2, (), static=("nu",))
    arrays["tensor"] = np.random.default_rng(1).random((SAMPLES, 1, *GRID[:2]), dtype=np.float32)
    with h5py.File(path, "r+") as file:
        file["tensor"] = arrays["tensor"]
        del file["t-coordinate"]
    return arrays


def write_groups(path, dim, channels):
    rng = np.random.default_rng(0)
    samples = {}
    with h5py.File(path, "w") as file:
        for sample in range(SAMPLES):
            name = f"{sample:04d}"
            samples[name] = rng.random((STEPS, *GRID[:dim], channels), dtype=np.float32)
            file[f"{name}/data"] = samples[name]
            for axis, values in zip("xyz", axes(dim), strict=False):
                file[f"{name}/grid/{axis}"] = values
            file[f"{name}/grid/t"] = np.arange(STEPS, dtype=np.float32) / 4
    return samples


def check_positions(case, dim):
    expected = np.stack(np.meshgrid(*axes(dim), indexing="ij"), axis=-1).reshape(-1, dim)
    np.testing.assert_array_equal(case.pos, expected)
    assert list(case.cells) == [{1: "line", 2: "quad", 3: "hexahedron"}[dim]]
    cells = next(iter(case.cells.values()))
    assert len(cells) == np.prod([size - 1 for size in GRID[:dim]])


def test_flat_static(tmp_path):
    arrays = write_darcy(tmp_path / "2D_DarcyFlow_beta1.0_Train.hdf5")
    train, test = PDEBench(tmp_path), PDEBench(tmp_path, "test")
    # PDEBench tests with the first tenth of such a file.
    assert (len(train), len(test)) == (9, 1)
    assert (train.cases[0], test.cases[0], train.time_step) == ("0001", "0000", None)
    case = train[2]
    check_positions(case, 2)
    np.testing.assert_array_equal(case.x[:, 0], arrays["nu"][3].ravel())
    np.testing.assert_array_equal(case.y[:, 0], arrays["tensor"][3, 0].ravel())
    assert (train.input_channels, train.target_channels) == ({"nu": 1}, {"tensor": 1})


def test_flat_in_time(tmp_path):
    arrays = write_fields(tmp_path / "1D_Advection_Sols_beta0.1.hdf5", 1, ["tensor"])
    case = PDEBench(tmp_path)[0]
    check_positions(case, 1)
    np.testing.assert_array_equal(case.x, arrays["tensor"][1, :10].T)
    np.testing.assert_array_equal(case.y, arrays["tensor"][1, 10:].T)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_one_array_per_field(tmp_path, dim):
    arrays = write_fields(tmp_path / "CFD_Train.hdf5", dim, ["pressure", "density", *CFD[:dim]])
    data_set = PDEBench(tmp_path, window=(4, 2))
    order = ["density", "pressure", *CFD[:dim]]
    assert data_set.input_channels == {"state_in": 4 * len(order)}
    assert data_set.target_channels == {"state_out": 2 * len(order)}
    assert data_set.time_step == pytest.approx(0.05)
    case = data_set[5]
    assert data_set.grid_shape == GRID[:dim]
    check_positions(case, dim)
    for c, name in enumerate(order):
        flat = arrays[name][6].reshape(STEPS, -1)
        for t in range(4):
            np.testing.assert_array_equal(case.x[:, t * len(order) + c], flat[t])
        for t in range(2):
            np.testing.assert_array_equal(case.y[:, t * len(order) + c], flat[4 + t])


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_one_group_per_sample(tmp_path, dim):
    samples = write_groups(tmp_path / "2D_diff-react_NA_NA.h5", dim, 2)
    train, test = PDEBench(tmp_path), PDEBench(tmp_path, "test")
    # PDEBench tests with the last tenth of such a file.
    assert (train.cases, test.cases) == (list(samples)[:9], ["0009"])
    assert (train.input_channels, train.time_step) == ({"state_in": 20}, 0.25)
    case = train[4]
    check_positions(case, dim)
    flat = samples["0004"].reshape(STEPS, -1, 2)
    for t in range(STEPS):
        values = case.x[:, 2 * t : 2 * t + 2] if t < 10 else case.y[:, 2 * t - 20 : 2 * t - 18]
        np.testing.assert_array_equal(values, flat[t])


def test_chosen_fields_with_a_constant_one(tmp_path):
    arrays = write_fields(tmp_path / "a.hdf5", 2, ["Vx", "Vy"], static=["force"])
    data_set = PDEBench(tmp_path, inputs=["force", "Vy"], targets=["Vx"], window=(3, 1))
    case = data_set[0]
    assert data_set.input_channels == {"state_in": 3, "force": 1}
    np.testing.assert_array_equal(case.x[:, :3], arrays["Vy"][1, :3].reshape(3, -1).T)
    np.testing.assert_array_equal(case.x[:, 3], arrays["force"][1].ravel())
    np.testing.assert_array_equal(case.y[:, 0], arrays["Vx"][1, 3].ravel())
    only = PDEBench(tmp_path, inputs=["force"], targets=["Vx"], window=(1, 12))[0]
    np.testing.assert_array_equal(only.x[:, 0], arrays["force"][1].ravel())
    np.testing.assert_array_equal(only.y, arrays["Vx"][1, 1:].reshape(12, -1).T)


@pytest.mark.parametrize("grouped", [False, True])
def test_strides_and_windows(tmp_path, grouped):
    if grouped:
        values = np.stack([*write_groups(tmp_path / "a.h5", 3, 1).values()])[..., 0]
    else:
        values = write_fields(tmp_path / "a.hdf5", 3, ["density"])["density"]
    options = {"window": (2, 1), "mode": "windows", "stride": 2, "time_stride": 3}
    data_set = PDEBench(tmp_path, **options, convention="transolver")
    thin = values[:, ::3, ::2, ::2, ::2].reshape(SAMPLES, 5, -1)
    assert len(data_set) == 9 * 3
    case = data_set[3 * 4 + 1]
    assert case.case_id == "0004_t1"
    assert data_set.grid_shape == (3, 2, 2)
    np.testing.assert_array_equal(case.x, thin[4, 1:3].T)
    np.testing.assert_array_equal(case.y, thin[4, 3:4].T)
    assert torch.equal(
        case.pos, PDEBench(tmp_path)[0].pos.view(*GRID, 3)[::2, ::2, ::2].flatten(0, 2)
    )
    assert data_set.time_step == pytest.approx(3 * (0.25 if grouped else 0.05))


def test_only_the_steps_of_a_case_are_read(tmp_path, monkeypatch):
    write_fields(tmp_path / "a.hdf5", 3, ["density"])
    data_set = PDEBench(tmp_path, window=(2, 1))
    data_set[0]
    sizes = []
    read = h5py.Dataset.__getitem__
    monkeypatch.setattr(
        h5py.Dataset,
        "__getitem__",
        lambda self, key: sizes.append(read(self, key).shape) or read(self, key),
    )
    data_set[3]
    assert sizes == [(2, *GRID), (1, *GRID)]


def test_splits(tmp_path):
    write_darcy(tmp_path / "a.hdf5")
    test = PDEBench(tmp_path, "test", test_fraction=0.35)
    train = PDEBench(tmp_path, test_fraction=0.35)
    assert (test.cases, train.cases[0], len(train)) == (["0000", "0001", "0002"], "0003", 7)
    assert PDEBench(tmp_path, "test", convention="transolver").cases == ["0009"]
    assert len(PDEBench(tmp_path, "test", test_fraction=1)) == SAMPLES
    with pytest.raises(
        ValueError, match="none of 10 samples is left to train with; test_fraction is 1"
    ):
        PDEBench(tmp_path, test_fraction=1)


@pytest.mark.parametrize("grouped", [False, True])
def test_batches_and_workers(tmp_path, grouped):
    if grouped:
        write_groups(tmp_path / "a.h5", 2, 2)
    else:
        write_fields(tmp_path / "a.hdf5", 2, ["Vx"])
    data_set = PDEBench(tmp_path)
    # The file is open here when the workers are forked.
    here = [case.y for case in data_set]
    for workers in (0, 2):
        batches = list(DataLoader(data_set, batch_size=4, num_workers=workers))
        assert torch.equal(torch.cat([batch.y for batch in batches]), torch.cat(here))
    assert torch.equal(pickle.loads(pickle.dumps(data_set))[3].y, here[3])
    assert torch.equal(data_set[:4][3].y, here[3])


def test_files_are_found(tmp_path):
    name = "2D_DarcyFlow_beta1.0_Train.hdf5"
    with pytest.raises(
        FileNotFoundError, match=r"no file \*.hdf5 or \*.h5 there; get it from http"
    ):
        PDEBench(tmp_path)
    with pytest.raises(FileNotFoundError, match=f"2D/DarcyFlow/{name}: no such file; get it from"):
        PDEBench(tmp_path, file=name)
    (tmp_path / "2D" / "DarcyFlow").mkdir(parents=True)
    write_darcy(tmp_path / "2D" / "DarcyFlow" / name)
    assert len(PDEBench(tmp_path, file=name)) == len(PDEBench(tmp_path)) == 9
    write_fields(tmp_path / "b.hdf5", 1, ["tensor"])
    with pytest.raises(ValueError, match="several files match, .*; choose by 'file'"):
        PDEBench(tmp_path)
    assert PDEBench(tmp_path, file="b.hdf5").input_channels == {"state_in": 10}


def test_wrong_files(tmp_path):
    path = tmp_path / "a.hdf5"
    path.write_bytes(b"not HDF5")
    with pytest.raises(ValueError, match=r"a\.hdf5: not a whole HDF5 file"):
        PDEBench(tmp_path)
    arrays = write_fields(path, 2, ["Vx", "Vy"])
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"a\.hdf5: not a whole HDF5 file"):
        PDEBench(tmp_path)
    with h5py.File(path, "w") as file:
        file["velocity"] = arrays["Vx"]
    with pytest.raises(ValueError, match=r"expected 'x-coordinate' .* \(got \['velocity'\]\)"):
        PDEBench(tmp_path)
    for name, values, message in (
        ("Vy", arrays["Vy"][:3], r"'Vy': expected an array of shape \[10, any, 5, 4\]"),
        ("Vy", arrays["Vy"][..., :-1], r"'Vy': expected .*\[10, any, 5, 4\] \(got \[10, 13, 5, 3"),
        ("Vy", arrays["Vy"][0, 0, 0], r"'Vy': expected an array of shape \[10, 5, 4\] \(got \[4"),
        ("Vy", "text", "'Vy': expected an array of numbers"),
        ("y-coordinate", None, r"'Vx': expected an array of shape"),
    ):
        write_fields(path, 2, ["Vx", "Vy"])
        with h5py.File(path, "r+") as file:
            del file[name]
            if values is not None:
                file[name] = values
        with pytest.raises(ValueError, match=message):
            PDEBench(tmp_path)


def test_links_out_of_the_file_are_not_followed(tmp_path):
    write_fields(tmp_path / "a.hdf5", 2, ["Vx"])
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["0000"] = h5py.ExternalLink("a.hdf5", "/")
    with pytest.raises(ValueError, match="only groups, one per sample"):
        PDEBench(tmp_path, file="b.h5")


def test_a_sample_of_another_shape(tmp_path):
    samples = write_groups(tmp_path / "a.h5", 2, 1)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        del file["0003/data"], file["0004/data"]
        file["0003/data"] = samples["0003"][:5]
        file["0005/data"][0, 0, 0] = np.nan
    data_set = PDEBench(tmp_path)
    with pytest.raises(ValueError, match=r"'0003/data': expected .* \(got \[5, 5, 4, 1\]\)"):
        data_set[3]
    with pytest.raises(ValueError, match=r"'0004/data': no such data set; '/0004' has \['grid'\]"):
        data_set[4]
    with pytest.raises(ValueError, match=r"case '0005': 1 values of 'x' are NaN"):
        data_set[5]
    assert PDEBench(tmp_path, skip_bad=True)[3].case_id == "0006"


def test_wrong_options(tmp_path):
    write_fields(tmp_path / "a.hdf5", 1, ["Vx"])
    for options, message in (
        ({"inputs": ["Vz"]}, r"a.hdf5: unknown inputs \['Vz'\]; choose from \['Vx'\]"),
        ({"targets": []}, r"expected at least one target from \['state_in'\]"),
        ({"window": (12, 2)}, r"at most 13 together \(got \(12, 2\)\)"),
        ({"stride": 0}, r"expected stride of at least 1 \(got 0\)"),
        ({"time_stride": 0}, r"expected time_stride of at least 1 \(got 0\)"),
        ({"split": "val"}, "unknown split 'val'"),
        ({"convention": "x"}, "unknown convention 'x'; choose from .*'pdebench'"),
        ({"test_fraction": 1.5}, r"expected test_fraction from 0 to 1 \(got 1.5\)"),
    ):
        with pytest.raises(ValueError, match=message):
            PDEBench(tmp_path, **options)


def test_download(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(
        download, "download_file", lambda url, path, **options: calls.append((url, path, options))
    )
    name = "2D_DarcyFlow_beta1.0_Train.hdf5"
    path = PDEBench.download(tmp_path, name)
    address = "https://darus.uni-stuttgart.de/api/access/datafile/133219"
    assert calls == [(address, path, {"md5": "81694ed31306ff2e5f6b76349b0b4389"})]
    assert path == tmp_path / "2D" / "DarcyFlow" / name
    with pytest.raises(ValueError, match="unknown file 'x'; choose from "):
        PDEBench.download(tmp_path, "x")


@pytest.mark.parametrize("name", ["1D_Advection_Sols_beta0.1.hdf5", "Sod1.hdf5"])
def test_finds_what_was_downloaded(tmp_path, name):
    path = tmp_path / PDEBENCH_FILES[name].path
    path.parent.mkdir(parents=True)
    write_fields(path, 1, ["tensor"])
    assert len(PDEBench(tmp_path)) == len(PDEBench(tmp_path, file=name)) == 9


@pytest.mark.parametrize("name", ["/etc/a.h5", "../a.h5", "b/../../a.h5", ""])
def test_names_that_lead_out_of_the_folder(tmp_path, name):
    with pytest.raises(ValueError, match=r"expected the name of a file below it \(got '"):
        PDEBench(tmp_path, file=name)


@pytest.mark.parametrize("groups", [False, True])
def test_any_damage_is_a_value_error(tmp_path, groups):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for name, shape in (("data", (4, 3, 1)), ("grid/x", (3,)), ("grid/t", (4,))):
            flat = {"data": "tensor", "grid/x": "x-coordinate", "grid/t": "t-coordinate"}[name]
            file[f"0000/{name}" if groups else flat] = np.ones(shape, "f4")
    if not groups:
        with h5py.File(path, "r+") as file:
            del file["tensor"]
            file["tensor"] = np.ones((2, 4, 3), "f4")
    content = path.read_bytes()
    open_pdebench(path)
    rng, messages = np.random.default_rng(0), []
    for _ in range(100):
        changed = bytearray(content)
        for place in rng.integers(0, len(content), 4):
            changed[place] = rng.integers(256)
        path.write_bytes(changed)
        try:
            layout = open_pdebench(path)
            layout.read(0, next(iter(layout.fields)), slice(0, 2), 1)
        except ValueError as error:
            messages.append(str(error))
    assert len(messages) > 5
    assert all(message.startswith(str(path)) for message in messages)


def test_the_list_of_files():
    assert len(PDEBENCH_FILES) == 101
    assert all(len(file.md5) == 32 for file in PDEBENCH_FILES.values())
    assert len({file.url for file in PDEBENCH_FILES.values()}) == 101
