"""The motions of a part that floats: those of its pieces, and of what hinges in them."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.csgraph import connected_components

from lpbf.core.mesh import HexMesh

# Least singular value of what the hinges hold, relative to the largest.
_LEAST = 1e-6


def free_motions(mesh: HexMesh) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Displacements that do not strain a voxel, of each connected piece of a part.

    Voxels that share faces are one rigid body: three translations, three rotations. Bodies that
    share only an edge or a corner turn against each other there.

    Shapes:
        Returns for each piece its nodes [n] and its motions [3 n, m], orthonormal, a node's x, y, z
        one after the other; m is 6, or more if something hinges.
    """
    labels, num_bodies = ndimage.label(mesh.mask)  # pyright: ignore[reportGeneralTypeIssues]
    of_cell = np.repeat(labels[tuple(mesh.cell_index.T)] - 1, 8).astype(np.int64)
    node, body = np.unique(np.stack([mesh.cells.ravel(), of_cell]), axis=1)
    graph = sparse.coo_matrix((np.ones(len(node)), (node, mesh.num_nodes + body)))
    size = mesh.num_nodes + num_bodies
    graph.resize(size, size)
    _, piece = connected_components(graph, directed=False)
    order = np.argsort(piece[node], kind="stable")
    cuts = np.flatnonzero(np.diff(piece[node][order])) + 1
    return [_motions(mesh.points, node[pairs], body[pairs]) for pairs in np.split(order, cuts)]


def _motions(
    points: NDArray[np.float64], node: NDArray[np.int64], body: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Of a piece, from its nodes and their bodies, a row for each pair, by node."""
    nodes, first = np.unique(node, return_index=True)
    bodies, body = np.unique(body, return_inverse=True)
    around = points[node] - points[nodes].mean(axis=0)
    x, y, z = (around / np.abs(around).max()).T
    rigid = np.zeros((len(node), 3, 6))
    rigid[:, range(3), range(3)] = 1.0
    rigid[:, 0, 3], rigid[:, 1, 3] = -y, x
    rigid[:, 1, 4], rigid[:, 2, 4] = -z, y
    rigid[:, 2, 5], rigid[:, 0, 5] = -x, z
    ways = np.eye(6 * len(bodies))
    other = np.setdiff1d(np.arange(len(node)), first)
    if len(other):
        # Bodies move alike at the nodes they share: the one that comes first and each other one.
        same = first[np.searchsorted(nodes, node[other])]
        rows = 3 * np.arange(len(other))[:, None, None] + np.arange(3)[:, None] + np.zeros(6, int)
        place = [
            6 * body[own][:, None, None] + np.arange(6) + np.zeros((3, 1), int)
            for own in (same, other)
        ]
        held = sparse.csr_array(
            (
                np.concatenate([rigid[same], -rigid[other]]).ravel(),
                (np.tile(rows.ravel(), 2), np.concatenate(place).ravel()),
            ),
            shape=(3 * len(other), len(ways)),
        )
        values, ways = np.linalg.eigh((held.T @ held).toarray())
        ways = ways[:, values < _LEAST**2 * values[-1]]
    ways = ways.reshape(len(bodies), 6, -1)
    moved = rigid[first] @ ways[body[first]]
    return nodes, np.linalg.qr(moved.reshape(3 * len(nodes), -1))[0]
