"""Faces, triangles and lines of the surface of a mesh."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Data

from flare_mesh.data.transforms.checks import positions
from flare_mesh.mesh.boundary import boundary_faces
from flare_mesh.mesh.cells import CELL_TYPES, FACE_SIMPLICES
from flare_mesh.mesh.mesh_data import MeshData


def surface_faces(data: Data, name: str) -> dict[str, Tensor]:
    """Faces [F, nodes] by type: the boundary of a solid, or the cells of a surface.

    In the plane, with ``pos`` [N, 2], the boundary of an area, or the lines of a curve.

    Args:
        data: The mesh.
        name: The transform's name, for messages.

    Raises:
        ValueError: If the data has no cells, or none that has or is a surface.
    """
    dim = positions(data, name).shape[1]
    cells = data.cells if isinstance(data, MeshData) else {}
    highest = max((CELL_TYPES[kind].dim for kind in cells), default=0)
    if highest == dim:
        return boundary_faces(cells).faces
    if not highest or highest != dim - 1:
        raise ValueError(
            f"{name}: expected a MeshData with cells of {dim} or {dim - 1} dimensions (got "
            f"{list(cells) or 'none'})"
        )
    return {kind: nodes for kind, nodes in cells.items() if CELL_TYPES[kind].dim == highest}


def surface_simplices(data: Data, name: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Points [N, d] and triangles [F, 3] of the surface of a mesh; in the plane, lines [F, 2].

    Quads become two triangles; second-order faces and lines are split at their middle nodes.

    Args:
        data: The mesh, ``pos`` [N, d].
        name: The transform's name, for messages.

    Raises:
        ValueError: If the data has no cells, or none that has or is a surface.
    """
    pos = positions(data, name)
    corners = pos.shape[1]
    simplices = [
        nodes.numpy(force=True)[:, np.array(FACE_SIMPLICES[kind])].reshape(-1, corners)
        for kind, nodes in surface_faces(data, name).items()
    ]
    points = pos.detach().double().numpy(force=True)
    return points, np.concatenate([np.empty((0, corners), np.int64), *simplices])
