import os
import struct
import sys
import zlib

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat
from scipy.sparse import eye_array

from flare_mesh.io import mat
from flare_mesh.io.mat import MatFile, mat_to_npy

_TYPES = {"f8": (6, 9), "f4": (7, 7), "u1": (9, 2), "i2": (10, 3), "i8": (14, 12)}


def write_v73(path, arrays, **options):
    """Write as MATLAB does: HDF5 behind a user block of 512 bytes, axes reversed."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in arrays.items():
            dataset = file.create_dataset(name, data=values.T, **options)
            dataset.attrs["MATLAB_class"] = np.bytes_("double")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


def element(order, code, content):
    return struct.pack(order + "II", code, len(content)) + content + bytes(-len(content) % 8)


def mat5(name, values, *, order="<", stored=None, flags=0):
    """A variable as MATLAB itself writes it, which may store doubles as smaller integers."""
    kind = values.dtype.str[1:]
    code = _TYPES[stored or kind][1]
    body = values.astype(order + (stored or kind)).tobytes(order="F")
    content = (
        element(order, 6, struct.pack(order + "II", _TYPES[kind][0] | flags, 0))
        + element(order, 5, struct.pack(f"{order}{values.ndim}i", *values.shape))
        + element(order, 1, name.encode())
        + element(order, code, body)
    )
    return element(order, 14, content)


def header(order="<"):
    text = b"MATLAB 5.0 MAT-file".ljust(124)
    return text + (b"\x00\x01IM" if order == "<" else b"\x01\x00MI")


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {
        "u": rng.standard_normal((5, 4, 3, 2)),
        "a": rng.standard_normal((5, 4)).astype(np.float32),
        "k": rng.integers(0, 9, (2, 3), dtype=np.uint8),
        "one": np.array([[7.0]]),
    }


@pytest.mark.parametrize("compressed", [False, True])
def test_versions_5_and_7(tmp_path, arrays, compressed):
    path = tmp_path / "named_as_something.npy"
    with path.open("wb") as file:
        savemat(file, arrays, do_compression=compressed)
    file = MatFile(path)
    assert file.shapes == {name: values.shape for name, values in arrays.items()}
    for name, values in arrays.items():
        read = file.read(name)
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, values.astype(np.float32))
    np.testing.assert_array_equal(file.read("k", (1, slice(None, None, 2))), arrays["k"][1, ::2])


@pytest.mark.parametrize("options", [{}, {"chunks": True, "compression": "gzip"}])
def test_version_7_3(tmp_path, arrays, options):
    write_v73(tmp_path / "a.mat", arrays, **options)
    file = MatFile(tmp_path / "a.mat")
    assert file.shapes == {name: values.shape for name, values in arrays.items()}
    for name, values in arrays.items():
        assert file.read(name).dtype == values.dtype
        np.testing.assert_array_equal(file.read(name), values)


@st.composite
def selections(draw):
    shape = draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    chosen = []
    for size in shape[: draw(st.integers(0, len(shape)))]:
        if draw(st.booleans()):
            chosen.append(draw(st.integers(0, size - 1)))
        else:
            start, stop = sorted((draw(st.integers(0, size)), draw(st.integers(0, size))))
            chosen.append(slice(start, stop, draw(st.integers(1, 3))))
    return tuple(shape), tuple(chosen)


@settings(max_examples=25, deadline=None)
@given(selections())
def test_any_selection_is_numpys(tmp_path_factory, shape_and_selection):
    shape, selection = shape_and_selection
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    folder = tmp_path_factory.mktemp("mat")
    write_v73(folder / "a.mat", {"u": values})
    savemat(folder / "b.mat", {"u": values})
    for name in ("a.mat", "b.mat"):
        read = MatFile(folder / name).read("u", selection)
        np.testing.assert_array_equal(read, values[selection])
        assert read.shape == values[selection].shape


def test_only_the_selection_of_a_version_7_3_file_is_read(tmp_path, arrays, monkeypatch):
    write_v73(tmp_path / "a.mat", arrays)
    asked = []
    read = h5py.Dataset.__getitem__
    monkeypatch.setattr(
        h5py.Dataset, "__getitem__", lambda self, key: asked.append(key) or read(self, key)
    )
    MatFile(tmp_path / "a.mat").read("u", (2,))
    assert asked == [(slice(None), slice(None), slice(None), 2)]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("stored", ["f8", "u1", "i2"])
def test_byte_orders_and_doubles_stored_as_integers(tmp_path, order, stored):
    values = np.arange(60.0).reshape(5, 4, 3)
    variable = mat5("u", values, order=order, stored=stored)
    packed = zlib.compress(variable)
    wrapped = struct.pack(order + "II", 15, len(packed)) + packed
    for name, content in (("plain", variable), ("packed", wrapped)):
        (tmp_path / name).write_bytes(header(order) + content + mat5("v", values[0], order=order))
        file = MatFile(tmp_path / name)
        np.testing.assert_array_equal(file.read("u"), values)
        np.testing.assert_array_equal(file.read("v"), values[0])


def test_only_numeric_arrays_are_listed(tmp_path, arrays):
    others = {
        "text": "text",
        "cells": np.array([[1], "b"], dtype=object),
        "structure": {"a": 1.0},
        "sparse": eye_array(3).tocsc(),
    }
    savemat(tmp_path / "a.mat", {**others, **arrays})
    file = MatFile(tmp_path / "a.mat")
    assert set(file.shapes) == set(arrays)
    with pytest.raises(ValueError, match=r"a\.mat: no array 'sol' of real .* \['a', 'k', 'one'"):
        file.read("sol")

    # SciPy does not list whether an array is complex.
    savemat(tmp_path / "c.mat", {"complex": np.ones((2, 2)) * 1j})
    with pytest.raises(ValueError, match=r"c\.mat, 'complex': .* real numbers \(got complex128"):
        MatFile(tmp_path / "c.mat").read("complex")

    write_v73(tmp_path / "b.mat", arrays)
    with h5py.File(tmp_path / "b.mat", "r+") as other:
        other["outside"] = h5py.ExternalLink(tmp_path / "a.mat", "u")
        other["empty"] = np.zeros(2, dtype=np.uint64)
        other["empty"].attrs["MATLAB_empty"] = 1
        other["group/x"] = 1.0
        other["words"] = np.array([[72], [105]], dtype=np.uint16)
        other["words"].attrs["MATLAB_class"] = np.bytes_("char")
    assert set(MatFile(tmp_path / "b.mat").shapes) == set(arrays)


def test_wrong_files(tmp_path, arrays):
    with pytest.raises(FileNotFoundError, match="none.mat: no such file"):
        MatFile(tmp_path / "none.mat")
    for content in (b"", b"not a MAT file" * 50, bytes(1000), header()[:100]):
        (tmp_path / "a.mat").write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.mat: not a whole MAT file"):
            MatFile(tmp_path / "a.mat")
    write_v73(tmp_path / "b.mat", {"u": np.zeros((50, 50))})
    content = (tmp_path / "b.mat").read_bytes()
    (tmp_path / "b.mat").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"b\.mat: not a whole HDF5 file"):
        MatFile(tmp_path / "b.mat")


@pytest.mark.parametrize("compressed", [False, True])
def test_every_truncation_is_noticed(tmp_path, arrays, compressed):
    savemat(tmp_path / "a.mat", {"u": arrays["a"]}, do_compression=compressed)
    content = (tmp_path / "a.mat").read_bytes()
    for length in range(129, len(content)):
        (tmp_path / "b.mat").write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"b\.mat: not a whole MAT file"):
            MatFile(tmp_path / "b.mat").read("u")


@settings(max_examples=80, deadline=None)
@given(
    st.booleans(),
    st.lists(st.tuples(st.integers(116, 400), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_damage_is_a_value_error_or_harmless(tmp_path_factory, compressed, changes):
    folder = tmp_path_factory.mktemp("mat")
    values = np.arange(24.0).reshape(2, 3, 4)
    savemat(folder / "a.mat", {"u": values, "v": values[0]}, do_compression=compressed)
    content = bytearray((folder / "a.mat").read_bytes())
    for place, byte in changes:
        content[place % len(content)] = byte
    (folder / "a.mat").write_bytes(content)
    try:
        file = MatFile(folder / "a.mat")
        for name in file.shapes:
            file.read(name, max_bytes=1 << 20)
    except ValueError as error:
        message = str(error)
    else:
        message = str(folder / "a.mat")
    assert message.startswith(str(folder / "a.mat"))


def test_wrong_checksum(tmp_path):
    packed = bytearray(zlib.compress(mat5("u", np.arange(50.0).reshape(2, 25)), level=0))
    packed[200] ^= 1
    content = struct.pack("<II", 15, len(packed)) + packed
    (tmp_path / "a.mat").write_bytes(header() + content)
    with pytest.raises(ValueError, match=r"a\.mat.* \(Error -3 .*incorrect data check"):
        MatFile(tmp_path / "a.mat").read("u")


def stored(content):
    """A zlib stream without compression, in blocks of one size for any version of zlib."""
    step = 65_528
    blocks = [content[first : first + step] for first in range(0, len(content), step)]
    packed = b"".join(
        struct.pack("<BHH", block is blocks[-1], len(block), len(block) ^ 0xFFFF) + block
        for block in blocks
    )
    return bytearray(b"\x78\x01" + packed + struct.pack(">I", zlib.adler32(content)))


# The checksum is behind padding, or in another block of the file than the values.
@pytest.mark.parametrize("count", [3, (1 << 20) - 152])
def test_wrong_checksum_behind_the_values(tmp_path, count):
    packed = stored(mat5("u", np.ones((1, count), np.uint8)))
    if count > 3:
        assert len(packed) == (1 << 20) + 3
    packed[-1] ^= 1
    content = struct.pack("<II", 15, len(packed)) + packed
    (tmp_path / "a.mat").write_bytes(header() + content)
    with pytest.raises(ValueError, match=r"a\.mat.* \(Error -3 .*incorrect data check"):
        MatFile(tmp_path / "a.mat").read("u")


def test_declared_sizes_larger_than_the_data(tmp_path):
    huge = bytearray(mat5("u", np.zeros((2, 2))))
    huge[32:40] = struct.pack("<2i", 1 << 20, 1 << 20)
    (tmp_path / "a.mat").write_bytes(header() + huge)
    with pytest.raises(ValueError, match=r"a\.mat, 'u': declares 8,796,093,022,208 bytes"):
        MatFile(tmp_path / "a.mat").read("u")
    huge[32:40] = struct.pack("<2i", 100, 100)
    (tmp_path / "a.mat").write_bytes(header() + huge)
    with pytest.raises(ValueError, match=r"'u': cannot be read \(.*size 4 into shape \(100,100\)"):
        MatFile(tmp_path / "a.mat").read("u")


@pytest.mark.skipif(sys.platform != "linux", reason="no limit of memory elsewhere")
def test_values_larger_than_the_declared_shape(tmp_path):
    """A small file of which SciPy's reader would make 400 MB; its child may take 128 MiB."""
    size = 400_000_000
    head = mat5("u", np.zeros((2, 2)))
    start = head[8 : len(head) - 40]  # of the matrix, without the tag and the four values
    tag = struct.pack("<II", 14, len(start) + 8 + size)
    pack = zlib.compressobj(1)
    packed = pack.compress(tag + start + struct.pack("<II", 9, size))
    block = bytes(size // 100)
    packed += b"".join(pack.compress(block) for _ in range(100)) + pack.flush()
    (tmp_path / "a.mat").write_bytes(header() + struct.pack("<II", 15, len(packed)) + packed)
    assert (tmp_path / "a.mat").stat().st_size < 2_000_000
    assert MatFile(tmp_path / "a.mat").shapes == {"u": (2, 2)}
    with pytest.raises(ValueError, match=r"a\.mat, 'u': cannot be read \(its reader needs"):
        MatFile(tmp_path / "a.mat").read("u")


@pytest.mark.parametrize("version", ["5", "7", "7.3", "7.3 small chunks", "7.3 long chunks"])
def test_conversion(tmp_path, monkeypatch, version):
    values = np.random.default_rng(1).standard_normal((130, 4, 3, 2))
    source = tmp_path / "a.mat"
    monkeypatch.setattr(mat, "_BLOCK_BYTES", 50 * 24 * 8)
    if version.startswith("7.3"):
        chunks = {"7.3 small chunks": (1, 1, 2, 40), "7.3 long chunks": (1, 1, 2, 130)}
        write_v73(source, {"u": values}, chunks=chunks.get(version))
    else:
        savemat(source, {"u": values}, do_compression=version == "7")
    path = mat_to_npy(source, "u", tmp_path / "processed")
    array = np.load(path, mmap_mode="r")
    assert array.dtype == np.float32
    assert array.flags.c_contiguous
    np.testing.assert_array_equal(array, values.astype(np.float32))

    # Converted once, until the source changes.
    with monkeypatch.context() as patch:
        patch.setattr(mat, "MatFile", None)
        assert mat_to_npy(source, "u", tmp_path / "processed") == path
    if not version.startswith("7.3"):
        savemat(source, {"u": -values})
        os.utime(source, ns=(1, 1))
        again = mat_to_npy(source, "u", tmp_path / "processed")
        np.testing.assert_array_equal(np.load(again), -values.astype(np.float32))
        assert [*again.parent.iterdir()] == [again]
        again.write_bytes(again.read_bytes()[:-4])
        repaired = mat_to_npy(source, "u", tmp_path / "processed")
        np.testing.assert_array_equal(np.load(repaired), -values.astype(np.float32))


def test_failed_conversion_leaves_nothing(tmp_path):
    (tmp_path / "a.mat").write_bytes(header() + mat5("u", np.zeros((2, 2)))[:-8])
    with pytest.raises(ValueError, match=r"a\.mat"):
        mat_to_npy(tmp_path / "a.mat", "u", tmp_path / "processed")
    with pytest.raises(FileNotFoundError, match=r"b\.mat: no such file"):
        mat_to_npy(tmp_path / "b.mat", "u", tmp_path / "processed")
    assert not list(tmp_path.glob("processed/*"))
