"""The displacement converges with the square of the voxel size."""

import numpy as np
import pytest
import torch
from torch.func import hessian, jacfwd, vmap

from lpbf import HexMesh

SIZE = np.array([2.0, 1.6, 1.2])
POINTS, WEIGHTS = np.polynomial.legendre.leggauss(3)


def exact(x):
    """A smooth displacement that vanishes on the plate, z = 0."""
    wave = torch.stack(
        [
            torch.sin(1.3 * x[0] + 0.4) * torch.cos(0.9 * x[1]),
            torch.cos(1.1 * x[0] - 0.7 * x[1]),
            torch.sin(0.8 * x[1] + 0.5 * x[0] + 0.3),
        ]
    )
    return 1e-3 * wave * torch.sin(1.2 * x[2])


def elasticity_tensor(young, poisson):
    shear, lame = young / (2 * (1 + poisson)), young * poisson / ((1 + poisson) * (1 - 2 * poisson))
    eye = torch.eye(3, dtype=torch.float64)
    pairs = torch.einsum("ik,jl->ijkl", eye, eye)
    mixed = shear * (pairs + pairs.transpose(2, 3))
    return lame * torch.einsum("ij,kl->ijkl", eye, eye) + mixed


TENSOR = elasticity_tensor(200_000.0, 0.3)


def body_force(x):
    return -torch.einsum("ijkl,klj->i", TENSOR, hessian(exact)(x)).contiguous()


def stress(x):
    return torch.einsum("ijkl,kl->ij", TENSOR, jacfwd(exact)(x)).contiguous()


def shape_values(xi, corners):
    """Shape functions of the eight nodes, [q, 8], at reference points [q, 3]."""
    return (1 + xi[:, None, :] * corners).prod(axis=2) / 8


def consistent_forces(mesh):
    """Nodal forces of the body force and of the tractions on all sides except the plate."""
    size = np.array(mesh.spacing)
    low = mesh.points[mesh.cells[:, 0]]
    corners = 2 * (mesh.points[mesh.cells[0]] - low[0]) / size - 1
    total = np.zeros((mesh.num_nodes, 3))

    def add(cells, xi, weights, density):
        points = low[cells][:, None] + (1 + xi) / 2 * size
        values = vmap(density)(torch.from_numpy(points.reshape(-1, 3))).numpy()
        values = values.reshape(len(cells), len(xi), 3)
        local = np.einsum("q,qa,eqi->eai", weights, shape_values(xi, corners), values)
        for corner in range(8):
            np.add.at(total, mesh.cells[cells, corner], local[:, corner])

    grid = np.stack(np.meshgrid(POINTS, POINTS, POINTS, indexing="ij"), -1).reshape(-1, 3)
    weights = np.einsum("i,j,k->ijk", WEIGHTS, WEIGHTS, WEIGHTS).ravel() * size.prod() / 8
    add(np.arange(mesh.num_cells), grid, weights, body_force)
    for axis, side in [(0, -1), (0, 1), (1, -1), (1, 1), (2, 1)]:
        others = [a for a in range(3) if a != axis]
        face = np.zeros((9, 3))
        face[:, axis] = side
        face[:, others] = np.stack(np.meshgrid(POINTS, POINTS, indexing="ij"), -1).reshape(-1, 2)
        area = size[others].prod() / 4
        edge = 0 if side < 0 else mesh.mask.shape[axis] - 1
        cells = np.flatnonzero(mesh.cell_index[:, axis] == edge)
        add(
            cells,
            face,
            np.outer(WEIGHTS, WEIGHTS).ravel() * area,
            lambda x, axis=axis, side=side: side * stress(x)[:, axis],
        )
    return total, (corners, grid, weights)


def error(finished, count, incompatible_modes):
    """Relative L2 error of the displacement."""
    mesh = HexMesh.from_mask(np.ones((count, count, count)), tuple(SIZE / count))
    force, (corners, grid, weights) = consistent_forces(mesh)
    part = finished(mesh, tolerance=1e-9, incompatible_modes=incompatible_modes)
    u = part.solve(force)
    low = mesh.points[mesh.cells[:, 0]]
    points = low[:, None] + (1 + grid) / 2 * np.array(mesh.spacing)
    truth = vmap(exact)(torch.from_numpy(points.reshape(-1, 3))).numpy()
    truth = truth.reshape(points.shape)
    found = np.einsum("qa,eai->eqi", shape_values(grid, corners), u[mesh.cells])
    squares = np.einsum("q,eqi->", weights, (found - truth) ** 2)
    return np.sqrt(squares / np.einsum("q,eqi->", weights, truth**2))


@pytest.mark.parametrize("incompatible_modes", [True, False], ids=["modes", "plain"])
def test_order_of_the_displacement(finished, incompatible_modes):
    coarse, fine = (error(finished, count, incompatible_modes) for count in (8, 16))
    assert fine < 0.003
    assert np.log2(coarse / fine) == pytest.approx(2.0, abs=0.05)
