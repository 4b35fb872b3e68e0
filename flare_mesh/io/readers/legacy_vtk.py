"""Legacy VTK files (``.vtk``)."""

import math
import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.arrays import check_size
from flare_mesh.io.grid_cells import check_grid, grid_cells, grid_points
from flare_mesh.io.legacy_vtk_fields import LegacyVTKFields
from flare_mesh.io.legacy_vtk_values import LegacyVTKValues
from flare_mesh.mesh.cells import check_node_numbers
from flare_mesh.mesh.vtk_arrays import drop_ghost_cells
from flare_mesh.mesh.vtk_cells import (
    check_cell_types,
    join_cells,
    poly_cell_types,
    reorder_old_lagrange,
)

_HEAD = re.compile(
    rb"\s*#\s*vtk\s+DataFile\s+Version\s+(\d+)\.(\d+)[^\n]*\n[^\n]*\n\s*(ASCII|BINARY)\s",
    re.IGNORECASE,
)
_AXES = ("x_coordinates", "y_coordinates", "z_coordinates")
_POLY = ("vertices", "lines", "triangle_strips", "polygons")
_SECTIONS = {
    "structured_points": ("dimensions", "origin", "spacing", "aspect_ratio"),
    "structured_grid": ("dimensions", "points"),
    "rectilinear_grid": ("dimensions", *_AXES),
    "polydata": ("points", *_POLY),
    "unstructured_grid": ("points", "cells", "cell_types"),
}
_REQUIRED = ("dimensions", "origin", "points", *_AXES)
_OLD_LAGRANGE = (5, 1)  # the first version with VTK 9's node order of Lagrange hexahedra
_OFFSETS = (5, 0)  # the first version that stores cells by offsets


def read_legacy_vtk(path: Path, step: int | None, max_bytes: int) -> dict[str, NDArray[Any]]:
    """Read a legacy VTK file of version 1 to 5.1, in text or binary.

    Source: "VTK File Formats", docs.vtk.org, and vtkDataReader.cxx for versions 5.0 and 5.1.

    Raises:
        ValueError: If the file is damaged, truncated, or has a section that is not read.
    """
    with path.open("rb") as file:
        if not path.stat().st_size:
            raise ValueError("it is empty")
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    head = _HEAD.match(content)
    if head is None:
        raise ValueError("it does not begin as '# vtk DataFile Version', a title, ASCII or BINARY")
    values = LegacyVTKValues(content, head.end(), head[3].upper() == b"ASCII")
    try:
        return _LegacyFile(values, (int(head[1]), int(head[2])), max_bytes).read()
    except ValueError as error:
        line = content[: values.at].count(b"\n") + 1
        place = f"line {line}" if values.is_text else f"at byte {values.at:,}"
        raise ValueError(f"{place}: {error}") from error


class _LegacyFile:
    def __init__(self, values: LegacyVTKValues, version: tuple[int, int], max_bytes: int) -> None:
        self._values = values
        self._version = version
        self._max_bytes = max_bytes
        self._sections: dict[str, Any] = {}

    def read(self) -> dict[str, NDArray[Any]]:
        values = self._values
        fields = LegacyVTKFields(values, self._max_bytes)
        if values.word("DATASET").lower() != "dataset":
            raise ValueError("expected DATASET")
        kind = values.word("a kind of data set").lower()
        if kind not in _SECTIONS:
            raise ValueError(f"expected DATASET of one of {', '.join(_SECTIONS)} (got {kind[:60]})")
        while (word := values.next_word().lower()) not in ("", "point_data", "cell_data"):
            if word == "field":
                fields.read_field_data()
            elif word == "metadata":
                fields.skip_metadata()
            elif word in _SECTIONS[kind]:
                self._sections[word] = self._read_section(word)
            else:
                raise ValueError(f"'{word[:40].upper()}' of {kind} is not read; expected a keyword")
        if not word and not set(self._sections) - {"points"}:
            raise ValueError("the file ends after the points, without cells and fields; truncated")
        arrays = self._mesh(kind)
        counts = {"point_data": len(arrays["points"]), "cell_data": len(arrays["types"])}
        while word:
            word = fields.read_attributes(word, counts)
        arrays |= fields.arrays
        # Before VTK 7, ghost cells were those of a positive level.
        levels = arrays.pop("cell:vtkGhostLevels", None)
        arrays.pop("node:vtkGhostLevels", None)
        if levels is not None:
            arrays["cell:vtkGhostType"] = (levels > 0).astype(np.uint8)
        return drop_ghost_cells(arrays)

    def _read_section(self, word: str) -> Any:
        values = self._values
        if word == "dimensions":
            dimensions = [values.count("DIMENSIONS of three integers") for _ in range(3)]
            check_grid(dimensions, len(values.content))
            return dimensions
        if word in ("origin", "spacing", "aspect_ratio"):
            return [_number(values.word(f"three numbers of {word.upper()}")) for _ in range(3)]
        if word == "points":
            count = values.count("a number of points")
            return self._array(word, 3 * count).reshape(-1, 3)
        if word == "cell_types":
            count = values.count("a number of cells")
            check_size(word, (count,), np.dtype("i4"), self._max_bytes)
            return values.array(count, "int")
        if word in _AXES:
            return self._array(word, values.count("a number of coordinates"))
        return self._read_cells(word)

    def _array(self, name: str, count: int) -> NDArray[Any]:
        kind = self._values.word(f"a type of {name}")
        check_size(name, (count,), np.dtype("f8"), self._max_bytes)
        return self._values.array(count, kind)

    def _read_cells(self, word: str) -> tuple[NDArray[Any], NDArray[Any]]:
        """Nodes of the cells, and offsets [E + 1]."""
        values = self._values
        count = values.count(f"a number of {word}")
        size = values.count(f"a number of entries of {word}")
        check_size(word, (count + size,), np.dtype("i8"), self._max_bytes)
        if self._version < _OFFSETS:
            return _split(values.array(size, "int"), count)
        if not count:
            return np.empty(0, np.int64), np.zeros(1, np.int64)
        parts = []
        for name, length in (("OFFSETS", count), ("CONNECTIVITY", size)):
            if values.word(name).upper() != name:
                raise ValueError(f"expected {name} of {word}")
            parts.append(values.array(length, values.word(f"a type of {name}")))
        offset, index = parts
        if offset[0] != 0 or (offset[1:] < offset[:-1]).any() or offset[-1] != size:
            raise ValueError(f"expected ascending offsets of {word} from 0 to {size}")
        return index, offset

    def _mesh(self, kind: str) -> dict[str, NDArray[Any]]:
        missing = [word for word in self._required(kind) if word not in self._sections]
        if missing:
            raise ValueError(f"expected {' and '.join(missing).upper()} of {kind}; truncated")
        if kind == "polydata":
            cells = [self._sections[word] for word in _POLY if word in self._sections]
            types = [
                poly_cell_types(number, np.diff(self._sections[word][1]))
                for number, word in enumerate(_POLY)
                if word in self._sections
            ]
            index, offset = join_cells(cells)
            return self._checked(index, offset, np.concatenate([np.empty(0, np.int64), *types]))
        if kind == "unstructured_grid":
            empty = np.empty(0, np.int64), np.zeros(1, np.int64)
            index, offset = self._sections.get("cells", empty)
            types = self._sections.get("cell_types", np.empty(0, np.int32))
            if len(types) != len(offset) - 1:
                raise ValueError(f"expected {len(offset) - 1:,} CELL_TYPES (got {len(types):,})")
            if self._version < _OLD_LAGRANGE:
                index = reorder_old_lagrange(index, offset, types)
            return self._checked(index, offset, types)
        dimensions = self._sections["dimensions"]
        cells, code = grid_cells(dimensions)
        return {
            "points": self._grid_points(kind, dimensions),
            "index": cells.reshape(-1),
            "offset": np.arange(len(cells) + 1) * cells.shape[1],
            "types": np.full(len(cells), code),
        }

    def _required(self, kind: str) -> Iterator[str]:
        yield from (word for word in _SECTIONS[kind] if word in _REQUIRED)
        if kind == "structured_points" and "aspect_ratio" not in self._sections:
            yield "spacing"
        if "cells" in self._sections:
            yield "cell_types"

    def _checked(
        self, index: NDArray[Any], offset: NDArray[Any], types: NDArray[Any]
    ) -> dict[str, NDArray[Any]]:
        check_cell_types(types, np.diff(offset))
        points = self._sections["points"]
        check_node_numbers("cells", index, len(points))
        return {"points": points, "index": index, "offset": offset, "types": types}

    def _grid_points(self, kind: str, dimensions: list[int]) -> NDArray[Any]:
        if kind == "structured_grid":
            points = self._sections["points"]
            if len(points) != math.prod(dimensions):
                raise ValueError(f"expected points of {dimensions} nodes (got {len(points):,})")
            return points
        if kind == "rectilinear_grid":
            axes = [self._sections[word] for word in _AXES]
            if [len(axis) for axis in axes] != dimensions:
                raise ValueError(f"expected {dimensions} coordinates along x, y and z")
            return grid_points([axis.astype(np.result_type(*axes, "f4")) for axis in axes])
        spacing = self._sections.get("spacing") or self._sections["aspect_ratio"]
        steps = zip(self._sections["origin"], spacing, dimensions, strict=True)
        return grid_points([start + np.arange(n) * by for start, by, n in steps])


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError as error:
        raise ValueError(f"expected a number (got '{word[:60]}')") from error


def _split(entries: NDArray[Any], count: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Nodes and offsets of cells that are stored as their number of nodes and the nodes."""
    size = len(entries)
    width = size // count if count else 0
    if count and width > 1 and size == width * count:
        table = entries.reshape(count, width)
        if (table[:, 0] == width - 1).all():
            return table[:, 1:].reshape(-1), np.arange(count + 1) * (width - 1)
    heads, at, numbers = [], 0, entries.tolist()
    while at < size and len(heads) < count and numbers[at] >= 0:
        heads.append(at)
        at += numbers[at] + 1
    if at != size or len(heads) != count:
        raise ValueError(f"expected {count:,} cells in {size:,} entries; their sizes do not fit")
    nodes = np.ones(size, bool)
    nodes[heads] = False
    return entries[nodes], np.append(np.array(heads, np.int64) - np.arange(count), size - count)
