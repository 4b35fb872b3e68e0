"""Normals of faces and of nodes."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from flare_mesh.mesh.cells import CELL_TYPES
from flare_mesh.mesh.geometry import cell_measures
from flare_mesh.mesh.isoparametric import checked_cells, normals, tangents
from flare_mesh.mesh.shape_functions import quadrature


def area_vectors(pos: Tensor, faces: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Integral of the unit normal over each face: its area times its mean normal.

    The area vectors of a closed surface add up to zero, even with curved or warped faces.

    Args:
        pos: Coordinates, [N, 3] for triangles and quads; [N, 2], or [N, 3] in a plane z = const,
            for lines; the normal points to the right of a line.
        faces: Nodes of each face, [F, nodes] by type.

    Returns:
        [F, d] by type, in the dtype of ``pos``.

    Raises:
        ValueError: If the faces are not triangles, quads or lines, do not fit the nodes, or lines
            are not in a plane z = const.
    """
    faces = checked_cells(pos, faces)
    return {
        kind: _area_vectors(_coordinates(pos, nodes, kind), nodes, kind, pos.shape[1]).to(pos.dtype)
        for kind, nodes in faces.items()
    }


def face_normals(
    pos: Tensor, faces: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Mean unit normal and area of each face; the normal of a face with zero area is zero.

    Arguments and errors are the same as for :func:`area_vectors`.

    Returns:
        Normals [F, d] and areas (lengths of lines) [F] by type, in the dtype of ``pos``.
    """
    vectors = area_vectors(pos.double(), faces)
    units = {kind: _unit(vector).to(pos.dtype) for kind, vector in vectors.items()}
    return units, cell_measures(pos, faces)


def node_normals(pos: Tensor, faces: Mapping[str, Tensor]) -> Tensor:
    """Unit normals at the nodes: area-weighted means over the adjacent faces.

    Second-order faces are curved: they contribute their normal at the node, weighted by the
    Jacobian there. Arguments and errors are the same as for :func:`area_vectors`.

    Returns:
        [N, d], in the dtype of ``pos``; zero at nodes without faces.
    """
    total = torch.zeros(pos.shape, dtype=torch.float64, device=pos.device)
    for kind, nodes in checked_cells(pos, faces).items():
        local = _coordinates(pos, nodes, kind)
        if CELL_TYPES[kind].order == 1:
            vectors = _area_vectors(local, nodes, kind, pos.shape[1])[:, None]
        else:
            reference = np.array(CELL_TYPES[kind].reference)
            parts = [normals(slopes) for slopes in tangents(local, nodes, kind, reference)]
            vectors = torch.cat(parts, dim=1).movedim(0, -1) * quadrature(kind, 1)[1].sum()
            vectors = pad(vectors, (0, pos.shape[1] - local.shape[1]))
        vectors = vectors.expand(*nodes.shape, -1).reshape(-1, pos.shape[1])
        total = total.index_add(0, nodes.reshape(-1), vectors)
    return _unit(total).to(pos.dtype)


def _area_vectors(pos: Tensor, nodes: Tensor, kind: str, dim: int) -> Tensor:
    """Area vectors in float64, padded with zeros to ``dim`` components."""
    points, weights = quadrature(kind, 2 * CELL_TYPES[kind].order - 1)
    shares = torch.tensor(weights, device=pos.device)
    parts = [normals(slopes) @ shares for slopes in tangents(pos, nodes, kind, points)]
    vectors = torch.cat(parts, dim=1).t()
    return pad(vectors, (0, dim - vectors.shape[1]))


def _unit(vectors: Tensor) -> Tensor:
    smallest = torch.finfo(torch.float64).tiny
    return vectors / vectors.norm(dim=1, keepdim=True).clamp(min=smallest)


def _coordinates(pos: Tensor, nodes: Tensor, kind: str) -> Tensor:
    """Coordinates in which the faces have normals: two for lines, three for surfaces."""
    dim = CELL_TYPES[kind].dim
    if dim not in (1, 2) or pos.shape[1] <= dim:
        raise ValueError(
            f"faces of type '{kind}' have no normals at coordinates of shape {list(pos.shape)}; "
            f"expected lines in [N, 2], or triangles and quads in [N, 3]"
        )
    if dim == 1 and pos.shape[1] == 3:
        used = pos[nodes.reshape(-1)]
        extent = used.amax(0) - used.amin(0) if len(used) else used.new_zeros(3)
        if extent[2] > 1e-6 * extent.max():
            raise ValueError(
                f"expected the lines of '{kind}' in a plane z = const, since in space their "
                f"normals are not unique (got z over a range of {float(extent[2]):.3g})"
            )
        return pos[:, :2]
    return pos
