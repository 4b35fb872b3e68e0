import h5py
import numpy as np
import pytest
import scipy.io

from flare_mesh.datasets.generators import mat_file
from flare_mesh.datasets.generators.mat_file import write_mat
from flare_mesh.datasets.generators.samples import SampleStack, write_sample


@pytest.fixture
def arrays(tmp_path):
    rng = np.random.default_rng(0)
    values = {
        "u": rng.standard_normal((7, 3, 5, 2)),
        "coefficient": rng.standard_normal((7, 3, 5)).astype(np.float32),
    }
    files = [tmp_path / f"{i}.npz" for i in range(7)]
    for i, file in enumerate(files):
        write_sample(file, {key: value[i] for key, value in values.items()})
    stacks = {key: SampleStack(files, key, max_bytes=300) for key in values}
    times = np.arange(3.0, dtype=np.float32)[None]
    return {**stacks, "t": times}, {**values, "t": times}


def test_version_5_as_scipy_reads_it(tmp_path, arrays):
    stacks, values = arrays
    write_mat(tmp_path / "a.mat", stacks)
    assert scipy.io.whosmat(tmp_path / "a.mat") == [
        ("u", (7, 3, 5, 2), "double"),
        ("coefficient", (7, 3, 5), "single"),
        ("t", (1, 3), "single"),
    ]
    found = scipy.io.loadmat(tmp_path / "a.mat")
    for name, value in values.items():
        np.testing.assert_array_equal(found[name], value)
        assert found[name].dtype == value.dtype


def test_version_73_beyond_two_gigabytes(tmp_path, arrays, monkeypatch):
    stacks, values = arrays
    monkeypatch.setattr(mat_file, "_MAX_V5_BYTES", 7 * 3 * 5 * 2 * 8 - 1)
    write_mat(tmp_path / "a.mat", stacks)
    head = (tmp_path / "a.mat").read_bytes()[:128]
    assert head.startswith(b"MATLAB 7.3 MAT-file")
    assert head[124:] == b"\x00\x02IM"
    with h5py.File(tmp_path / "a.mat") as file:
        assert file.userblock_size == 512
        for name, value in values.items():
            np.testing.assert_array_equal(file[name][()].T, value)
            kind = b"double" if value.dtype == np.float64 else b"single"
            assert file[name].attrs["MATLAB_class"] == kind


@pytest.mark.parametrize("limit", [0, mat_file._MAX_V5_BYTES])
def test_same_arrays_same_bytes(tmp_path, arrays, monkeypatch, limit):
    monkeypatch.setattr(mat_file, "_MAX_V5_BYTES", limit)
    for name in ("a", "b"):
        write_mat(tmp_path / name, arrays[0])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
