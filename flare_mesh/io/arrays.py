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

MAX_BYTES = 16 * 2**30
"""Default limit of the bytes that one array may declare."""
_ERRORS = (OSError, LookupError, RuntimeError, TypeError, ValueError, ArithmeticError, MemoryError)
HDF5_ERRORS = (*_ERRORS, AttributeError)
"""Exceptions of h5py on damaged files."""
# RuntimeError: encrypted, or compressed in an unknown way.
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError)
"""Exceptions of zipfile on damaged files."""
_NPY_ERRORS = (*_ERRORS, *ZIP_ERRORS, SyntaxError, struct.error, tokenize.TokenError)
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


def open_npy(path: str | Path) -> np.memmap:
    """Open an npy file as a read-only memory map.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is not a whole npy file of numbers; nothing is unpickled.
    """
    path = existing_file(path)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except _NPY_ERRORS as error:
        raise ValueError(f"{path}: not a whole npy file of numbers ({error})") from error
    if not isinstance(array, np.memmap):
        raise ValueError(f"{path}: expected an npy file (got {type(array).__name__})")
    return array


def read_npz(
    path: str | Path, names: Iterable[str], *, max_bytes: int = MAX_BYTES
) -> dict[str, NDArray[Any]]:
    """Read the arrays ``names`` of an npz file, and verify their checksums.

    Arrays that are stored without compression are read-only views of the file, without a copy.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is not a whole npz file, or an array is missing, holds objects, or is
            larger than ``max_bytes``; nothing is unpickled.
    """
    path = existing_file(path)
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as raw:
            mapped = mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ)
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            missing = [name for name in names if name not in members]
            if missing:
                raise ValueError(f"no arrays {missing}; it has {sorted(members)}")
            return {
                name: _read_member(archive, members[name], mapped, f"{path}, '{name}'", max_bytes)
                for name in names
            }
    except _NPY_ERRORS as error:
        text = str(error)
        raise ValueError(
            text if text.startswith(str(path)) else f"{path}: not a whole npz file ({text})"
        ) from error


def _read_member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, mapped: mmap.mmap, name: str, max_bytes: int
) -> NDArray[Any]:
    """Read one array: a view of the file if it is not compressed, otherwise a copy."""
    # zipfile does not expand a member beyond the size that it declares.
    check_size(name, (info.file_size,), np.dtype(np.uint8), max_bytes)
    if info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 0x1:
        content = _stored(mapped, info)
        if zlib.crc32(content) != info.CRC:
            raise ValueError(f"{name}: wrong checksum; the file is damaged")
    else:
        content = memoryview(archive.read(info))
    header = BytesIO(content[:4096].tobytes())
    version = np.lib.format.read_magic(header)
    if version not in _NPY_HEADERS:
        raise ValueError(f"{name}: unknown npy version {version}")
    shape, fortran, dtype = _NPY_HEADERS[version](header)
    if dtype.hasobject:
        raise ValueError(f"{name}: holds Python objects, which are not unpickled")
    check_size(name, shape, dtype, max_bytes)
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
    if not isinstance(group, h5py.Dataset) or group.dtype.kind not in "biuf":
        raise _RefusedError("expected an array of numbers")
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
        ValueError: If the part has more than ``max_bytes``, the selection does not fit the shape,
            or the stored values are damaged.
    """
    try:
        # Indexing a broadcast array, which takes no memory, gives the shape of the selection.
        chosen = np.broadcast_to(np.empty((), dataset.dtype), dataset.shape)[selection]
        fits = chosen.nbytes <= max_bytes
        values = dataset[selection] if fits else chosen
    except HDF5_ERRORS as error:
        raise ValueError(f"{dataset_label(dataset)}: damaged ({error})") from error
    if not fits:
        check_size(dataset_label(dataset), chosen.shape, dataset.dtype, max_bytes)
    return values


def dataset_label(dataset: h5py.Dataset) -> str:
    """File and name of a data set, for messages; takes longer than reading a row."""
    return f"{dataset.file.filename}, '{dataset.name}'"
