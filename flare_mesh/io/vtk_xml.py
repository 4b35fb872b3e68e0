"""Arrays of VTK's XML files that are not trusted."""

import binascii
import mmap
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.files import existing_file
from flare_mesh.io.arrays import MAX_BYTES, check_ratio, check_size
from flare_mesh.io.vtk_stream import ArrayStream
from flare_mesh.io.vtk_xml_tags import TAIL_BYTES, check_vtk_xml_tail, read_tags
from flare_mesh.mesh.cells import check_node_numbers
from flare_mesh.mesh.vtk_arrays import drop_ghost_cells
from flare_mesh.mesh.vtk_cells import (
    check_cell_types,
    join_cells,
    poly_cell_types,
    reorder_old_lagrange,
)

_POLY_CELLS = ("Verts", "Lines", "Strips", "Polys")
_SECTIONS = {
    "UnstructuredGrid": ("FieldData", "Points", "PointData", "CellData", "Cells"),
    "PolyData": ("FieldData", "Points", "PointData", "CellData", *_POLY_CELLS),
}
_OLD_LAGRANGE = (2, 1)  # the first version with VTK 9's node order of Lagrange hexahedra
_EMPTY = np.empty(0, dtype=np.int64)
_TYPES = {
    "Float32": "f4",
    "Float64": "f8",
    **{f"Int{8 * n}": f"i{n}" for n in (1, 2, 4, 8)},
    **{f"UInt{8 * n}": f"u{n}" for n in (1, 2, 4, 8)},
}


class UnsupportedVTKError(ValueError):
    """Valid file of a kind that only VTK itself reads."""


class VTKXMLFile:
    """A ``.vtu`` or ``.vtp`` file of one piece, memory-mapped and read array by array.

    VTK's own reader ends the process if a file declares more than fits into memory, and silently
    reads on if a file declares less than it holds. Here each declared size must match the data and
    ``max_bytes`` before memory is allocated. Arrays may be inline (ascii or base64) or appended
    (raw or base64), uncompressed or compressed by zlib.

    Args:
        path: The file.
        max_bytes: Limit of the bytes that one array may declare.

    Raises:
        FileNotFoundError: If the file does not exist.
        UnsupportedVTKError: If it has several pieces or another compression.
        ValueError: If it is not a whole VTK XML file.
    """

    def __init__(self, path: str | Path, *, max_bytes: int = MAX_BYTES) -> None:
        self.path = existing_file(path)
        self.max_bytes = max_bytes
        self.kind = ""
        self._arrays: dict[tuple[str, str], dict[str, str]] = {}
        self._counts: dict[str, int] | None = None
        self._declared: dict[str, int] = {}  # bytes of the arrays that were read
        self._appended: int | None = None
        self._raw = False
        try:
            with self.path.open("rb") as file:
                self._mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._scan()
        except UnsupportedVTKError as error:
            raise UnsupportedVTKError(f"{self.path}: {error}") from error
        except (ValueError, OSError) as error:
            raise ValueError(f"{self.path}: not a whole VTK XML file ({error})") from error

    @property
    def num_points(self) -> int:
        """Number of points."""
        return self._count("Points")

    @property
    def num_cells(self) -> int:
        """Number of cells; in a ``.vtp`` file of verts, lines, strips and polys, in this order."""
        if self.kind == "UnstructuredGrid":
            return self._count("Cells")
        return sum(self._count(name) for name in _POLY_CELLS)

    def _count(self, section: str) -> int:
        return (self._counts or {}).get(f"NumberOf{section}", 0)

    def names(self, section: str) -> list[str]:
        """Names of the numeric arrays in ``"PointData"``, ``"CellData"``, ..."""
        return [
            name
            for (place, name), array in self._arrays.items()
            if place == section and array.get("type") in _TYPES
        ]

    def read_all(self, section: str) -> dict[str, NDArray[Any]]:
        """Read all numeric arrays of a section, by name."""
        arrays = {}
        for name in self.names(section):
            channels = int(self._arrays[section, name].get("NumberOfComponents", 1))
            arrays[name] = self.read(section, name, channels)
        return arrays

    def mesh_arrays(self) -> dict[str, NDArray[Any]]:
        """Read the whole mesh, as :func:`~flare_mesh.mesh.vtk_arrays.vtk_arrays` returns it."""
        if self.kind == "UnstructuredGrid":
            index, offset, types = self._unstructured_cells()
        else:
            index, offset, types = self._poly_cells()
        arrays = {"points": self.points(), "index": index, "offset": offset, "types": types}
        for section, prefix in (("PointData", "node:"), ("CellData", "cell:")):
            arrays |= {prefix + name: values for name, values in self.read_all(section).items()}
        for name, values in self.read_all("FieldData").items():
            if values.size:
                arrays["case:" + name] = values.reshape(1, -1)
        return drop_ghost_cells(arrays)

    def _unstructured_cells(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        if not self.num_cells:
            return _EMPTY, np.zeros(1, np.int64), _EMPTY
        index, ends = self.cells("Cells")
        offset, types = np.concatenate([[0], ends]), self.read("Cells", "types")
        check_cell_types(types, np.diff(offset))
        if self._version < _OLD_LAGRANGE:
            index = reorder_old_lagrange(index, offset, types)
        return index, offset, types

    def _poly_cells(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        parts: list[Any] = []
        types: list[NDArray[Any]] = [_EMPTY]
        for number, section in enumerate(_POLY_CELLS):
            if self._count(section):
                index, ends = self.cells(section)
                parts.append((index, np.concatenate([[0], ends])))
                types.append(poly_cell_types(number, np.diff(ends, prepend=0)))
        index, offset = join_cells(parts)
        return index, offset, np.concatenate(types)

    def points(self) -> NDArray[Any]:
        """Coordinates [N, 3]."""
        return self.read("Points", next(iter(self.names("Points")), "Points"), 3)

    def cells(self, section: str) -> tuple[NDArray[Any], NDArray[Any]]:
        """Connectivity and end offsets of the cells in ``"Cells"``, ``"Polys"``, ...

        Raises:
            ValueError: If a node number is out of range, or the offsets do not fit the nodes.
        """
        ends = self.read(section, "offsets")
        nodes = self.read(section, "connectivity")
        if len(ends) and (ends[0] < 0 or (ends[1:] < ends[:-1]).any()):
            raise ValueError(f"{self.path}, '{section}': expected ascending offsets")
        if (ends[-1] if len(ends) else 0) != len(nodes):
            raise ValueError(f"{self.path}, '{section}': offsets and connectivity do not fit")
        try:
            check_node_numbers(section, nodes, self.num_points)
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from error
        return nodes, ends

    def read(self, section: str, name: str, channels: int = 1) -> NDArray[Any]:
        """Read an array: [tuples] if ``channels`` is 1, otherwise [tuples, channels].

        Raises:
            ValueError: If it is missing, damaged, or of another shape.
        """
        place = f"{self.path}, {section} '{name}'"
        array = self._arrays.get((section, name))
        if array is None:
            have = sorted(self.names(section))
            raise ValueError(f"{self.path}: no array '{name}' in {section}; it has {have}")
        try:
            values = self._read(array, place, self._expected(section, name, channels, array))
        except (ValueError, KeyError, OverflowError, binascii.Error, zlib.error) as error:
            text = str(error)
            raise ValueError(
                text if text.startswith(str(self.path)) else f"{place}: damaged ({text})"
            ) from error
        return values if channels == 1 else values.reshape(-1, channels)

    def _expected(
        self, section: str, name: str, channels: int, array: dict[str, str]
    ) -> int | None:
        have = int(array.get("NumberOfComponents", 1))
        if have != channels:
            raise ValueError(f"expected {channels} components (got {have})")
        if section in ("Points", "PointData"):
            return self.num_points * channels
        if section == "CellData":
            return self.num_cells * channels
        if section == "FieldData":
            return int(array.get("NumberOfTuples", 1)) * channels
        return None if name == "connectivity" else self._count(section)

    def _scan(self) -> None:
        """Find all arrays and their attributes."""
        check_vtk_xml_tail(self._mapped[-TAIL_BYTES:])
        section, open_array = "", None
        for tag in read_tags(self._mapped):
            if open_array is not None:
                open_array["end"] = str(tag.start)
                open_array = None
            if tag.is_closing:
                section = "" if tag.name == section else section
            elif tag.name == "VTKFile":
                self._read_head(tag.attributes)
            elif not self.kind:
                raise ValueError("it does not begin with <VTKFile>")
            elif tag.name == "Piece":
                if self._counts is not None:
                    raise UnsupportedVTKError("it has more than one piece")
                counts = {k: int(v) for k, v in tag.attributes.items() if k.startswith("Number")}
                if min(counts.values(), default=0) < 0:
                    raise ValueError("it declares a negative number of points or cells")
                self._counts = counts
            elif tag.name in _SECTIONS[self.kind]:
                section = tag.name
            elif tag.name == "DataArray" and section:
                array = tag.attributes
                array["start"] = array["end"] = str(tag.end)
                self._arrays[section, array.get("Name", section)] = array
                open_array = None if tag.is_empty else array
            elif tag.name == "AppendedData":
                self._raw = tag.attributes.get("encoding") == "raw"
                start = self._mapped.find(b"_", tag.end, tag.end + 1000)
                if start < 0:
                    raise ValueError("it has no appended data")
                self._appended = start + 1
                break
        if self._counts is None:
            raise ValueError("it has no <Piece>")

    def _read_head(self, attributes: dict[str, str]) -> None:
        self.kind = attributes.get("type", "")
        if self.kind not in _SECTIONS:
            raise ValueError(f"expected one of {[*_SECTIONS]} (got '{self.kind}')")
        self._version = _version(attributes.get("version", "0.1"))
        self._order = ">" if attributes.get("byte_order") == "BigEndian" else "<"
        self._word = _dtype(attributes.get("header_type", "UInt32"), self._order)
        compressor = attributes.get("compressor", "")
        if compressor not in ("", "vtkZLibDataCompressor"):
            raise UnsupportedVTKError(
                f"it is compressed by {compressor}; save it with zlib or uncompressed"
            )
        self._compressed = bool(compressor)

    def _read(self, array: dict[str, str], place: str, expected: int | None) -> NDArray[Any]:
        dtype = _dtype(array.get("type", ""), self._order)
        if expected is not None:
            check_size(place, (expected,), dtype, self.max_bytes)
            self._declared[place] = expected * dtype.itemsize
            check_ratio(str(self.path), sum(self._declared.values()), len(self._mapped))
        start, end, kind = int(array["start"]), int(array["end"]), array.get("format")
        if kind == "ascii":
            number = float if dtype.kind == "f" else int
            words = self._mapped[start:end].split()
            values = np.array([number(word) for word in words], dtype.newbyteorder("="))
        elif kind in ("binary", "appended"):
            raw = self._raw
            if kind == "binary":
                raw = False
                while start < end and self._mapped[start : start + 1].isspace():
                    start += 1
            elif self._appended is None:
                raise ValueError("no appended data in the file")
            else:
                start, end = self._appended + int(array["offset"]), len(self._mapped)
                if start < self._appended:
                    raise ValueError("a negative offset")
            stream = ArrayStream(self._mapped, start, end, raw, self._word)
            wanted = None if expected is None else expected * dtype.itemsize
            limit = self.max_bytes if wanted is None else wanted
            body = stream.compressed(limit) if self._compressed else stream.plain(limit)
            values = np.frombuffer(body, dtype)
            values = values.astype(dtype.newbyteorder("="), copy=False)
        else:
            raise ValueError(f"unknown format '{kind}'")
        if expected is not None and values.size != expected:
            raise ValueError(f"expected {expected:,} values (got {values.size:,})")
        return values


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    if not (major.isdecimal() and minor.isdecimal()):
        raise ValueError(f"expected a version such as 1.0 (got '{text[:40]}')")
    return int(major), int(minor)


def _dtype(name: str, order: str) -> np.dtype:
    if name not in _TYPES:
        raise ValueError(f"unknown type '{name}'")
    return np.dtype(order + _TYPES[name])
