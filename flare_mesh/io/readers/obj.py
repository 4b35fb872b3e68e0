"""Wavefront OBJ files.

The reader is our own: trimesh repeats vertices with several texture coordinates, and meshio takes
texture coordinates and normals for fields of the vertices.
"""

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.mesh_file_warning import MeshFileWarning
from flare_mesh.io.readers.flat_cells import CellBlock, flat_cells
from flare_mesh.io.readers.surface_cells import surface_cells
from flare_mesh.io.readers.text_lines import TextLines, check_last_line, check_text

_GROUP = "obj:group_ids"
_WIDTH = 16
_CURVED = {
    *("cstype", "deg", "bmat", "step", "curv", "curv2", "surf", "parm", "trim", "hole", "scrv"),
    *("sp", "con", "cdc", "cdp", "bzp", "bsp", "res"),
}
_REFUSED = {
    **dict.fromkeys(_CURVED, "curved surfaces are not read; write them as faces"),
    **dict.fromkeys(("call", "csh"), "other files and commands are not read; write one file"),
}
# Texture, normals, groups and materials, which change neither points nor cells.
_IGNORED = {
    *("vt", "vn", "vp", "g", "o", "s", "mg", "usemtl", "mtllib", "usemap", "maplib", "bevel"),
    *("c_interp", "d_interp", "lod", "shadow_obj", "trace_obj", "ctech", "stech", "end"),
}
_READ = {"v", "f", "fo", "l", "p"}


def read_obj(path: Path, step: int | None, max_bytes: int) -> dict[str, NDArray[Any]]:
    """Read vertices, faces, lines and points of an OBJ file, as the arrays of ``vtk_arrays``.

    Points are the vertices of the file, in its order. The group of each cell, counted from 0, is
    the cell field ``obj:group_ids`` (-1 before the first ``g``), and colours of vertices are the
    node field ``color``. Source: "The Wavefront OBJ file format", appendix B1 of the Advanced
    Visualizer manual.

    Raises:
        ValueError: If a line cannot be read, the file has no cells or is cut off, or has curves.
    """
    data = check_text(path.read_bytes())
    text = data
    if b"\\" in text:
        text = re.sub(rb"\\[ \t]*\r?\n", _blank, text)
    if b"#" in text:
        text = re.sub(rb"#[^\n]*", _blank, text)
    lines = TextLines(text, data)
    keys = lines.keywords(_WIDTH)
    _check_keywords(path, lines, keys)
    points, fields = _vertices(path, lines, keys)
    blocks = []
    for key in ("f", "fo", "l", "p"):
        rows = np.flatnonzero(keys == key.encode())
        if len(rows):
            blocks += _cells(lines, keys, rows, key, len(points))
    if not blocks:
        raise ValueError(
            f"it has {len(points)} vertices and no faces, lines or points, so it may be cut off; "
            f"write a cloud of points as .ply"
        )
    cells = flat_cells(blocks)
    unused = len(points) - len(np.unique(cells["index"]))
    # Without a line end, the last vertex may have lost digits, or the last face vertices.
    if unused or not _is_closed(blocks):
        check_last_line(data)
    if unused:
        _warn(path, f"{unused} of {len(points)} vertices belong to no cell; it may be cut off")
    return {"points": points, **fields, **cells}


def _is_closed(blocks: list[CellBlock]) -> bool:
    """Whether each edge of the faces belongs to an even number of them."""
    faces = [block.nodes for block in blocks if block.kind in ("triangle", "quad")]
    if not faces:
        return False
    edges = np.concatenate(
        [np.stack([f, np.roll(f, -1, axis=1)], -1).reshape(-1, 2) for f in faces]
    )
    low, high = edges.min(axis=1), edges.max(axis=1)
    counts = np.unique(low * (high.max() + 1) + high, return_counts=True)[1]
    return not (counts % 2).any()


def _blank(match: re.Match[bytes]) -> bytes:
    return b" " * len(match[0])


def _check_keywords(path: Path, lines: TextLines, keys: NDArray[np.bytes_]) -> None:
    found, first, counts = np.unique(keys, return_index=True, return_counts=True)
    unknown = {}
    for key, row, count in zip(found.tolist(), first, counts.tolist(), strict=True):
        name = key.decode("latin-1")
        if name in _REFUSED:
            raise ValueError(f"line {lines.numbers[row]}: '{name}': {_REFUSED[name]}")
        if name not in _READ | _IGNORED:
            unknown[name] = count
    if unknown:
        listed = ", ".join(f"{name} ({count})" for name, count in list(unknown.items())[:20])
        _warn(path, f"unknown keywords that are left out: {listed}")


def _vertices(
    path: Path, lines: TextLines, keys: NDArray[np.bytes_]
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    rows = np.flatnonzero(keys == b"v")
    counts = lines.counts[rows] - 1
    wrong = (counts < 3) | (counts > 7) | (counts == 5)
    if wrong.any():
        row = rows[wrong][0]
        raise ValueError(
            f"line {lines.numbers[row]}: expected a vertex of x, y, z and perhaps a weight or a "
            f"colour (got {lines.counts[row] - 1} numbers)"
        )
    values = lines.values(rows, np.float64, finite=False)
    starts = np.cumsum(counts) - counts
    points = values[starts[:, None] + np.arange(3)]
    bad = ~np.isfinite(points).all(axis=1)
    if bad.any():
        line = lines.numbers[rows[np.argmax(bad)]]
        raise ValueError(f"line {line}: expected finite coordinates")
    coloured = counts == 6
    if len(rows) and coloured.all():
        return points, {"node:color": values.reshape(-1, 6)[:, 3:]}
    if (counts > 4).any():
        number = int((counts > 4).sum())
        _warn(path, f"colours of {number} of {len(rows)} vertices are left out")
    return points, {}


def _cells(
    lines: TextLines,
    keys: NDArray[np.bytes_],
    rows: NDArray[np.int64],
    key: str,
    num_points: int,
) -> list[CellBlock]:
    """Cells of the lines with one keyword."""
    least = {"f": 3, "fo": 3, "l": 2, "p": 1}[key]
    counts = lines.counts[rows] - 1
    short = counts < least
    if short.any():
        row = rows[short][0]
        raise ValueError(
            f"line {lines.numbers[row]}: expected '{key}' with at least {least} vertices "
            f"(got {lines.counts[row] - 1})"
        )
    given = lines.values(rows, np.int64, prepare=_without_texture)
    line = np.repeat(rows, counts)
    # Negative numbers count back from the last vertex before the line.
    before = np.cumsum(keys == b"v")[line]
    nodes = np.where(given > 0, given - 1, before + given)
    wrong = (given == 0) | (nodes < 0) | (nodes >= num_points)
    if wrong.any():
        place = np.flatnonzero(wrong)[0]
        raise ValueError(
            f"line {lines.numbers[line[place]]}: '{key}' has the vertex {given[place]}, which does "
            f"not exist ({num_points} vertices)"
        )
    group = {_GROUP: (np.cumsum(keys == b"g") - 1)[rows]}
    place = lines.numbers[rows]
    if key in ("f", "fo"):
        return surface_cells(nodes, counts, place, group)
    if key == "l":
        # Each node but the last of its line begins a segment.
        last = np.cumsum(counts) - 1
        begins = np.delete(np.arange(len(nodes)), last)
        nodes, kind = np.stack([nodes[begins], nodes[begins + 1]], axis=1), "line"
        each = np.repeat(np.arange(len(rows)), counts - 1)
    else:
        nodes, kind, each = nodes[:, None], "vertex", np.repeat(np.arange(len(rows)), counts)
    return [CellBlock(kind, nodes, place[each], {_GROUP: group[_GROUP][each]})]


def _without_texture(text: bytes) -> bytes:
    """The numbers of vertices in v/vt/vn."""
    return re.sub(rb"/[^\s]*", b"", text) if b"/" in text else text


def _warn(path: Path, text: str) -> None:
    warnings.warn(f"{path}: {text}", MeshFileWarning, stacklevel=2)
