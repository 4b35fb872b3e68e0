"""Rigid-body modes and mechanisms of an unconstrained voxel part."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.csgraph import connected_components

from lpbf.core.mesh import HexMesh
from lpbf.mechanics.rigid_body_modes import rigid_body_modes

# Singular values of the constraints at the joints below this share of the largest count as zero.
_ZERO = 1e-6


def zero_energy_modes(
    mesh: HexMesh, fixed: NDArray[np.bool_] | None = None
) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Displacement modes that strain no voxel, for each connected component of a part.

    Voxels that share faces form a rigid body with three translations and three rotations. Bodies
    that share only an edge or a corner rotate against each other there: a mechanism.

    Args:
        mesh: The part.
        fixed: Nodes that cannot move, [N]; None for none.

    Returns:
        The nodes [n] and the modes [3 n, m] of each component, orthonormal, with x, y, z of a node
        next to each other; m is 6 without fixed nodes, or more with mechanisms.
    """
    labels, num_bodies = ndimage.label(mesh.mask)  # pyright: ignore[reportGeneralTypeIssues]
    cell_body = np.repeat(labels[tuple(mesh.cell_index.T)] - 1, 8).astype(np.int64)
    node, body = np.unique(np.stack([mesh.cells.ravel(), cell_body]), axis=1)
    graph = sparse.coo_matrix((np.ones(len(node)), (node, mesh.num_nodes + body)))
    size = mesh.num_nodes + num_bodies
    graph.resize(size, size)
    _, component = connected_components(graph, directed=False)
    order = np.argsort(component[node], kind="stable")
    cuts = np.flatnonzero(np.diff(component[node][order])) + 1
    fixed = np.zeros(mesh.num_nodes, dtype=bool) if fixed is None else fixed
    return [
        _component_modes(mesh.points, node[pairs], body[pairs], fixed[node[pairs]])
        for pairs in np.split(order, cuts)
    ]


def _component_modes(
    points: NDArray[np.float64],
    node: NDArray[np.int64],
    body: NDArray[np.int64],
    fixed: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Nodes and modes of a component, from its pairs of a node and a body, sorted by node.

    ``fixed`` has the pairs whose node cannot move.
    """
    nodes, first = np.unique(node, return_index=True)
    bodies, body = np.unique(body, return_inverse=True)
    centred = points[node] - points[nodes].mean(axis=0)
    rigid = rigid_body_modes(centred / np.abs(centred).max())
    amplitudes = np.eye(6 * len(bodies))
    other = np.setdiff1d(np.arange(len(node)), first)
    # At a shared node all bodies move like the first one.
    same, held = first[np.searchsorted(nodes, node[other])], first[fixed[first]]
    if len(other) or len(held):

        def motion(pairs: NDArray[np.int64]) -> sparse.csr_array:
            """Displacements of the pairs [3 n] by the amplitudes of all bodies."""
            rows = (
                3 * np.arange(len(pairs))[:, None, None] + np.arange(3)[:, None] + np.zeros(6, int)
            )
            columns = 6 * body[pairs][:, None, None] + np.arange(6) + np.zeros((3, 1), int)
            return sparse.csr_array(
                (rigid[pairs].ravel(), (rows.ravel(), columns.ravel())),
                shape=(3 * len(pairs), len(amplitudes)),
            )

        constraints = sparse.vstack([motion(same) - motion(other), motion(held)])
        values, amplitudes = np.linalg.eigh((constraints.T @ constraints).toarray())
        amplitudes = amplitudes[:, values < _ZERO**2 * values[-1]]
    amplitudes = amplitudes.reshape(len(bodies), 6, -1)
    modes = rigid[first] @ amplitudes[body[first]]
    return nodes, np.linalg.qr(modes.reshape(3 * len(nodes), -1))[0]
