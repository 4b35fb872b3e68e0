"""Displacement of a part that shrinks layer by layer, on a coarse grid."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_POISSON_RATIO = 0.3
# Stiffness of each node beside the material's, relative to the largest, so that pieces that nothing
# holds have a solution.
_GROUND = 1e-9
# Corners of a brick, those at the bottom first.
_CORNERS = np.array([[x, y, z] for z in (0, 1) for y in (0, 1) for x in (0, 1)])


class LayeredShrinkage(NamedTuple):
    """Displacement of a part that is built in layers, for a unit shrinkage.

    Attributes:
        total: Displacement of each node since its activation, [X + 1, Y + 1, Z + 1, 3].
        own: The part of it that the layer under the node contributes, of the same shape.
        deviator: Deviatoric stress over Young's modulus in the middle of each cell, for full
            density, [X, Y, Z, 3, 3].
    """

    total: NDArray[np.float64]
    own: NDArray[np.float64]
    deviator: NDArray[np.float64]


class _Layer(NamedTuple):
    """Stiffness in the lower plane, between the planes and in the upper plane, and the forces."""

    lower: NDArray[np.float64]
    between: NDArray[np.float64]
    upper: NDArray[np.float64]
    forces: tuple[NDArray[np.float64], NDArray[np.float64]]


def layered_shrinkage(
    density: NDArray[np.float64], edges: tuple[float, float, float]
) -> LayeredShrinkage:
    r"""Elastic displacement of a part on a plate whose layers shrink one after the other.

    Each layer of cells is activated stress-free and strained by -1 in all directions, which leads
    to a new equilibrium with the layers below it. The lowest nodes are fixed. The material is
    linear elastic with Poisson's ratio 0.3, the elements are bricks with incompatible modes (Wilson
    et al., 1973). Let :math:`S_k` be the stiffness of plane k of nodes after the elimination of the
    planes below it, with the layers on both of its sides, :math:`G_k = S_k^{-1} K_{k,k+1}`, and
    :math:`u^k_j` the displacement of plane j by the shrinkage of layer k, which is above plane k.
    Then

    .. math::
        u^k_j = -G_j u^k_{j+1} \quad (j < k), \qquad
        T_j = \sum_{k \ge j-1} u^k_j = u^{j-1}_j + u^j_j - G_j (T_{j+1} - u^j_{j+1}),

    so that one factorisation of each plane is enough for all layers.

    Args:
        density: Share of solid of each cell, [X, Y, Z]. The stiffness is proportional to it, and
            cells without solid do not exist.
        edges: Edge lengths of a cell.
    """
    stiffness, load = _brick(edges)
    ground = _GROUND * float(stiffness.max())
    number, sizes = _number_nodes(density > 0)
    gains, lower, upper = [], [], []
    held = np.zeros((3 * sizes[0], 3 * sizes[0]))  # stiffness of a plane by the layers below it
    for k in range(density.shape[2]):
        planes = (number[:, :, k], number[:, :, k + 1])
        layer = _assemble(density[:, :, k], planes, sizes[k : k + 2], stiffness, load)
        gain, start = np.zeros_like(layer.between), np.zeros_like(layer.forces[0])
        if k > 0:  # plane 0 is fixed
            right = np.column_stack([layer.between, layer.forces[0]])
            found = _solve(held + layer.lower, right, ground)
            gain, start = found[:, :-1], found[:, -1]
        held = layer.upper - layer.between.T @ gain
        upper.append(_solve(held, layer.forces[1] - layer.between.T @ start, ground))
        lower.append(start - gain @ upper[-1])
        gains.append(gain)
    total, own = np.zeros((2, *number.shape, 3))
    values = upper[-1]
    for k in range(density.shape[2], 0, -1):
        if k < density.shape[2]:
            values = upper[k - 1] + lower[k] - gains[k] @ (values - upper[k])
        where = number[:, :, k] >= 0
        total[:, :, k][where] = values.reshape(-1, 3)
        own[:, :, k][where] = upper[k - 1].reshape(-1, 3)
    return LayeredShrinkage(total, own, _deviator(total, own, edges))


def _deviator(
    total: NDArray[np.float64], own: NDArray[np.float64], edges: tuple[float, float, float]
) -> NDArray[np.float64]:
    """Deviatoric stress of the cells, in which the isotropic shrinkage has no share."""
    x, y, z = (count - 1 for count in total.shape[:3])
    gradient = np.zeros((x, y, z, 3, 3))
    for corner in _CORNERS:
        i, j, k = corner
        nodes = np.s_[i : i + x, j : j + y, k : k + z]
        # A cell has the displacements since its own activation.
        moved = total[nodes] - own[nodes] * (k == 0)
        gradient += moved[..., None] * ((2.0 * corner - 1) / (4 * np.array(edges)))
    strain = (gradient + gradient.swapaxes(-1, -2)) / 2
    strain -= strain.trace(axis1=-2, axis2=-1)[..., None, None] * np.eye(3) / 3
    return strain / (1 + _POISSON_RATIO)


def count_operations(density: NDArray[np.float64]) -> float:
    """Estimated floating-point operations of :func:`layered_shrinkage`."""
    sizes = np.array(_number_nodes(density > 0)[1][1:], dtype=np.float64)
    return float(3 * ((3 * sizes) ** 3).sum())


def _solve(
    matrix: NDArray[np.float64], right: NDArray[np.float64], ground: float
) -> NDArray[np.float64]:
    from scipy.linalg import cho_factor, cho_solve  # not needed by most models

    matrix = matrix.copy()
    matrix.flat[:: len(matrix) + 1] += ground
    return cho_solve(cho_factor(matrix, check_finite=False), right, check_finite=False)


def _number_nodes(solid: NDArray[np.bool_]) -> tuple[NDArray[np.int64], list[int]]:
    """Number of each node of a solid cell within its plane, otherwise -1, and the planes' sizes."""
    shape = tuple(count + 1 for count in solid.shape)
    used = np.zeros(shape, dtype=bool)
    for x, y, z in _CORNERS:
        used[x : x + solid.shape[0], y : y + solid.shape[1], z : z + solid.shape[2]] |= solid
    planes = used.reshape(-1, shape[2])
    number = np.where(planes, planes.cumsum(0) - 1, -1)
    return number.reshape(shape), planes.sum(0).tolist()


def _assemble(
    density: NDArray[np.float64],
    planes: tuple[NDArray[np.int64], NDArray[np.int64]],
    sizes: Sequence[int],
    stiffness: NDArray[np.float64],
    load: NDArray[np.float64],
) -> _Layer:
    """Stiffness and forces of a layer, from the numbers of the nodes in its two planes."""
    x, y = np.nonzero(density)
    share = density[x, y]
    unknowns, forces = [], []
    for half, (plane, size) in enumerate(zip(planes, sizes, strict=True)):
        nodes = np.stack([plane[x + i, y + j] for i, j, _ in _CORNERS[:4]], axis=1)
        unknowns.append((3 * nodes[:, :, None] + np.arange(3)).reshape(len(x), 12))
        values = share[:, None] * load[12 * half : 12 * half + 12]
        forces.append(np.bincount(unknowns[half].ravel(), values.ravel(), 3 * size))

    from scipy.sparse import coo_array

    def block(rows: int, columns: int) -> NDArray[np.float64]:
        part = stiffness[12 * rows : 12 * rows + 12, 12 * columns : 12 * columns + 12]
        values = share[:, None, None] * part
        i = np.broadcast_to(unknowns[rows][:, :, None], values.shape).ravel()
        j = np.broadcast_to(unknowns[columns][:, None, :], values.shape).ravel()
        shape = (3 * sizes[rows], 3 * sizes[columns])
        return coo_array((values.ravel(), (i, j)), shape=shape).toarray()

    return _Layer(block(0, 0), block(0, 1), block(1, 1), (forces[0], forces[1]))


def _brick(
    edges: tuple[float, float, float],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Stiffness [24, 24] of a brick for Young's modulus 1, and its load [24] for the strain -1."""
    lame = _POISSON_RATIO / ((1 + _POISSON_RATIO) * (1 - 2 * _POISSON_RATIO))
    shear = 1 / (2 * (1 + _POISSON_RATIO))
    elasticity = np.diag([2 * shear] * 3 + [shear] * 3)
    elasticity[:3, :3] += lame
    signs = 2.0 * _CORNERS - 1
    size = np.array(edges)
    matrix, load = np.zeros((33, 33)), np.zeros(33)
    for point in signs / np.sqrt(3.0):
        factors = 1 + signs * point  # [8, 3]
        others = np.stack([factors[:, [1, 2]], factors[:, [0, 2]], factors[:, [0, 1]]], axis=1)
        corner = signs * others.prod(-1) / 8 * (2 / size)  # derivatives of the corner functions
        inner = np.diag(-2 * point * (2 / size))  # and of 1 - x^2, 1 - y^2, 1 - z^2
        strain = _strain(np.concatenate([corner, inner]))
        weight = size.prod() / 8
        matrix += weight * strain.T @ elasticity @ strain
        load -= weight * strain.T @ elasticity @ np.array([1.0, 1, 1, 0, 0, 0])
    coupling, modes = matrix[:24, 24:], matrix[24:, 24:]
    return matrix[:24, :24] - coupling @ np.linalg.solve(modes, coupling.T), load[:24]


def _strain(derivatives: NDArray[np.float64]) -> NDArray[np.float64]:
    """Strain xx, yy, zz, yz, xz, xy of displacements [n, 3] from derivatives [n, 3], [6, 3 n]."""
    out = np.zeros((6, len(derivatives), 3))
    for axis in range(3):
        out[axis, :, axis] = derivatives[:, axis]
    for row, (i, j) in enumerate(((1, 2), (0, 2), (0, 1)), start=3):
        out[row, :, i], out[row, :, j] = derivatives[:, j], derivatives[:, i]
    return out.reshape(6, -1)
