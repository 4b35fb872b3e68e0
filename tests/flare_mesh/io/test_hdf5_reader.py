import os
import pickle

import h5py
import numpy as np
import pytest

from flare_mesh.io.hdf5_reader import HDF5Reader


@pytest.fixture
def path(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["group/values"] = np.arange(12.0).reshape(3, 4)
    return tmp_path / "a.h5"


def test_reads_the_selection(path):
    reader = HDF5Reader(path)
    assert reader.dataset("group/values").shape == (3, 4)
    np.testing.assert_array_equal(reader.read("group/values", (1, slice(None, None, 2))), [4, 6])


def test_opens_once_and_again_after_closing(path):
    reader = HDF5Reader(path)
    first = reader.file
    assert reader.file is first
    reader.close()
    assert not first
    assert reader.read("group/values", (0, 0)) == 0


def test_handles_are_neither_pickled_nor_taken_from_another_process(path, monkeypatch):
    reader = HDF5Reader(path)
    first = reader.file
    copy = pickle.loads(pickle.dumps(reader))
    assert copy.file is not first
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert reader.file is not first


def test_wrong_files(path):
    reader = HDF5Reader(path.with_name("b.h5"))
    with pytest.raises(FileNotFoundError, match="b.h5: no such file"):
        _ = reader.file
    reader.path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="b.h5: not a whole HDF5 file"):
        _ = reader.file
    with pytest.raises(ValueError, match=r"'values': no such data set; '/' has \['group'\]"):
        HDF5Reader(path).read("values")
