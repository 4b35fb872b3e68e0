"""Arrays of npy, npz and HDF5 files that are not trusted."""

import lzma
import math
import mmap
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from flare_mesh.files import existing_file
from flare_mesh.io.memory_limit import memory_limit

MAX_BYTES = memory_limit() // 2
"""Default limit of the bytes that one array may declare: half of the memory."""
_MAX_RATIO, _ANY_RATIO = 50, 1 << 30
_ERRORS = (OSError, LookupError, RuntimeError, TypeError, ValueError, ArithmeticError, MemoryError)
HDF5_ERRORS = (*_ERRORS, AttributeError)
"""Exceptions of h5py on damaged files."""
# RuntimeError: encrypted, or compressed in an unknown way.
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError)
"""Exceptions of zipfile on damaged files."""
_NPY_ERRORS = (*_ERRORS, *ZIP_ERRORS, SyntaxError, struct.error, tokenize.TokenError)
_BYTE = np.dtype(np.uint8)
_KINDS = {
    "c": "complex numbers",
    **{"U": "text", "S": "text", "T": "text", "O": "text or objects"},
    **{"M": "dates", "m": "time differences", "V": "records"},
}
_NPY_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def check_size(
    name: str, shape: Iterable[int], dtype: np.dtype, max_bytes: int = MAX_BYTES
) -> None:
    """Refuse an array that declares more bytes than the limit, before any of it is read.

    Raises:
        ValueError: If it declares more than ``max_bytes``.
    """
    declared = math.prod(shape) * dtype.itemsize
    if declared > max_bytes:
        raise ValueError(
            f"{name}: declares {declared:,} bytes, more than the limit of {max_bytes:,}; if the "
            f"file is to be trusted, raise max_bytes"
        )


def check_ratio(name: str, declared: int, stored: int) -> None:
    """Refuse content of more than 1 GiB and more than 50 times its file, before it is read.

    Fields of a solver shrink to a tenth at best; files that exhaust the memory on purpose shrink
    to a thousandth.

    Args:
        name: File and array.
        declared: Bytes of the content in memory.
        stored: Bytes of the file.

    Raises:
        ValueError: If the content is so much larger.
    """
    if declared > max(_ANY_RATIO, _MAX_RATIO * stored):
        raise ValueError(
            f"{name}: declares {declared:,} bytes, more than {_MAX_RATIO} times the {stored:,} of "
            f"its file; if the file is to be trusted, write it without compression"
        )


def check_real(name: str, dtype: np.dtype) -> None:
    """Refuse an array of anything but real numbers.

    Raises:
        ValueError: If it holds complex numbers, text, dates, records, or Python objects.
    """
    if dtype.hasobject:
        raise ValueError(f"{name}: holds Python objects, which are not unpickled")
    if dtype.kind not in "biuf":
        kind = _KINDS.get(dtype.kind, "something else")
        raise ValueError(
            f"{name}: expected real numbers (got {kind}, {dtype}); convert this array to numbers"
        )


def open_npy(path: str | Path, *, records: bool = False) -> np.memmap:
    """Open an npy file as a read-only memory map.

    Args:
        path: The file.
        records: Whether it may hold records.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is not a whole npy file of real numbers; nothing is unpickled.
    """
    path = existing_file(path)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except _NPY_ERRORS as error:
        raise ValueError(f"{path}: not a whole npy file of numbers ({error})") from error
    if not isinstance(array, np.memmap):
        raise ValueError(f"{path}: expected an npy file (got {type(array).__name__})")
    if not (records and array.dtype.kind == "V"):
        check_real(str(path), array.dtype)
    return array


def read_npz(
    path: str | Path, names: Iterable[str], *, max_bytes: int = MAX_BYTES
) -> dict[str, NDArray[Any]]:
    """Read the arrays ``names`` of an npz file, and verify their checksums.

    Arrays that are stored without compression are read-only views of the file, without a copy.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is not a whole npz file, or an array is missing or holds anything but
            real numbers, or together they are larger than ``max_bytes`` or many times as large as
            the file; nothing is unpickled.
    """
    path = existing_file(path)
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as raw:
            mapped = mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ)
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            missing = [name for name in names if name not in members]
            if missing:
                raise ValueError(f"no arrays {missing}; it has {sorted(members)}")
            for name in names:
                check_size(f"{path}, '{name}'", [members[name].file_size], _BYTE, max_bytes)
            total = sum(members[name].file_size for name in names)
            check_size(str(path), [total], _BYTE, max_bytes)
            check_ratio(str(path), total, len(mapped))
            return {
                name: _read_member(archive, members[name], mapped, f"{path}, '{name}'")
                for name in names
            }
    except _NPY_ERRORS as error:
        text = str(error)
        raise ValueError(
            text if text.startswith(str(path)) else f"{path}: not a whole npz file ({text})"
        ) from error


def _read_member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, mapped: mmap.mmap, name: str
) -> NDArray[Any]:
    """Read one array: a view of the file if it is not compressed, otherwise a copy."""
    if info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 0x1:
        content = _stored(mapped, info)
        if zlib.crc32(content) != info.CRC:
            raise ValueError(f"{name}: wrong checksum; the file is damaged")
    else:
        # zipfile does not expand a member beyond the size that it declares.
        content = memoryview(archive.read(info))
    header = BytesIO(content[:4096].tobytes())
    version = np.lib.format.read_magic(header)
    if version not in _NPY_HEADERS:
        raise ValueError(f"{name}: unknown npy version {version}")
    shape, fortran, dtype = _NPY_HEADERS[version](header)
    check_real(name, dtype)
    body = content[header.tell() :]
    if len(body) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name}: expected {list(shape)} of {dtype} (got {len(body)} bytes)")
    return np.frombuffer(body, dtype).reshape(shape, order="F" if fortran else "C")


def _stored(mapped: mmap.mmap, info: zipfile.ZipInfo) -> memoryview:
    """Bytes of an uncompressed member, which follow its local header, name and extra field."""
    start = info.header_offset
    if mapped[start : start + 4] != b"PK\x03\x04":
        raise ValueError("no local header at the offset in the archive's directory")
    name, extra = (int.from_bytes(mapped[start + i : start + i + 2], "little") for i in (26, 28))
    start += 30 + name + extra
    if start + info.file_size > len(mapped):
        raise ValueError("truncated")
    return memoryview(mapped)[start : start + info.file_size]


def open_hdf5(path: str | Path) -> h5py.File:
    """Open an HDF5 file read-only.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is not a whole HDF5 file.
    """
    path = existing_file(path)
    try:
        return h5py.File(path, "r")
    except HDF5_ERRORS as error:
        raise ValueError(f"{path}: not a whole HDF5 file ({error})") from error


class _RefusedError(ValueError):
    """Reason why a data set is not read."""


def hdf5_dataset(file: h5py.File, name: str) -> h5py.Dataset:
    """Find a data set that is stored in this file, without reading its values.

    Soft and external links, external storage and virtual data sets are refused, since they could
    read any file of this machine.

    Raises:
        ValueError: If the data set is missing, damaged, not an array of numbers, or stored in
            another file.
    """
    try:
        return _find_dataset(file, name)
    except _RefusedError as error:
        raise ValueError(f"{file.filename}, '{name}': {error}") from None
    except HDF5_ERRORS as error:
        raise ValueError(f"{file.filename}, '{name}': damaged ({error})") from error


def _find_dataset(file: h5py.File, name: str) -> h5py.Dataset:
    group: Any = file
    for part in filter(None, name.split("/")):
        link = group.get(part, getlink=True) if isinstance(group, h5py.Group) else None
        if link is None:
            have = sorted(group) if isinstance(group, h5py.Group) else "an array"
            raise _RefusedError(f"no such data set; '{group.name}' has {have}")
        if isinstance(link, h5py.ExternalLink):
            raise _RefusedError("links to another file, which is not followed")
        # A soft link may lead to an external link, or nowhere.
        if not isinstance(link, h5py.HardLink):
            raise _RefusedError(f"'{part}' is a soft link, which is not followed; copy its target")
        group = group[part]
    if not isinstance(group, h5py.Dataset):
        raise _RefusedError("expected an array of numbers (got a group)")
    if group.dtype.kind not in "biuf":
        kind = _KINDS.get(group.dtype.kind, "something else")
        raise _RefusedError(f"expected an array of numbers (got {kind}, {group.dtype})")
    if group.shape is None:
        raise _RefusedError("expected an array of numbers (got an empty data set without a shape)")
    elsewhere = h5py.h5f.get_name(group.id) != h5py.h5f.get_name(file.id)
    if group.external or group.is_virtual or elsewhere:
        raise _RefusedError("its values are stored in another file, which is not read")
    return group


def read_hdf5(
    dataset: h5py.Dataset, selection: Any = (), *, max_bytes: int = MAX_BYTES
) -> NDArray[Any]:
    """Read an HDF5 data set, or the part of it that integers and slices select.

    Raises:
        ValueError: If the part has more than ``max_bytes`` or many times the bytes of the file,
            the selection does not fit the shape, or the stored values are damaged.
    """
    try:
        # Indexing a broadcast array, which takes no memory, gives the shape of the selection.
        chosen = np.broadcast_to(np.empty((), dataset.dtype), dataset.shape)[selection]
    except HDF5_ERRORS as error:
        raise ValueError(f"{dataset_label(dataset)}: damaged ({error})") from error
    if chosen.nbytes > min(max_bytes, _ANY_RATIO):
        check_size(dataset_label(dataset), chosen.shape, dataset.dtype, max_bytes)
        check_ratio(dataset_label(dataset), chosen.nbytes, dataset.file.id.get_filesize())
    try:
        return dataset[selection]
    except HDF5_ERRORS as error:
        raise ValueError(f"{dataset_label(dataset)}: damaged ({error})") from error


def dataset_label(dataset: h5py.Dataset) -> str:
    """File and name of a data set, for messages; takes longer than reading a row."""
    return f"{dataset.file.filename}, '{dataset.name}'"
