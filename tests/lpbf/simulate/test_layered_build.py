"""Layered builds against independently assembled steps with a direct solver."""

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import spsolve

from lpbf import HexMesh, Material, Process, simulate
from lpbf.core.result import von_mises

STEEL = Material("steel", youngs_modulus=200_000.0, poisson_ratio=0.3)
PROCESS = Process(
    material=STEEL, layer_height=0.8, inherent_strain=(-0.004, -0.001, -0.002), scan_rotation=67.0
)


def table():
    """A table on two legs of unequal length in layers, with a hole and an overhang."""
    mask = np.zeros((5, 3, 6), dtype=bool)
    mask[0:2, :, :4] = True
    mask[4, :2, :4] = True
    mask[:, :, 4:] = True
    mask[1, 1, 2:] = False
    return HexMesh.from_mask(mask, (1.0, 1.2, 0.4))


def shape_gradients(xi, corners, size):
    """d(shape)/dx [8, 3] of the trilinear and [3, 3] of the incompatible modes, at xi."""
    grad = np.zeros((8, 3))
    for a, corner in enumerate(corners):
        for i in range(3):
            rest = [1 + corner[j] * xi[j] for j in range(3) if j != i]
            grad[a, i] = corner[i] * rest[0] * rest[1] / 8 * 2 / size[i]
    return grad, np.diag([-2 * xi[i] * 2 / size[i] for i in range(3)])


def symmetric_gradient(grad):
    matrix = np.zeros((6, 3 * len(grad)))
    for a, (gx, gy, gz) in enumerate(grad):
        matrix[:, 3 * a : 3 * a + 3] = [
            [gx, 0, 0], [0, gy, 0], [0, 0, gz], [gy, gx, 0], [0, gz, gy], [gz, 0, gx],
        ]  # fmt: skip
    return matrix


def reference_build(mesh, process):
    """All incompatible modes as unknowns, three-point quadrature, SuperLU."""
    size = np.array(mesh.spacing)
    lame = 200_000.0 * 0.3 / (1.3 * 0.4)
    elasticity = np.diag([2.0, 2, 2, 1, 1, 1]) * 200_000.0 / 2.6
    elasticity[:3, :3] += lame
    low = mesh.points[mesh.cells[0]].min(axis=0)
    corners = 2 * (mesh.points[mesh.cells[0]] - low) / size - 1
    points, weights = np.polynomial.legendre.leggauss(3)
    matrix, load = np.zeros((33, 33)), np.zeros((33, 6))
    for i in range(3):
        for j in range(3):
            for k in range(3):
                nodal, modes = shape_gradients(points[[i, j, k]], corners, size)
                b = np.hstack([symmetric_gradient(nodal), symmetric_gradient(modes)])
                w = weights[i] * weights[j] * weights[k] * size.prod() / 8
                matrix += w * b.T @ elasticity @ b
                load += w * b.T @ elasticity
    b0 = symmetric_gradient(shape_gradients(np.zeros(3), corners, size)[0])

    rows_per_layer = round(process.layer_height / mesh.spacing[2])
    z = np.rint(mesh.points[mesh.cells].mean(axis=1)[:, 2] / mesh.spacing[2] - 0.5).astype(int)
    layer = z // rows_per_layer
    activated = np.zeros(mesh.num_nodes, dtype=bool)
    total = np.zeros((mesh.num_nodes, 3))
    stress = np.zeros((mesh.num_cells, 6))
    for n in range(layer.max() + 1):
        active = np.flatnonzero(layer <= n)
        activated[mesh.cells[active]] = True
        modes_start = 3 * mesh.num_nodes
        dofs = np.hstack(
            [
                (3 * mesh.cells[active][:, :, None] + np.arange(3)).reshape(-1, 24),
                modes_start + 9 * active[:, None] + np.arange(9),
            ]
        )
        unknowns = modes_start + 9 * mesh.num_cells
        angle = np.deg2rad(process.scan_rotation * n)
        rotation = np.array(
            [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
        )
        tensor = rotation @ np.diag(process.inherent_strain) @ rotation.T
        strain = np.array([*np.diag(tensor), 2 * tensor[0, 1], 2 * tensor[1, 2], 2 * tensor[0, 2]])
        force = np.zeros(unknowns)
        for cell, cell_dofs in zip(active, dofs, strict=True):
            if layer[cell] == n:
                force[cell_dofs] += load @ strain
        stiffness = sparse.csr_matrix(
            (
                np.tile(matrix.ravel(), len(dofs)),
                (np.repeat(dofs, 33, axis=1).ravel(), np.tile(dofs, 33).ravel()),
            ),
            shape=(unknowns, unknowns),
        )
        clamped = np.repeat(mesh.points[:, 2] == 0, 3)
        free = np.zeros(unknowns, dtype=bool)
        free[np.unique(dofs)] = True
        free[:modes_start] &= ~clamped
        step = np.zeros(unknowns)
        step[free] = spsolve(stiffness[free][:, free].tocsc(), force[free])
        step = step[:modes_start].reshape(-1, 3)
        total[activated] += step[activated]
        for cell in active:
            own = strain if layer[cell] == n else 0.0
            stress[cell] += elasticity @ (b0 @ step[mesh.cells[cell]].ravel() - own)
    nodal = np.zeros((mesh.num_nodes, 6))
    for node in range(mesh.num_nodes):
        nodal[node] = stress[(mesh.cells == node).any(axis=1)].mean(axis=0)
    return total, nodal


@pytest.fixture(scope="module")
def reference():
    return reference_build(table(), PROCESS)


def test_layered_build(reference):
    displacement, stress = reference
    result = simulate(table(), PROCESS, tolerance=1e-10)
    assert np.abs(displacement).max() > 1e-3
    np.testing.assert_allclose(
        result.displacement, displacement, atol=1e-7 * np.abs(displacement).max()
    )
    np.testing.assert_allclose(result.stress, stress, atol=1e-6 * np.abs(stress).max())
    np.testing.assert_allclose(result.von_mises, von_mises(stress), rtol=1e-5)


def test_layered_build_to_the_default_tolerance(reference):
    displacement, _ = reference
    result = simulate(table(), PROCESS)
    np.testing.assert_allclose(
        result.displacement, displacement, atol=1e-6 * np.abs(displacement).max()
    )
