import tracemalloc
from io import BytesIO

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flare_mesh.io.arrays import hdf5_dataset, open_hdf5, open_npy
from flare_mesh.io.row_reading import read_rows
from flare_mesh.io.row_sampling import sample_rows

DTYPES = ["<f4", ">f4", "<f8", "<f2", "<i4", ">i8", "u1", "?"]


@st.composite
def requests(draw):
    """An array and row numbers in any order, with repetitions."""
    shape = tuple(draw(st.lists(st.integers(1, 5), max_size=2)))
    count = draw(st.integers(1, 300))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    array = rng.integers(0, 200, (count, *shape)).astype(draw(st.sampled_from(DTYPES)))
    chunks = tuple(draw(st.integers(1, n)) for n in array.shape)
    length = draw(st.integers(0, 40))
    rows = draw(st.lists(st.integers(0, count - 1), min_size=length, max_size=length))
    return array, chunks, rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("rows")


def same(got, expected):
    assert got.dtype == expected.dtype
    assert type(got) is np.ndarray
    np.testing.assert_array_equal(got, expected)


@settings(deadline=None, max_examples=60)
@given(requests())
def test_npy(folder, request_):
    array, _, rows = request_
    for ordered in (array, np.asfortranarray(array)):
        np.save(folder / "a.npy", ordered)
        opened = open_npy(folder / "a.npy")
        same(read_rows(opened, rows), array[rows])
        half = opened[1::2, ..., ::-1] if array.ndim > 1 else opened[1::2]
        inside = [row // 2 for row in rows if row // 2 < len(half)]
        same(read_rows(half, inside), np.asarray(half)[inside])
        same(read_rows(ordered, rows), array[rows])


@settings(deadline=None, max_examples=100)
@given(
    requests(),
    st.sampled_from([{}, {"compression": "gzip"}, {"compression": "lzf", "shuffle": True}]),
    st.sampled_from(["earliest", "latest"]),
    st.sampled_from([0, 512]),
)
def test_hdf5(folder, request_, filters, libver, userblock):
    array, chunks, rows = request_
    with h5py.File(folder / "a.h5", "w", libver=libver, userblock_size=userblock) as file:
        file["plain"] = array
        file.create_dataset("chunked", data=array, chunks=chunks, **filters)
        grown = (None,) * array.ndim
        file.create_dataset("growing", data=array, chunks=chunks, maxshape=grown, **filters)
        part = file.create_dataset("part", array.shape, array.dtype, chunks=chunks, fillvalue=1)
        part[: len(array) // 2] = array[: len(array) // 2]
        file.create_dataset("unwritten", array.shape, array.dtype, fillvalue=1)
        expected = {name: file[name][()] for name in file}
    with open_hdf5(folder / "a.h5") as file:
        for name, values in expected.items():
            same(read_rows(hdf5_dataset(file, name), rows), values[rows])


def test_values_in_other_types(folder):
    """Values that HDF5 converts on reading cannot be copied from the file."""
    values = np.arange(60).reshape(20, 3)
    narrow = h5py.h5t.STD_I32LE.copy()
    narrow.set_precision(24)
    with h5py.File(folder / "b.h5", "w") as file:
        space = h5py.h5s.create_simple(values.shape)
        dataset = h5py.Dataset(h5py.h5d.create(file.id, b"narrow", narrow, space))
        dataset[...] = values - 30
        file.create_dataset("compact", data=values, dcpl=compact())
    with open_hdf5(folder / "b.h5") as file:
        same(read_rows(file["narrow"], [19, 0]), (values - 30)[[19, 0]].astype("<i4"))
        same(read_rows(file["compact"], [7, 7]), values[[7, 7]])


def test_a_file_that_is_being_written(folder):
    with h5py.File(folder / "w.h5", "w") as file:
        dataset = file.create_dataset("a", (100,), "f4")
        for start in range(0, 100, 10):
            dataset[start : start + 10] = start
            same(read_rows(dataset, [start + 5]), np.float32([start]))


def compact():
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_layout(h5py.h5d.COMPACT)
    return plan


class CountingFile(BytesIO):
    """A file that records which bytes are read."""

    reads: list

    def readinto(self, buffer):
        self.reads.append((self.tell(), len(buffer)))
        return super().readinto(buffer)


def test_reads_only_the_chunks_that_hold_a_row():
    file = CountingFile()
    file.reads = []
    values = np.random.default_rng(0).random((20_000, 3)).astype("f4")
    with h5py.File(file, "w") as written:
        written.create_dataset("a", data=values, chunks=(100, 2), compression="gzip")
    rows = [12_345, 5, 150, 12_301, 160, 5]
    with h5py.File(file, "r") as opened:
        dataset = opened["a"]
        infos = [dataset.id.get_chunk_info(i) for i in range(dataset.id.get_num_chunks())]
        assert len(infos) == 400
        # Fill the cache of the chunk index.
        same(read_rows(dataset, [0, 12_200]), values[[0, 12_200]])
        file.reads.clear()
        same(read_rows(dataset, rows), values[rows])
    touched = [i for i in infos if i.chunk_offset[0] in (0, 100, 12_300)]
    assert len(touched) == 6
    of_chunks = [(info.byte_offset, info.size) for info in touched]
    assert sorted(file.reads)[-4:] == sorted(of_chunks)[-4:]  # those not in the cache, once each
    assert sum(size for _, size in file.reads) <= sum(size for _, size in of_chunks) + 4096


def test_memory_of_a_hundred_million_points(folder):
    array = np.lib.format.open_memmap(folder / "big.npy", "w+", "<f4", (100_000_000, 3))
    marked = [0, 12_345_678, 99_999_999]
    array[marked] = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    array.flush()
    opened = open_npy(folder / "big.npy")
    tracemalloc.start()
    try:
        rows = sample_rows(opened, 16_384, generator=torch.Generator().manual_seed(0))
        assert (np.diff(rows) > 0).all()
        values = read_rows(opened, rows)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        (folder / "big.npy").unlink()
    assert values.shape == (16_384, 3)
    assert peak < 40 * 16_384 * 8
    assert read_rows(opened, marked).tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


def test_memory_is_a_chunk(folder):
    with h5py.File(folder / "c.h5", "w") as file:
        shape, chunks = (100_000_000, 3), (10_000, 3)
        file.create_dataset("a", shape, "f4", chunks=chunks, compression="gzip", fillvalue=2)
    with open_hdf5(folder / "c.h5") as file:
        rows = np.arange(0, 10_000_000, 9_999)
        tracemalloc.start()
        try:
            values = read_rows(file["a"], rows)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert (values == 2).all()
    assert peak < 4 * 10_000 * 12


def test_read_errors(folder):
    array = np.arange(10.0).reshape(5, 2)
    for rows, message in (
        ([0, 5], r"array: expected rows from 0 to 4 \(got 0 to 5\)"),
        ([-1], r"expected rows from 0 to 4 \(got -1 to -1\)"),
        ([0.5], r"whole numbers of shape \[n\] \(got float64 of shape \[1\]\)"),
        ([True, False], "got bool"),
        (3, r"of shape \[\]"),
        ([[3]], r"of shape \[1, 1\]"),
    ):
        with pytest.raises(ValueError, match=message):
            read_rows(array, rows)
    with pytest.raises(ValueError, match=r"expected an array of rows \(got shape \(\)\)"):
        read_rows(np.array(3.0), [0])
    with pytest.raises(ValueError, match="array: declares 48 bytes, more than the limit of 47"):
        read_rows(array, [0, 1, 1], max_bytes=47)
    with h5py.File(folder / "d.h5", "w") as file:
        file.create_dataset("a", data=array, chunks=(5, 2), compression="gzip")
        file["plain"] = array
        file["null"] = h5py.Empty("f4")
    with open_hdf5(folder / "d.h5") as file:
        assert read_rows(file["plain"], [3], max_bytes=16).tolist() == [[6.0, 7.0]]
        with pytest.raises(ValueError, match=r"d\.h5, '/a': declares 80 bytes, more than the"):
            read_rows(file["a"], [0], max_bytes=79)
        with pytest.raises(ValueError, match=r"d\.h5, '/null': expected an array of rows"):
            read_rows(file["null"], [0])


def test_damaged(folder):
    path = folder / "e.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=np.arange(10_000.0), chunks=(1000,), fletcher32=True)
        place = file["a"].id.get_chunk_info(3).byte_offset
    content = bytearray(path.read_bytes())
    content[place : place + 4] = b"\x12\x34\x56\x78"
    path.write_bytes(content)
    with open_hdf5(path) as file:
        assert read_rows(file["a"], [2999, 4000]).tolist() == [2999.0, 4000.0]
        with pytest.raises(ValueError, match=r"e\.h5, '/a': damaged \(.*filter"):
            read_rows(file["a"], [3500])
