"""Curvature of surfaces."""

from collections.abc import Mapping

import torch
from torch import Tensor

from flare_mesh.mesh.cells import CELL_TYPES
from flare_mesh.mesh.isoparametric import checked_cells, jacobians, tangents
from flare_mesh.mesh.normals import node_normals
from flare_mesh.mesh.shape_functions import quadrature
from flare_mesh.mesh.transfer import cell_to_node


def mean_curvature(pos: Tensor, faces: Mapping[str, Tensor]) -> Tensor:
    """Mean curvature at the nodes of a surface: ``H = div n / 2``, 1 / R on a sphere of radius R.

    The normals ``n`` of :func:`~flare_mesh.mesh.normals.node_normals` are interpolated over each
    face; their mean divergence is averaged over the faces at a node, weighted by area. H is
    positive where the surface is convex, seen from the side to which its normals point. On the
    triangles of a subdivided icosahedron the error is 2 % in the mean and at most 6 %. At a sharp
    edge the curvature is about half the angle between the normals over the size of the faces, so
    it grows as the mesh is refined.

    Args:
        pos: Coordinates, [N, 3].
        faces: Nodes of each face, [F, nodes] by type: triangles and quads with one orientation.

    Returns:
        [N] in the inverse unit of ``pos`` and its dtype; 0 at nodes without faces.

    Raises:
        ValueError: If the faces do not fit the nodes.
    """
    faces = checked_cells(pos, faces)
    normals = node_normals(pos.double(), faces)
    parts = [pos.new_empty(0, dtype=torch.float64)]
    smallest = torch.finfo(torch.float64).tiny
    for kind, nodes in faces.items():
        points, weights = quadrature(kind, 2 * CELL_TYPES[kind].order - 1)
        shares = torch.tensor(weights, device=pos.device)
        both = tangents(pos, nodes, kind, points), tangents(normals, nodes, kind, points)
        for along, change in zip(*both, strict=True):
            # trace(G^-1 T^t dn), with the tangents T [3, 2] and their products G = T^t T.
            a, b = along.unbind(1)
            da, db = change.unbind(1)
            aa, ab, bb = (a * a).sum(0), (a * b).sum(0), (b * b).sum(0)
            trace = bb * (a * da).sum(0) + aa * (b * db).sum(0)
            trace = trace - ab * ((a * db).sum(0) + (b * da).sum(0))
            divergence = trace / (aa * bb - ab * ab).clamp(min=smallest)
            area = jacobians(along) * shares
            total = area.sum(1).clamp(min=smallest)
            parts.append((divergence * area).sum(1) / total / 2)
    return cell_to_node(torch.cat(parts), pos, faces, fill_value=0.0).to(pos.dtype)
