"""The surface of a mesh, as faces by type, as triangles and as lines."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Data

from flare_mesh.data.transforms.checks import positions
from flare_mesh.mesh.boundary import boundary_faces
from flare_mesh.mesh.cells import CELL_TYPES
from flare_mesh.mesh.mesh_data import MeshData

# Local nodes of the lines or triangles that a face is cut into; those with middle nodes through
# them.
_CUTS: dict[str, tuple[tuple[int, ...], ...]] = {
    "line": ((0, 1),),
    "line3": ((0, 2), (2, 1)),
    "triangle": ((0, 1, 2),),
    "quad": ((0, 1, 2), (0, 2, 3)),
    "triangle6": ((0, 3, 5), (3, 1, 4), (5, 4, 2), (3, 4, 5)),
    "quad8": ((0, 4, 7), (4, 1, 5), (5, 2, 6), (6, 3, 7), (4, 5, 6), (4, 6, 7)),
    "quad9": tuple(
        (a, b, 8) for a, b in ((0, 4), (4, 1), (1, 5), (5, 2), (2, 6), (6, 3), (3, 7), (7, 0))
    ),
}


def surface_faces(data: Data, name: str) -> dict[str, Tensor]:
    """Faces [F, nodes] by type: a solid's boundary, or the cells of a surface themselves.

    In the plane, of ``pos`` [N, 2], that is the boundary of an area, or the lines of a curve.

    Args:
        data: The mesh.
        name: Of the transform, for messages.

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

    Quads are cut in two; curved faces, of the second order, into the triangles of their nodes, and
    curved lines in two.

    Args:
        data: The mesh, ``pos`` [N, d].
        name: Of the transform, for messages.

    Raises:
        ValueError: If the data has no cells, or none that has or is a surface.
    """
    pos = positions(data, name)
    corners = pos.shape[1]
    simplices = [
        nodes.numpy(force=True)[:, np.array(_CUTS[kind])].reshape(-1, corners)
        for kind, nodes in surface_faces(data, name).items()
    ]
    points = pos.detach().double().numpy(force=True)
    return points, np.concatenate([np.empty((0, corners), np.int64), *simplices])
