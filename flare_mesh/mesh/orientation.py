"""Orientation of the faces of a surface."""

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from flare_mesh.mesh.cells import CELL_TYPES


def count_reversed_edges(faces: Mapping[str, Tensor]) -> int:
    """Number of edges at which the orientations of the two adjacent faces differ.

    Edges of more than two faces, as at the branches of a shell, have no such orientation and do
    not count.

    Args:
        faces: Nodes of each face, [F, nodes] by type: triangles and quads.
    """
    ends = [np.empty((0, 2), np.int64)]
    for kind, nodes in faces.items():
        corners = [local[:2] for _, local in CELL_TYPES[kind].faces]
        ends.append(nodes.numpy(force=True)[:, np.array(corners)].reshape(-1, 2))
    start, stop = np.concatenate(ends).T
    low, high = np.minimum(start, stop), np.maximum(start, stop)
    edge = np.unique(np.stack([low, high]), axis=1, return_inverse=True)[1].reshape(-1)
    direction = np.bincount(edge, np.where(start < stop, 1.0, -1.0))
    return int(((np.bincount(edge) == 2) & (direction != 0)).sum())
