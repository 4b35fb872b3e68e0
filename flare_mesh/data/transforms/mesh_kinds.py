"""Kinds of meshes, and the part of a mesh that geometric features are computed from."""

from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from flare_mesh.mesh.cells import CELL_TYPES, reflected_order
from flare_mesh.mesh.geometry import top_dimensional_cells
from flare_mesh.mesh.mesh_data import MeshData

KINDS = ("volume", "surface", "plane", "points")
"""Solid cells; cells of a surface in space; flat cells in a plane of two axes; no cells."""

_CELL_DIMS = {"volume": 3, "surface": 2, "plane": 2}
_EXAMPLES = {3: "tetra or hexahedron", 2: "triangle or quad"}
# A flat mesh has a smaller extent across its plane, relative to the largest one.
_FLAT = 1e-5


def cells_of_kind(data: Data, kind: str, name: str) -> dict[str, Tensor]:
    """The cells of the highest dimension by type; none for ``kind="points"``.

    Args:
        data: The mesh.
        kind: One of :data:`KINDS`.
        name: The transform's name, for messages.

    Raises:
        ValueError: If the mesh has cells of another dimension, or none.
    """
    if kind == "points":
        return {}
    cells: Any = data.cells if isinstance(data, MeshData) else {}
    found = top_dimensional_cells(cells) if any(map(len, cells.values())) else {}
    dims = {CELL_TYPES[cell].dim for cell in found} or {0}
    wanted = _CELL_DIMS[kind]
    if dims != {wanted}:
        other = {3: "'volume'", 2: "'surface', or 'plane' for a flat mesh"}.get(max(dims))
        raise ValueError(
            f"{name}: kind '{kind}' needs cells such as {_EXAMPLES[wanted]} (got "
            f"{', '.join(found) or 'no cells'}); choose kind {other or repr('points')}"
        )
    return found


def axes_of_kind(extent: Tensor, kind: str, name: str) -> list[int]:
    """The axes of the coordinates in which a mesh of a kind lies: both axes of a plane, else all.

    Args:
        extent: Size of the bounding box, [d].
        kind: One of :data:`KINDS`.
        name: The transform's name, for messages.

    Raises:
        ValueError: If the coordinates have too few dimensions, or a plane is not flat.
    """
    axes = list(range(len(extent)))
    if kind in ("volume", "surface") and len(axes) != 3:
        raise ValueError(
            f"{name}: kind '{kind}' needs coordinates in 3 dimensions (got {len(axes)}); choose "
            f"kind 'plane' for flat cells, or 'points'"
        )
    if kind != "plane" or len(axes) == 2:
        return axes
    across = int(extent.argmin())
    if not extent[across] <= _FLAT * extent.max():
        sizes = " x ".join(f"{size:.4g}" for size in extent.tolist())
        raise ValueError(
            f"{name}: kind 'plane' needs a flat mesh with one constant coordinate (got a size of "
            f"{sizes}); choose kind 'surface'"
        )
    return [axis for axis in axes if axis != across]


def oriented_faces(
    faces: dict[str, Tensor], owners: dict[str, Tensor], measures: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Boundary faces whose normals point outward, also where cells are inverted.

    Args:
        faces: Nodes of the faces, by type.
        owners: Number of the cell behind each face, by type.
        measures: Signed areas or volumes of the cells, by type, in order.
    """
    if not faces:
        return faces
    measure = torch.cat([*measures.values()])
    return {
        kind: torch.where(
            (measure[owners[kind]] < 0)[:, None], nodes[:, list(reflected_order(kind))], nodes
        )
        for kind, nodes in faces.items()
    }
