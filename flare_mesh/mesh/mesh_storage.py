"""The store behind a mesh: PyG's, which also answers to the names of cell types."""

from typing import Any

import torch
from torch_geometric.data.storage import GlobalStorage

from flare_mesh.mesh.cell_storage import VTK_CODES, pack_cells, unpack_cells

CELL_PREFIX = "cell_"
"""What the key of a cell field begins with."""
RESERVED = frozenset(
    {
        *("pos", "edge_index", "edge_attr", "batch", "ptr", "num_nodes", "face", "field_units"),
        *VTK_CODES,
    }
)
"""Keys that mean something else than a field."""


def is_cell_field(key: str) -> bool:
    """Whether values under this key stand on cells."""
    return key.startswith(CELL_PREFIX) and key not in ("cell_index", "cell_type")


def _on_cells(key: str) -> bool:
    return key.startswith(CELL_PREFIX) or key in VTK_CODES


class MeshStorage(GlobalStorage):
    """Keeps all cells in ``cell_index`` and ``cell_type``; reads and sets those of one type.

    Tables of one type each would not survive a batch of meshes that have different types: PyG
    collates the keys of the first mesh. And PyG tells node fields by their number of rows, which
    cells may share.
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
                f"'{key}' cannot be set while there are cell fields ({', '.join(fields)}); make "
                f"a new mesh, or remove them before"
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
