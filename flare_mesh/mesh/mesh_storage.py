"""PyG's storage of a mesh, with the names of cell types as further keys."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch_geometric.data.storage import GlobalStorage

from flare_mesh.mesh.cell_storage import VTK_CODES, pack_cells, unpack_cells

CELL_PREFIX = "cell_"
"""Prefix of the keys of cell fields."""
RESERVED = frozenset(
    {
        *("pos", "edge_index", "edge_attr", "batch", "ptr", "num_nodes", "face"),
        *("field_units", "pos_origin"),
        *VTK_CODES,
    }
)
"""Keys that are not fields."""


def check_origin(origin: Sequence[float]) -> tuple[float, float, float]:
    """The three finite coordinates of an origin.

    Raises:
        ValueError: If it is something else.
    """
    try:
        x, y, z = map(float, origin)
        if math.isfinite(x + y + z):
            return x, y, z
    except (TypeError, ValueError):
        pass
    raise ValueError(f"expected origin as three finite coordinates (got {origin})")


def is_cell_field(key: str) -> bool:
    """Whether this is the key of a cell field."""
    return key.startswith(CELL_PREFIX) and key not in ("cell_index", "cell_type")


def _on_cells(key: str) -> bool:
    return key.startswith(CELL_PREFIX) or key in VTK_CODES


class MeshStorage(GlobalStorage):
    """Stores all cells in ``cell_index`` and ``cell_type``; gets and sets the cells of one type.

    Separate tables for each type would be lost in batches of meshes with different types, since PyG
    collates the keys of the first mesh. PyG also recognises node fields by their number of rows,
    which cell fields may have by chance.
    """

    def __getitem__(self, key: str) -> Any:
        if key in VTK_CODES:
            return self._cells()[key]
        try:
            return super().__getitem__(key)
        except KeyError:
            have = ", ".join(self._mapping)
            raise KeyError(
                f"{key} (this mesh has {have}; the meshes of a batch need the same fields)"
            ) from None

    def __setitem__(self, key: str, value: Any) -> None:
        if key not in VTK_CODES:
            super().__setitem__(key, value)
            return
        fields = [name for name in self._mapping if is_cell_field(name)]
        if fields:
            raise ValueError(
                f"'{key}' cannot be set while there are cell fields ({', '.join(fields)}); create "
                f"a new mesh, or remove them first"
            )
        cells = self._cells()
        cells.pop(key, None)
        if value is not None:
            cells[key] = torch.as_tensor(value)
        self["cell_index"], self["cell_type"] = pack_cells(cells)

    def __delitem__(self, key: str) -> None:
        if key in VTK_CODES:
            self[key] = None
        else:
            super().__delitem__(key)

    def is_node_attr(self, key: str) -> bool:
        return not _on_cells(key) and super().is_node_attr(key)

    def is_edge_attr(self, key: str) -> bool:
        return not _on_cells(key) and super().is_edge_attr(key)

    def _cells(self) -> dict[str, torch.Tensor]:
        return unpack_cells(self._mapping["cell_index"], self._mapping["cell_type"])
