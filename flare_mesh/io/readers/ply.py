"""PLY files.

The reader is our own: trimesh and meshio read neither all properties nor all elements, and trimesh
divides quads into triangles.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.mesh_file_warning import MeshFileWarning
from flare_mesh.io.readers.flat_cells import CellBlock, flat_cells
from flare_mesh.io.readers.ply_binary import read_binary_rows
from flare_mesh.io.readers.ply_header import read_ply_header
from flare_mesh.io.readers.ply_rows import PLYRows
from flare_mesh.io.readers.ply_text import read_text_rows
from flare_mesh.io.readers.surface_cells import surface_cells

_CORNERS = ("vertex_indices", "vertex_index")


def read_ply(path: Path, step: int | None, max_bytes: int) -> dict[str, NDArray[Any]]:
    """Read vertices, and faces or edges, of a PLY file, as the arrays of ``vtk_arrays``.

    The properties of vertices and faces that are numbers are node and cell fields; lists other than
    the corners, such as texture coordinates, are left out. Source: see
    :func:`~flare_mesh.io.readers.ply_header.read_ply_header`.

    Raises:
        ValueError: If the file is damaged or cut off, has no vertices, has triangle strips, or a
            face has more than four corners.
    """
    data = path.read_bytes()
    header = read_ply_header(data)
    if header.is_text:
        rows = read_text_rows(data, header)
    else:
        rows, surplus = read_binary_rows(data, header)
        if surplus:
            _warn(path, f"{surplus} bytes after the last row are left out")
    counts = {element.name: element.count for element in header.elements}
    if counts.get("tristrips"):
        raise ValueError("triangle strips are not read; export it with faces")
    points, fields = _vertices(path, rows.get("vertex"))
    cells, used = _cells(rows, len(points))
    left_out = [f"{name} ({counts[name]})" for name in counts.keys() - used if counts[name]]
    if left_out:
        _warn(path, f"elements that are left out: {', '.join(sorted(left_out))}")
    return {"points": points, **fields, **cells}


def _vertices(path: Path, rows: PLYRows | None) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    numbers = {} if rows is None else dict(rows.numbers)
    axes = [numbers.pop(axis) for axis in "xyz" if axis in numbers]
    if rows is None or "x" not in rows.numbers or "y" not in rows.numbers or not len(axes[0]):
        raise ValueError("it has no element 'vertex' with the properties x, y and z")
    if rows.lists:
        _warn(path, f"lists of vertices that are left out: {', '.join(rows.lists)}")
    return np.stack(axes, axis=1), {f"node:{name}": values for name, values in numbers.items()}


def _cells(rows: dict[str, PLYRows], num_points: int) -> tuple[dict[str, NDArray[Any]], set[str]]:
    """Faces, or edges if there are no faces, and the names of the elements that are used."""
    faces = rows.get("face", PLYRows({}, {}))
    corners, counts = next(
        (faces.lists[name] for name in _CORNERS if name in faces.lists), (None, None)
    )
    if corners is None and faces.numbers:
        raise ValueError("its faces have no property list 'vertex_indices'")
    if corners is not None and counts is not None and len(counts):
        numbers = np.arange(1, len(counts) + 1)
        _check_nodes("face", corners, np.repeat(numbers, counts), num_points)
        blocks = surface_cells(corners, counts, numbers, faces.numbers, what="face")
        return flat_cells(blocks), {"vertex", "face"}
    edges = dict(rows["edge"].numbers) if "edge" in rows else {}
    if not {"vertex1", "vertex2"} <= edges.keys():
        return flat_cells([]), {"vertex"}
    nodes = np.stack([edges.pop("vertex1"), edges.pop("vertex2")], axis=1)
    numbers = np.arange(1, len(nodes) + 1)
    _check_nodes("edge", nodes.ravel(), np.repeat(numbers, 2), num_points)
    return flat_cells([CellBlock("line", nodes, numbers, edges)]), {"vertex", "edge"}


def _check_nodes(
    what: str, nodes: NDArray[Any], numbers: NDArray[np.int64], num_points: int
) -> None:
    wrong = (nodes < 0) | (nodes >= num_points)
    if nodes.dtype.kind not in "iu" or wrong.any():
        place = int(np.argmax(wrong))
        raise ValueError(
            f"{what} {numbers[place]}: expected numbers of vertices from 0 to {num_points - 1} "
            f"(got {nodes[place]})"
        )


def _warn(path: Path, text: str) -> None:
    warnings.warn(f"{path}: {text}", MeshFileWarning, stacklevel=2)
