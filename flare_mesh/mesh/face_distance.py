"""Exact distances and offsets from the faces of a mesh."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flare_mesh.mesh.box_tree import box_tree, nearest_offsets
from flare_mesh.mesh.cells import CELL_TYPES, FACE_SIMPLICES


def face_distance(at: Tensor, pos: Tensor, faces: Mapping[str, Tensor]) -> Tensor:
    """Distance [P] of points from the nearest face, in float64.

    Arguments and errors are those of :func:`face_offset`.
    """
    return face_offset(at, pos, faces)[0]


def face_offset(at: Tensor, pos: Tensor, faces: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Distance [P] of points from the nearest face, and offset [P, d] from its nearest point.

    In float64, and exact for triangles and lines; quads and second-order faces are approximated by
    triangles or lines through their nodes (:data:`~flare_mesh.mesh.cells.FACE_SIMPLICES`). Where
    several faces are equally near, to 1e-4 of the distance, the offset is the mean over their
    nearest points. A tree of bounding boxes finds the nearest face: 1,000,000 points take a few
    seconds on one core, and the memory is linear in the numbers of points and faces.

    Args:
        at: Points, [P, d]; d is 2 or 3.
        pos: Coordinates of the nodes, [N, d].
        faces: Nodes of each face, [F, nodes] by type: lines, triangles or quads.

    Raises:
        ValueError: If there are no faces, or they are neither lines nor triangles nor quads.
    """
    unknown = [kind for kind in faces if kind not in FACE_SIMPLICES]
    if unknown or not any(map(len, faces.values())):
        raise ValueError(f"expected faces of types {[*FACE_SIMPLICES]} (got {[*faces] or 'none'})")
    corners = [
        nodes.numpy(force=True)[:, _corners_of(kind)].reshape(-1, 3)
        for kind, nodes in faces.items()
    ]
    triangles = _in_space(pos)[np.concatenate(corners)]
    triangles, low, high = box_tree(triangles)
    points = _in_space(at)
    distance, offset = np.empty(len(points)), np.empty_like(points)
    nearest_offsets(points, triangles, low, high, distance, offset)
    offset = np.ascontiguousarray(offset[:, : at.shape[1]])
    return torch.from_numpy(distance).to(at.device), torch.from_numpy(offset).to(at.device)


def _corners_of(kind: str) -> NDArray[np.int64]:
    """Local nodes [S, 3] of the triangles of a face; a line is a triangle with two equal nodes."""
    simplices = np.array(FACE_SIMPLICES[kind])
    return simplices if CELL_TYPES[kind].dim == 2 else simplices[:, [0, 1, 1]]


def _in_space(pos: Tensor) -> NDArray[np.float64]:
    """Coordinates [N, 3] in float64."""
    points = pos.detach().double().numpy(force=True)
    return np.pad(points, ((0, 0), (0, 3 - points.shape[1])))
