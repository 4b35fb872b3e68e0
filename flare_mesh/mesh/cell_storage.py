"""Cells of several types in two flat tensors, as in VTK."""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from flare_mesh.mesh.cells import CELL_NODES, check_cells, reflected_order

VTK_CODES = {
    **{"vertex": 1, "line": 3, "triangle": 5, "quad": 9},
    **{"tetra": 10, "hexahedron": 12, "wedge": 13, "pyramid": 14},
    **{"line3": 21, "triangle6": 22, "quad8": 23, "quad9": 28},
    **{"tetra10": 24, "hexahedron20": 25, "hexahedron27": 29},
    **{"wedge15": 26, "wedge18": 32, "pyramid13": 27, "pyramid14": 214},
}
"""VTK number of each cell type; VTK has no ``pyramid14``, so 214 is this library's own number."""

CELL_NAMES = {code: kind for kind, code in VTK_CODES.items()}
"""Cell type of each VTK number."""
_SIZES = torch.zeros(256, dtype=torch.long)
for _kind, _code in VTK_CODES.items():
    _SIZES[_code] = CELL_NODES[_kind]


def no_cells() -> tuple[Tensor, Tensor]:
    """``cell_index`` and ``cell_type`` of a mesh without cells."""
    return torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.uint8)


def pack_cells(cells: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Pack tables of cells into ``cell_index`` and ``cell_type``.

    Returns:
        The nodes of all cells, one cell after the other, and the VTK number of each cell's type,
        [E].

    Raises:
        ValueError: If a type is unknown, or its nodes are not integers of shape [E, nodes].
    """
    if not cells:
        return no_cells()
    check_cells(cells)
    flat = [nodes.reshape(-1).long() for nodes in cells.values()]
    codes = [
        torch.full((len(nodes),), VTK_CODES[kind], dtype=torch.uint8, device=nodes.device)
        for kind, nodes in cells.items()
    ]
    return (flat[0], codes[0]) if len(flat) == 1 else (torch.cat(flat), torch.cat(codes))


def types_of(cell_type: Tensor) -> list[str]:
    """Names of the cell types, in the order of their first cells."""
    if not cell_type.numel():
        return []
    if bool((cell_type == cell_type[0]).all()):
        return [CELL_NAMES[int(cell_type[0])]]
    codes, inverse = cell_type.unique(return_inverse=True)
    rows = torch.arange(len(cell_type), device=cell_type.device)
    first = torch.full_like(codes, len(cell_type), dtype=torch.long)
    first.scatter_reduce_(0, inverse, rows, "amin")
    return [CELL_NAMES[int(code)] for code in codes[first.argsort()]]


def cell_sizes(cell_type: Tensor) -> Tensor:
    """Number of nodes of each cell, [E]."""
    return _SIZES.to(cell_type.device)[cell_type.long()]


def cell_starts(cell_type: Tensor) -> Tensor:
    """Offset of each cell's nodes in ``cell_index``, and the end of the last one, [E + 1]."""
    start = cell_type.new_zeros(1, dtype=torch.long)
    return torch.cat([start, cell_sizes(cell_type).cumsum(0)])


def unpack_cells(cell_index: Tensor, cell_type: Tensor) -> dict[str, Tensor]:
    """The connectivity [E_kind, nodes] by type; a view if there is a single type."""
    kinds = types_of(cell_type)
    if len(kinds) == 1:
        return {kinds[0]: cell_index.view(-1, CELL_NODES[kinds[0]])}
    return {kind: cell_index[_places(cell_type, kind)] for kind in kinds}


def _places(cell_type: Tensor, kind: str) -> Tensor:
    """Offsets in ``cell_index`` of the nodes of the cells of one type, [E_kind, nodes]."""
    first = cell_starts(cell_type)[:-1][cell_type == VTK_CODES[kind]]
    return first[:, None] + torch.arange(CELL_NODES[kind], device=first.device)


def reflect_cells(
    cell_index: Tensor, cell_type: Tensor, kinds: Collection[str] | None = None
) -> Tensor:
    """``cell_index`` with the cells of ``kinds`` in :func:`~flare_mesh.mesh.cells.reflected_order`.

    ``kinds`` are the types of cells to reorder; None for all.
    """
    reflected = cell_index.clone()
    for kind in types_of(cell_type) if kinds is None else kinds:
        places = _places(cell_type, kind)
        reflected[places] = cell_index[places[:, reflected_order(kind)]]
    return reflected


def by_type(values: Tensor, cell_type: Tensor) -> Tensor:
    """Reorder values [E, ...] from the order of ``cell_type`` to that of :func:`unpack_cells`."""
    order = _order_by_type(cell_type)
    return values if order is None else values[order]


def in_cell_order(values: Tensor, cell_type: Tensor) -> Tensor:
    """Reorder values [E, ...] from the order of :func:`unpack_cells` to that of ``cell_type``."""
    order = _order_by_type(cell_type)
    return values if order is None else torch.empty_like(values).index_copy_(0, order, values)


def _order_by_type(cell_type: Tensor) -> Tensor | None:
    """Cell numbers [E] in the order of :func:`unpack_cells`; None for a single type."""
    kinds = types_of(cell_type)
    if len(kinds) < 2:
        return None
    return torch.cat([(cell_type == VTK_CODES[kind]).nonzero()[:, 0] for kind in kinds])
