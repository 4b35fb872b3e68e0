"""The layered equilibrium by block elimination: exact, for small cross-sections."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve, get_lapack_funcs

from lpbf.errors import SolverError
from lpbf.mechanics.build import CLAMPED, Build, Displacements

# Bytes that the direct solver's dense blocks may take together.
_DIRECT_BYTES = 2 * 2**30
# Its m^3 work against the iterative one's E L^2 (E cells, as many iterations a step as layers, L
# steps), at the same time on two cores; measured on a nut at three pitches and on cubes.
_WORK_RATIO = 16_000


def direct_suits(build: Build) -> bool:
    """Whether the cross-sections are small enough for the direct solver to be the faster one."""
    unknowns = 3.0 * np.bincount(build.node_layer[build.node_layer >= 0])
    iterative = _WORK_RATIO * build.mesh.num_cells * build.num_layers**2
    return (unknowns**3).sum() <= iterative and 8 * (unknowns**2).sum() <= _DIRECT_BYTES


def solve_direct(build: Build) -> Displacements:
    """Block-tridiagonal elimination from the plate upwards, exact to rounding.

    Numbered by the layer that first owns them, the unknowns couple only with the layer below and
    above, and a new layer changes nothing but the newest block of the factorisation. So the whole
    build costs one factorisation; and since the older layers follow linearly, their increments
    are summed by a single sweep downwards at the end:

        S_k = A_kk - A_k,k-1 S_{k-1}^-1 A_k-1,k,    P_k = -S_k^-1 A_k,k+1 (du_{k+1} + P_{k+1})

    with P_k the sum of the increments of block k after the next layer's step. Cost: O(m^3) a
    layer for m unknowns in it.
    """
    cells, layer = build.mesh.cells, build.node_layer
    local = _positions_in_layer(layer)
    inverses: list[NDArray[np.float64]] = []  # of S_k with layer k + 1 in place
    couplings: list[sparse.csr_matrix] = []  # A_k,k+1
    first: list[NDArray[np.float64]] = []  # du_k at step k
    second: list[NDArray[np.float64]] = []  # du_k at step k + 1
    below = np.zeros((0, 0))  # S of the newest layer but one
    for n in range(build.num_layers):
        nodes = cells[build.cells_of(n)]
        new = layer[nodes] == n
        size = 3 * int((layer == n).sum())
        schur = _assemble(build, local[nodes], new, new, (size, size)).toarray()
        load = _assemble_load(build, n, local[nodes], new, size)
        if n == 0:
            first.append(_solve(schur, load))
        else:
            old = (layer[nodes] == n - 1) & (layer[nodes] != CLAMPED)
            below += _assemble(build, local[nodes], old, old, below.shape).toarray()
            inverse = _inverse(below)
            coupling = _assemble(build, local[nodes], old, new, (len(below), size))
            load_below = _assemble_load(build, n, local[nodes], old, len(below))
            schur -= coupling.T @ (coupling.T @ inverse).T
            first.append(_solve(schur, load - coupling.T @ (inverse @ load_below)))
            second.append(inverse @ (load_below - coupling @ first[-1]))
            inverses.append(inverse)
            couplings.append(coupling)
        below = schur

    total, born = np.zeros((len(layer), 3)), np.zeros((len(layer), 3))
    later = np.zeros_like(first[-1])
    for k in reversed(range(build.num_layers)):
        if k < build.num_layers - 2:
            later = -inverses[k] @ (couplings[k] @ (second[k + 1] + later))
        elif k == build.num_layers - 2:
            later = np.zeros_like(first[k])
        nodes = layer == k
        born[nodes] = first[k].reshape(-1, 3)
        total[nodes] = (first[k] + later + (second[k] if k < len(second) else 0.0)).reshape(-1, 3)
    return total, born


def _positions_in_layer(layer: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of each node among those of its layer, in the order of the nodes."""
    order = np.argsort(layer, kind="stable")
    starts = np.searchsorted(layer[order], layer[order])
    position = np.empty(len(layer), dtype=np.int64)
    position[order] = np.arange(len(layer)) - starts
    return position


def _assemble(build: Build, nodes, rows, columns, shape) -> sparse.csr_matrix:
    """Couples the cell corners picked by ``rows`` [E, 8] with those by ``columns``, summed."""
    picked = np.repeat(rows, 3, axis=1)[:, :, None] & np.repeat(columns, 3, axis=1)[:, None, :]
    dofs = (3 * nodes[:, :, None] + np.arange(3)).reshape(-1, 24)
    row, column = np.broadcast_arrays(dofs[:, :, None], dofs[:, None, :])
    value = np.broadcast_to(build.brick.stiffness, picked.shape)
    return sparse.csr_matrix((value[picked], (row[picked], column[picked])), shape=shape)


def _assemble_load(build: Build, n: int, nodes, picked, size: int) -> NDArray[np.float64]:
    """Inherent-strain forces of layer n on the picked corners [E, 8], summed; [size]."""
    dofs = 3 * nodes[picked][:, None] + np.arange(3)
    force = np.broadcast_to(build.layer_load[n].reshape(8, 3), (*picked.shape, 3))[picked]
    total = np.zeros(size)
    np.add.at(total, dofs.ravel(), force.ravel())
    return total


def _solve(matrix: NDArray[np.float64], load: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solves with a symmetric positive definite matrix."""
    try:
        return cho_solve(cho_factor(matrix, lower=True), load)
    except np.linalg.LinAlgError as error:
        raise SolverError(f"a layer's stiffness is not positive definite ({error})") from error


def _inverse(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of a symmetric positive definite matrix."""
    potrf, potri = get_lapack_funcs(("potrf", "potri"), (matrix,))
    factor, info = potrf(matrix, lower=1, clean=1)
    if info:
        raise SolverError(f"a layer's stiffness is not positive definite (pivot {info})")
    inverse, _ = potri(factor, lower=1, overwrite_c=1)
    inverse += np.tril(inverse, -1).T
    return inverse
