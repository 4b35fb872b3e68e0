import io
import struct
import zipfile

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flare_mesh.io.arrays import (
    check_size,
    hdf5_dataset,
    open_hdf5,
    open_npy,
    read_hdf5,
    read_npz,
)
from flare_mesh.io.row_reading import read_rows


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, save):
    arrays = {
        "a": np.arange(12.0).reshape(3, 4),
        "f": np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3)),
        "empty": np.empty((0, 3), dtype=np.float32),
        "scalar": np.array(4),
    }
    save(tmp_path / "x.npz", **arrays)
    read = read_npz(tmp_path / "x.npz", arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].dtype == array.dtype
        assert not read[name].flags.writeable
    assert list(read_npz(tmp_path / "x.npz", ["f"])) == ["f"]


def damage(path, position, value=b"\x12\x34\x56\x78"):
    content = bytearray(path.read_bytes())
    content[position : position + len(value)] = value
    path.write_bytes(content)


def test_damaged_npz(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, a=np.zeros(1000))
    with pytest.raises(ValueError, match=r"x\.npz: not a whole npz file \(no arrays \['b'\]"):
        read_npz(path, ["a", "b"])
    damage(path, 5000)
    with pytest.raises(ValueError, match="'a': wrong checksum"):
        read_npz(path, ["a"])
    for cut in (-40, 3000, 0):
        path.write_bytes(path.read_bytes()[:cut])
        with pytest.raises(ValueError, match=r"x\.npz: not a whole npz file"):
            read_npz(path, ["a"])
    np.save(tmp_path / "y.npy", np.zeros(3))
    with pytest.raises(ValueError, match=r"y\.npy: not a whole npz file"):
        read_npz(tmp_path / "y.npy", ["a"])
    with pytest.raises(FileNotFoundError, match=r"z\.npz: no such file"):
        read_npz(tmp_path / "z.npz", ["a"])


class Evil:
    def __reduce__(self):
        return (open, ("unpickled.txt", "w"))


def test_nothing_is_unpickled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    objects = np.array([Evil()], dtype=object)
    np.savez("x.npz", a=np.zeros(3), objects=objects)
    np.save("x.npy", objects)
    assert read_npz("x.npz", ["a"])["a"].shape == (3,)
    with pytest.raises(ValueError, match="'objects': holds Python objects"):
        read_npz("x.npz", ["objects"])
    with pytest.raises(ValueError, match=r"x\.npy: not a whole npy file"):
        open_npy("x.npy")
    assert not (tmp_path / "unpickled.txt").exists()


def test_bombs(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", a=np.zeros(100_000))
    with pytest.raises(ValueError, match="declares 800,128 bytes, more than the limit of 1,000"):
        read_npz(tmp_path / "x.npz", ["a"], max_bytes=1000)
    # A header that declares more than the member holds.
    content = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (9_999_999,)}
    np.lib.format.write_array_header_1_0(content, header)
    content.write(bytes(24))
    with zipfile.ZipFile(tmp_path / "y.npz", "w") as file:
        file.writestr("a.npy", content.getvalue())
    with pytest.raises(ValueError, match=r"expected \[9999999\] of float64 \(got 24 bytes\)"):
        read_npz(tmp_path / "y.npz", ["a"])
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("a", (1 << 20, 1 << 20), "f8", chunks=(1 << 10, 1 << 10))
    with open_hdf5(tmp_path / "x.h5") as file:
        dataset = hdf5_dataset(file, "a")
        with pytest.raises(ValueError, match="'/a': declares 8,796,093,022,208 bytes"):
            read_hdf5(dataset)
        assert read_hdf5(dataset, np.s_[5, :7]).tolist() == [0.0] * 7


def test_the_arrays_of_an_npz_count_together(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.zeros(100), b=np.zeros(100))
    assert len(read_npz(tmp_path / "x.npz", ["a", "b"], max_bytes=2000)) == 2
    with pytest.raises(ValueError, match=r"x\.npz: declares 1,856 bytes, more than the limit"):
        read_npz(tmp_path / "x.npz", ["a", "b"], max_bytes=1855)


@pytest.mark.parametrize("suffix", ["npz", "h5"])
def test_files_that_shrank_to_nothing(tmp_path, monkeypatch, suffix):
    """Such files are refused before they take memory; here those of more than 1 MiB."""
    monkeypatch.setattr("flare_mesh.io.arrays._ANY_RATIO", 1 << 20)
    path = tmp_path / f"x.{suffix}"
    fields = {"zeros": np.zeros(1 << 18), "small": np.zeros(1 << 16)}
    noise = np.random.default_rng(0).integers(0, 256, 1 << 16, np.uint8)

    def read(name):
        if suffix == "npz":
            return read_npz(path, [name])[name]
        with open_hdf5(path) as file:
            return read_hdf5(hdf5_dataset(file, name))

    write_compressed(path, {**fields, "noise": noise[: 1 << 14]})
    assert len(read("small")) == 1 << 16
    with pytest.raises(ValueError, match=r"declares 2,097,\d+ bytes, more than 50 times the \d+,"):
        read("zeros")
    write_compressed(path, {**fields, "noise": noise})  # a file of more than 2 MiB / 50
    assert not read("zeros").any()


def write_compressed(path, arrays):
    if path.suffix == ".npz":
        np.savez_compressed(path, **arrays)
        return
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file.create_dataset(name, data=values, compression="gzip", chunks=True)


def test_memory_that_hdf5_rows_take(tmp_path, monkeypatch):
    monkeypatch.setattr("flare_mesh.io.arrays._ANY_RATIO", 1 << 20)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("wide", (4, 1 << 18), "f8", chunks=(1, 64))
        file.create_dataset("chunk", (1 << 18, 2), "f8", chunks=(1 << 17, 2))
    with open_hdf5(tmp_path / "x.h5") as file:
        for name in ("wide", "chunk"):
            with pytest.raises(ValueError, match=f"'/{name}': declares 2,097,152 bytes, more than"):
                read_rows(hdf5_dataset(file, name), [1])


@pytest.mark.parametrize(
    ("values", "got"),
    [
        (np.zeros(3, complex), "complex numbers, complex128"),
        (np.array(["a", "bc"]), "text, <U2"),
        (np.array([b"a"]), r"text, \|S1"),
        (np.array(["2024-05-01"], "datetime64[D]"), r"dates, datetime64\[D\]"),
        (np.zeros(2, "timedelta64[s]"), "time differences"),
        (np.zeros(2, [("a", "f4"), ("b", "i4")]), "records"),
    ],
)
def test_only_real_numbers(tmp_path, values, got):
    np.savez(tmp_path / "x.npz", good=np.zeros(3, bool), field=values)
    assert read_npz(tmp_path / "x.npz", ["good"])["good"].dtype == bool
    with pytest.raises(ValueError, match=rf"x\.npz, 'field': expected real numbers \(got {got}"):
        read_npz(tmp_path / "x.npz", ["good", "field"])
    np.save(tmp_path / "field.npy", values)
    with pytest.raises(ValueError, match=rf"field\.npy: expected real numbers \(got {got}"):
        open_npy(tmp_path / "field.npy")


def test_npy_stays_on_the_disk(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(6.0))
    array = open_npy(tmp_path / "x.npy")
    assert isinstance(array, np.memmap)
    assert array[2:4].tolist() == [2.0, 3.0]
    (tmp_path / "x.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:-8])
    with pytest.raises(ValueError, match=r"x\.npy: not a whole npy file of numbers"):
        open_npy(tmp_path / "x.npy")
    np.savez(tmp_path / "y.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match=r"expected an npy file \(got NpzFile\)"):
        open_npy(tmp_path / "y.npz")


def test_hdf5(tmp_path):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["group/a"] = np.arange(10.0)
        file["text"] = "words"
        file["elsewhere"] = h5py.ExternalLink("other.h5", "a")
        file["detour"] = h5py.SoftLink("/elsewhere")
        file["nowhere"] = h5py.SoftLink("/none")
        file["null"] = h5py.Empty("f4")
        file.create_dataset("outside", 8, "u1", external=[(tmp_path / "secret", 0, 8)])
        layout = h5py.VirtualLayout((10,), "f8")
        layout[:] = h5py.VirtualSource(path, "group/a", (10,))
        file.create_virtual_dataset("virtual", layout)
    with open_hdf5(path) as file:
        assert read_hdf5(hdf5_dataset(file, "group/a"), np.s_[3:5]).tolist() == [3.0, 4.0]
        for name, message in (
            ("group/b", r"'group/b': no such data set; '/group' has \['a'\]"),
            ("group/a/b", "'/group/a' has an array"),
            ("text", "expected an array of numbers"),
            ("group", "expected an array of numbers"),
            ("elsewhere", "links to another file"),
            ("detour", "'detour' is a soft link, which is not followed"),
            ("nowhere", "'nowhere' is a soft link, which is not followed"),
            ("null", "got an empty data set without a shape"),
            ("outside", "are stored in another file"),
            ("virtual", "are stored in another file"),
        ):
            with pytest.raises(ValueError, match=message):
                hdf5_dataset(file, name)


def test_damaged_hdf5(tmp_path):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=np.arange(10_000.0), chunks=(1000,), fletcher32=True)
        position = file["a"].id.get_chunk_info(3).byte_offset
    damage(path, position)
    with (
        open_hdf5(path) as file,
        pytest.raises(ValueError, match=r"x\.h5, '/a': damaged"),
    ):
        read_hdf5(hdf5_dataset(file, "a"))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match=r"x\.h5: not a whole HDF5 file"), open_hdf5(path):
        pass
    with pytest.raises(FileNotFoundError, match="no such file"), open_hdf5(tmp_path / "y.h5"):
        pass


def test_any_damage_of_hdf5_is_a_value_error(tmp_path):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["group/a"] = np.arange(6.0).reshape(2, 3)
        file.create_dataset("b", data=np.arange(50), chunks=(10,), compression="gzip")
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    messages = []
    for _ in range(250):
        changed = bytearray(content)
        for place in rng.integers(0, len(content), 4):
            changed[place] = rng.integers(256)
        path.write_bytes(changed)
        try:
            with open_hdf5(path) as file:
                for name in ("group/a", "b", "group/none"):
                    read_hdf5(hdf5_dataset(file, name), np.s_[:1])
        except ValueError as error:
            messages.append(str(error))
    assert sum("none'" not in message for message in messages) > 10
    assert all(message.startswith(str(path)) for message in messages)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4))
def test_any_damage_of_npy_and_npz_is_a_value_error(tmp_path_factory, changes):
    folder = tmp_path_factory.mktemp("arrays")
    np.save(folder / "x.npy", np.arange(20.0))
    np.savez(folder / "x.npz", a=np.arange(3.0))
    np.savez_compressed(folder / "y.npz", a=np.arange(3.0))
    for name in ("x.npy", "x.npz", "y.npz"):
        path = folder / name
        content = bytearray(path.read_bytes())
        for place, value in changes:
            content[place % len(content)] = value
        path.write_bytes(content)
        try:
            open_npy(path) if name == "x.npy" else read_npz(path, ["a"])
        except ValueError as error:
            message = str(error)
        else:
            message = str(path)
        assert message.startswith(str(path))


@pytest.mark.parametrize("text", [b"{'descr': (((", b"{'descr': '", b"  x\n y", b"\xff{}"])
def test_headers_that_are_not_python(tmp_path, text):
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", 64) + text.ljust(63) + b"\n" + bytes(80)
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.npy: not a whole npy file"):
        open_npy(tmp_path / "x.npy")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as file:
        file.writestr("a.npy", content)
    with pytest.raises(ValueError, match=r"x\.npz: not a whole npz file"):
        read_npz(tmp_path / "x.npz", ["a"])


@pytest.mark.parametrize("field", [10, 6])  # method, and version needed, in the directory
def test_unknown_methods_of_npz(tmp_path, field):
    np.savez_compressed(tmp_path / "x.npz", a=np.zeros(9))
    content = bytearray((tmp_path / "x.npz").read_bytes())
    content[content.index(b"PK\x01\x02") + field] = 99
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.npz: not a whole npz file"):
        read_npz(tmp_path / "x.npz", ["a"])


def test_check_size():
    check_size("a", (10, 10), np.dtype("f8"), 800)
    with pytest.raises(ValueError, match="a: declares 808 bytes, more than the limit of 800"):
        check_size("a", (101,), np.dtype("f8"), 800)
