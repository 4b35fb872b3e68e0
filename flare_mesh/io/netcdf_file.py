"""NetCDF files that are not trusted: the classic formats, and HDF5."""

import math
import mmap
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.arrays import HDF5_ERRORS, check_size

_TYPES = ("i1", "S1", "i2", "i4", "f4", "f8", "u1", "u2", "u4", "i8", "u8")
_MAX_ENTRIES = 100_000  # of a list of the header
_DIMENSIONS, _VARIABLES, _ATTRIBUTES = 10, 11, 12  # tags of the lists of the header


@dataclass
class _Variable:
    dtype: np.dtype
    shape: tuple[int, ...]
    begin: int
    is_record: bool
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def num_bytes(self) -> int:
        """Bytes of all values, or of those of one record."""
        return math.prod(self.shape[self.is_record :]) * self.dtype.itemsize


class NetCDFFile:
    """Variables of a NetCDF file: classic, with 64-bit offsets or 64-bit data, or HDF5.

    The header of a classic file states where the values of each variable end, which must be within
    the file.

    Source: NetCDF Classic Format Specification, docs.unidata.ucar.edu.

    Args:
        path: The file.
        max_bytes: Limit of the bytes that one variable may declare.

    Raises:
        ValueError: If it is another format, damaged or truncated.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._hdf5: h5py.File | None = None
        self._variables: dict[str, _Variable] = {}
        try:
            if h5py.is_hdf5(path):
                self._hdf5 = h5py.File(path, "r")
                return
            with path.open("rb") as file:
                self._mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._read_header()
        except (*HDF5_ERRORS, struct.error) as error:
            raise ValueError(f"not a whole NetCDF file ({error})") from error

    def __enter__(self) -> "NetCDFFile":
        return self

    def __exit__(self, *_: Any) -> None:
        if self._hdf5 is not None:
            self._hdf5.close()

    def __contains__(self, name: str) -> bool:
        return name in (self._variables if self._hdf5 is None else self._hdf5)

    def shape(self, name: str) -> tuple[int, ...]:
        """Sizes of the dimensions of a variable.

        Raises:
            ValueError: If there is no such variable.
        """
        return self._find(name).shape

    def attribute(self, name: str, key: str) -> str:
        """A text that describes a variable; empty if there is none."""
        found = self._find(name)
        if isinstance(found, _Variable):
            return found.attributes.get(key, "")
        value = found.attrs.get(key, "")
        return value.decode(errors="replace") if isinstance(value, bytes) else str(value)

    def read(self, name: str, row: int | None = None) -> NDArray[Any]:
        """Read a variable, or one row along its first dimension.

        Raises:
            ValueError: If there is no such variable or row, or it is damaged or too large.
        """
        found = self._find(name)
        shape = found.shape if row is None else found.shape[1:]
        if row is not None and not (found.shape and 0 <= row < found.shape[0]):
            raise ValueError(f"expected row {row} of '{name}' (got the shape {found.shape})")
        check_size(f"'{name}'", shape, found.dtype, self._max_bytes)
        if isinstance(found, _Variable):
            values = self._read_record(found, row)
        else:
            try:
                values = found[()] if row is None else found[row]
            except HDF5_ERRORS as error:
                raise ValueError(f"'{name}' is damaged ({error})") from error
        values = np.asarray(values)
        return values.astype(values.dtype.newbyteorder("="), copy=False)

    def texts(self, name: str) -> list[str]:
        """Read a variable of texts, [texts, characters].

        Raises:
            ValueError: If it holds something else.
        """
        values = self.read(name)
        if values.ndim != 2 or values.dtype != np.dtype("S1"):
            raise ValueError(f"expected texts in '{name}' (got {values.dtype} {values.shape})")
        return [row.tobytes().split(b"\0")[0].decode(errors="replace").strip() for row in values]

    def _find(self, name: str) -> Any:
        source: Any = self._variables if self._hdf5 is None else self._hdf5
        if name not in source or not hasattr(source[name], "shape"):
            raise ValueError(f"expected a variable '{name}' (got none)")
        return source[name]

    def _read_record(self, variable: _Variable, row: int | None) -> NDArray[Any]:
        if not variable.is_record:
            count = math.prod(variable.shape)
            values = np.frombuffer(self._mapped, variable.dtype, count, variable.begin)
            values = values.reshape(variable.shape)
            return values if row is None else values[row]
        if row is None:
            rows = [self._read_record(variable, i) for i in range(variable.shape[0])]
            return np.stack(rows) if rows else np.empty(variable.shape, variable.dtype)
        shape = variable.shape[1:]
        begin = variable.begin + row * self._record_bytes
        return np.frombuffer(self._mapped, variable.dtype, math.prod(shape), begin).reshape(shape)

    def _read_header(self) -> None:
        header = _Header(self._mapped)
        records = header.count()
        if records == (1 << (8 * header.word)) - 1:
            raise ValueError("it does not state its number of records; save it anew")
        dimensions = [(header.name(), header.count())[1] for _ in header.list(_DIMENSIONS)]
        header.attributes()
        for _ in header.list(_VARIABLES):
            name = header.name()
            ids = [header.count() for _ in range(header.bounded(header.count()))]
            attributes = header.attributes()
            dtype = header.dtype()
            header.count()  # its size, which is computed
            begin = header.number(header.offset)
            is_record = bool(ids) and dimensions[ids[0]] == 0
            if any(dimensions[i] == 0 for i in ids[1:]):
                raise ValueError(f"'{name}' has records along its second dimension")
            shape = tuple(dimensions[i] for i in ids)
            shape = (records, *shape[1:]) if is_record else shape
            self._variables[name] = _Variable(dtype, shape, begin, is_record, attributes)
        self._check_ends()

    def _check_ends(self) -> None:
        sizes = [v.num_bytes for v in self._variables.values() if v.is_record]
        # Values are padded to 4 bytes, except those of a single variable.
        self._record_bytes = sizes[0] if len(sizes) == 1 else sum(-(-s // 4) * 4 for s in sizes)
        for name, variable in self._variables.items():
            records = variable.shape[0] if variable.is_record else 1
            end = variable.begin + (records - 1) * self._record_bytes + variable.num_bytes
            if records and end > len(self._mapped):
                raise ValueError(
                    f"'{name}' ends at byte {end:,} of {len(self._mapped):,}; the file is truncated"
                )


class _Header:
    """Words of the header of a classic file, in their order."""

    def __init__(self, content: mmap.mmap) -> None:
        self._content = content
        self._at = 4
        if content[:3] != b"CDF" or content[3] not in (1, 2, 5):
            raise ValueError("it begins neither as NetCDF nor as HDF5")
        self.word = 8 if content[3] == 5 else 4
        self.offset = 4 if content[3] == 1 else 8

    def number(self, size: int) -> int:
        self._at += size
        if self._at > len(self._content):
            raise ValueError("its header ends too early; the file is truncated")
        return int.from_bytes(self._content[self._at - size : self._at], "big")

    def count(self) -> int:
        return self.number(self.word)

    def bounded(self, count: int) -> int:
        """A number of entries of the header, each of at least four bytes."""
        if count > _MAX_ENTRIES or 4 * count > len(self._content) - self._at:
            raise ValueError(f"its header ends before its {count:,} entries; truncated or damaged")
        return count

    def list(self, tag: int) -> range:
        found, count = self.number(4), self.count()
        if found not in (0, tag) or (not found and count):
            raise ValueError(f"its header is damaged (expected the tag {tag}, got {found})")
        return range(self.bounded(count))

    def name(self) -> str:
        return self._bytes(self.count()).decode(errors="replace")

    def dtype(self) -> np.dtype:
        kind = self.number(4)
        if not 1 <= kind <= len(_TYPES):
            raise ValueError(f"its header is damaged (unknown type {kind})")
        return np.dtype(">" + _TYPES[kind - 1])

    def attributes(self) -> dict[str, str]:
        found = {}
        for _ in self.list(_ATTRIBUTES):
            name, dtype = self.name(), self.dtype()
            content = self._bytes(self.count() * dtype.itemsize)
            if dtype.kind == "S":
                found[name] = content.split(b"\0")[0].decode(errors="replace")
        return found

    def _bytes(self, size: int) -> bytes:
        padded = -(-size // 4) * 4
        if padded > len(self._content) - self._at:
            raise ValueError("its header ends too early; the file is truncated")
        self._at += padded
        return self._content[self._at - padded : self._at - padded + size]
