"""Cells of VTK's types as cells of the types of this library."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_HEXAHEDRON27 = 27
_LAGRANGE_HEXAHEDRON = 72
# Types with the same shape as another type: their number of nodes gives that type.
_LAGRANGE = {
    68: {2: 3, 3: 21},
    69: {3: 5, 6: 22},
    70: {4: 9, 9: 28},
    71: {4: 10, 10: 24},
    _LAGRANGE_HEXAHEDRON: {8: 12, _HEXAHEDRON27: 29},
    73: {6: 13, 18: 32},
    74: {5: 14, 14: 214},  # VTK has no other type of 14 nodes
}
_SAME = {2: {1: 1}, 4: {2: 3}, 6: {3: 5}, 7: {3: 5, 4: 9}, **_LAGRANGE}
# VTK's pixel and voxel are a quad and a hexahedron with another node order.
_REORDERED = {8: (9, [0, 1, 3, 2]), 11: (12, [0, 1, 3, 2, 4, 5, 7, 6])}
_SUPPORTED = {1, 3, 5, 9, 10, 12, 13, 14, 21, 22, 23, 24, 25, 26, 27, 28, 29, 32, 214}
_TRIANGULATE = "triangulate the mesh (ParaView: Triangulate; PyVista: mesh.triangulate())"
_DECOMPOSE = (
    "decompose them into tetrahedra (ParaView: Tetrahedralize; PyVista: mesh.triangulate(); "
    "OpenFOAM: foamToVTK -poly-decomp)"
)
_LINES = "split them into lines of two nodes"
_LINEAR = "save the mesh with linear or quadratic cells"
_NAMES = {
    0: ("empty cells", "remove them"),
    2: ("sets of several vertices", "store each vertex as a cell"),
    4: ("polylines", _LINES),
    6: ("triangle strips", _TRIANGULATE),
    7: ("polygons with more than four corners", _TRIANGULATE),
    15: ("pentagonal prisms", _DECOMPOSE),
    16: ("hexagonal prisms", _DECOMPOSE),
    36: ("quadratic polygons", _TRIANGULATE),
    41: ("convex point sets", _DECOMPOSE),
    42: ("polyhedra", _DECOMPOSE),
    **dict.fromkeys((30, 31, 33, 34, 35, 37), ("incomplete or enriched quadratic cells", _LINEAR)),
    **dict.fromkeys(range(60, 68), ("cells of higher order", _LINEAR)),
    **dict.fromkeys(range(68, 75), ("Lagrange cells of order 3 or more", _LINEAR)),
    **dict.fromkeys(range(75, 82), ("Bezier cells", _LINEAR)),
}
# VTK's cell type of verts, lines, strips and polygons: with this number of nodes, and otherwise.
_POLY_CODES = ((1, 1, 2), (2, 3, 4), (3, 5, 6), (3, 5, 7))

Cells = tuple[NDArray[np.integer], NDArray[np.integer]]
"""Nodes of all cells, and offsets [E + 1] of each cell's nodes."""


def check_cell_types(types: NDArray[np.integer], sizes: NDArray[np.integer]) -> None:
    """Refuse cells of types that this library does not have, by their name.

    Args:
        types: VTK's number of each cell's type, [E].
        sizes: Number of nodes of each cell, [E].

    Raises:
        ValueError: If there are such cells.
    """
    for code in sorted(_codes(types)):
        if code in _SUPPORTED or code in _REORDERED:
            continue
        same = _SAME.get(code, {})
        others = (types == code) & ~np.isin(sizes, list(same))
        if others.any():
            name, remedy = _NAMES.get(code, ("cells of an unknown type", _LINEAR))
            found = sorted(np.unique(sizes[others]).tolist())
            nodes = f", of {found[0]} nodes" if code in _LAGRANGE else ""
            raise ValueError(
                f"{name} (VTK type {code}{nodes}) are not supported ({int(others.sum()):,} of "
                f"{len(types):,} cells); {remedy}"
            )


def plain_cells(
    index: NDArray[np.integer], offset: NDArray[np.integer], types: NDArray[np.integer]
) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Convert pixels, voxels, small polygons and Lagrange cells to the usual types.

    Returns:
        The nodes of all cells, and their types.

    Raises:
        ValueError: If a cell is of a type that is not supported, or the offsets do not fit.
    """
    sizes = np.diff(offset)
    if len(offset) != len(types) + 1 or (sizes < 0).any() or offset[-1] != len(index):
        raise ValueError("the offsets of the cells do not fit their nodes")
    check_cell_types(types, sizes)
    types, index = types.astype(np.int64), index.copy()
    for special, (plain, order) in _REORDERED.items():
        found = types == special
        if (sizes[found] != len(order)).any():
            raise ValueError(f"expected {len(order)} nodes of a cell of VTK type {special}")
        places = offset[:-1][found][:, None] + np.arange(len(order))
        index[places] = index[places[:, order]]
        types[found] = plain
    for special in _codes(types) & set(_SAME):
        for nodes, plain in _SAME[special].items():
            types[(types == special) & (sizes == nodes)] = plain
    return index, types


def _codes(types: NDArray[np.integer]) -> set[int]:
    if len(types) and (types == types[0]).all():
        return {int(types[0])}
    return set(np.unique(types).tolist())


def poly_cell_types(section: int, sizes: NDArray[np.integer]) -> NDArray[np.integer]:
    """VTK types of the cells of poly data, by their number of nodes.

    Args:
        section: 0 for verts, 1 for lines, 2 for strips, 3 for polygons.
        sizes: Number of nodes of each cell, [E].
    """
    nodes, code, other = _POLY_CODES[section]
    return np.where(sizes == nodes, code, other)


def join_cells(parts: Sequence[Cells]) -> Cells:
    """Join the cells of several sections."""
    indices: list[NDArray[np.integer]] = [np.empty(0, np.int64)]
    offsets: list[NDArray[np.integer]] = [np.zeros(1, np.int64)]
    end = 0
    for index, offset in parts:
        indices.append(index)
        offsets.append(offset[1:] + end)
        end += len(index)
    return np.concatenate(indices), np.concatenate(offsets)


def reorder_old_lagrange(
    index: NDArray[np.integer], offset: NDArray[np.integer], types: NDArray[np.integer]
) -> NDArray[np.integer]:
    """Nodes of cells from the order of VTK 8, which swapped two edges of Lagrange hexahedra.

    Files before version 2.1 of VTK XML, or 5.1 of legacy VTK, have that order.
    """
    old = (types == _LAGRANGE_HEXAHEDRON) & (np.diff(offset) == _HEXAHEDRON27)
    if old.any():
        index = index.copy()
        first = offset[:-1][old]
        index[first + 18], index[first + 19] = index[first + 19], index[first + 18]
    return index
