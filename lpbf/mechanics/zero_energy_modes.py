"""Rigid-body modes and mechanisms of a voxel part, and their removal from a displacement."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.linalg import splu

from lpbf.core.errors import SolverError
from lpbf.core.mesh import HexMesh
from lpbf.mechanics.rigid_body_modes import rigid_body_modes

# Stiffness of the joints over that of the fit, while the multipliers of the joints converge.
_STIFFNESS = 1e8
# Relative accuracy of the fit and of the joints.
_ACCURACY = 1e-13
_MAX_ITERATIONS = 100


class ZeroEnergyModes:
    r"""Displacement modes that strain no voxel: rigid-body modes and mechanisms.

    Voxels that share faces form a rigid body with three translations and three rotations. Bodies
    that share only an edge or a corner rotate against each other there: a mechanism. The modes are
    not computed, since a lattice of hinges can have as many as bodies. The nearest mode to a
    displacement :math:`d` is

    .. math:: \min_a |d - R a|^2 \quad\text{with}\quad C a = 0,

    where :math:`a` are six amplitudes of each body, :math:`R a` the displacement of the nodes, and
    :math:`C a` the differences of the bodies at their common nodes and the displacements of fixed
    nodes. The method of multipliers solves it with one sparse factorisation of
    :math:`R^\top R + C^\top C / \delta`, also if constraints depend on each other, as in rings.

    Args:
        mesh: The part.
        fixed: Nodes that cannot move, [N]; None for none.
    """

    def __init__(self, mesh: HexMesh, fixed: NDArray[np.bool_] | None = None):
        labels, num_bodies = ndimage.label(mesh.mask)  # pyright: ignore[reportGeneralTypeIssues]
        cell_body = np.repeat(labels[tuple(mesh.cell_index.T)] - 1, 8).astype(np.int64)
        # Pairs of a node and a body, sorted by node.
        pairs = np.unique(mesh.cells.ravel() * num_bodies + cell_body)
        self._node, self._body = pairs // num_bodies, pairs % num_bodies
        self._num_bodies, self._fixed = num_bodies, fixed
        share = np.bincount(self._node, minlength=mesh.num_nodes)[self._node]
        self._weight = 1.0 / share
        self._modes = self._body_modes(mesh.points[self._node])
        first = np.searchsorted(self._node, self._node)
        # At a common node all bodies move like the first one.
        other = np.flatnonzero(first != np.arange(len(first)))
        held = np.empty(0, dtype=np.int64)
        if fixed is not None:
            held = np.unique(first[fixed[self._node]])
        joints = self._motion(first[other]) - self._motion(other)
        joints = sparse.vstack([joints, self._motion(held)], format="csr")
        norm = np.sqrt(joints.multiply(joints).sum(axis=1))
        self._joints = sparse.csr_array(sparse.diags_array(1 / norm) @ joints)
        self._factor = None
        if len(norm):
            normal = sparse.eye_array(6 * num_bodies) + _STIFFNESS * (self._joints.T @ self._joints)
            self._factor = splu(
                sparse.csc_array(normal),
                permc_spec="MMD_AT_PLUS_A",
                diag_pivot_thresh=0.0,
                options={"SymmetricMode": True},
            )

    def remove(self, displacement: NDArray[np.float64]) -> NDArray[np.float64]:
        """Displacement [N, 3] without its nearest mode (least squares over the nodes).

        Raises:
            SolverError: If the amplitudes of the bodies do not converge.
        """
        moved = displacement[self._node] * self._weight[:, None]
        fit = _sums(self._body, np.einsum("pij,pi->pj", self._modes, moved), self._num_bodies)
        amplitudes = self._constrain(fit.ravel()).reshape(-1, 6)
        mode = np.einsum("pij,pj->pi", self._modes, amplitudes[self._body]) * self._weight[:, None]
        mode = _sums(self._node, mode, len(displacement))
        if self._fixed is not None:
            mode[self._fixed] = 0.0  # without rounding
        return displacement - mode

    def _constrain(self, fit: NDArray[np.float64]) -> NDArray[np.float64]:
        """Nearest amplitudes to those of the bodies alone that the joints allow."""
        if self._factor is None:
            return fit
        amplitudes = self._factor.solve(fit)
        multipliers = np.zeros_like(self._joints @ amplitudes)
        for _ in range(_MAX_ITERATIONS):
            forces = _STIFFNESS * (self._joints @ amplitudes)
            multipliers += forces
            residual = fit - amplitudes - self._joints.T @ (multipliers + forces)
            correction = self._factor.solve(residual)
            amplitudes += correction
            if np.linalg.norm(correction) <= _ACCURACY * np.linalg.norm(fit):
                return amplitudes
        raise SolverError(
            f"release: the mechanisms of {self._num_bodies:,} bodies that share only edges or "
            f"corners of voxels did not converge in {_MAX_ITERATIONS} iterations; use a finer "
            f"pitch, so that the voxels share faces"
        )

    def _body_modes(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Rigid-body modes of each pair [P, 3, 6], orthonormal over the pairs of a body."""
        count, weight = self._num_bodies, self._weight[:, None]
        centre = _sums(self._body, weight * points, count) / _sums(self._body, weight, count)
        centred = points - centre[self._body]
        size = np.zeros(count)
        np.maximum.at(size, self._body, np.abs(centred).max(axis=1))
        modes = rigid_body_modes(centred / size[self._body, None])
        products = np.einsum("p,pij,pik->pjk", self._weight, modes, modes).reshape(-1, 36)
        gram = _sums(self._body, products, count).reshape(-1, 6, 6)
        inverse = np.linalg.inv(np.linalg.cholesky(gram))
        return modes @ inverse.transpose(0, 2, 1)[self._body]

    def _motion(self, pairs: NDArray[np.int64]) -> sparse.csr_array:
        """Displacements of the pairs [3 n] by the amplitudes of all bodies."""
        rows = 3 * np.arange(len(pairs))[:, None, None] + np.arange(3)[:, None] + np.zeros(6, int)
        columns = 6 * self._body[pairs][:, None, None] + np.arange(6) + np.zeros((3, 1), int)
        return sparse.csr_array(
            (self._modes[pairs].ravel(), (rows.ravel(), columns.ravel())),
            shape=(3 * len(pairs), 6 * self._num_bodies),
        )


def _sums(
    groups: NDArray[np.int64], values: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    """Sums of the values [n, c] of each group, [count, c]."""
    out = np.empty((count, values.shape[1]))
    for column, of_pairs in zip(out.T, values.T, strict=True):
        column[:] = np.bincount(groups, of_pairs, minlength=count)
    return out
