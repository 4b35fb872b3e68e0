import dataclasses

import numpy as np
import pytest
import torch

from lpbf import HexMesh
from lpbf.core.heat import Heat
from lpbf.heat.conduction import Conduction
from lpbf.solve import cell_stencil, kernels_torch
from lpbf.solve import conjugate_gradients as cg


def stencil(alloy, shape=(5, 4, 6), capacity=0.0):
    """Heat conduction in a porous block, and a capacity that is added to each cell."""
    rng = np.random.default_rng(1)
    mask = rng.random(shape) < 0.7
    mask[2, 2] = True
    mesh = HexMesh.from_mask(mask, (1.0, 0.8, 1.3))
    conduction = Conduction(mesh, mesh.cell_index[:, 2], alloy, Heat())
    conduction.activate(mesh.num_cells)
    temperature = torch.from_numpy(rng.uniform(50, 1600, mesh.num_cells))
    matrix = conduction.at(temperature).matrix
    return dataclasses.replace(matrix, diagonal=matrix.diagonal + capacity)


@pytest.fixture(params=["compiled", "torch"])
def kernels(request, monkeypatch):
    if request.param == "torch":
        for module in (cell_stencil, cg):
            monkeypatch.setattr(module, "kernels_numba", kernels_torch)


def dense(function, n):
    identity = torch.eye(n, dtype=torch.float64)
    return torch.stack([function(column).clone() for column in identity], dim=1)


def solve(matrix, force, **options):
    return matrix.solve(force, **options)


def test_solution(kernels, alloy):
    matrix = stencil(alloy)
    n = len(matrix.diagonal)
    force = torch.from_numpy(np.random.default_rng(2).normal(size=n))
    full = dense(matrix.operator(), n)
    torch.testing.assert_close(full, full.T)
    x, iterations, error = solve(matrix, force, target=1e-12, max_iterations=1000)
    torch.testing.assert_close(x, torch.linalg.solve(full, force), rtol=1e-8, atol=1e-8)
    assert 0 < iterations < n
    assert error <= 1e-12
    assert float((force - matrix.operator()(x)).abs().sum()) == pytest.approx(error, abs=1e-11)
    assert solve(matrix, 0 * force, target=0.0, max_iterations=10)[1] == 0


def test_both_kernels_give_the_same_products(alloy):
    matrix = stencil(alloy)
    x = torch.from_numpy(np.random.default_rng(3).normal(size=len(matrix.diagonal)))
    terms = (matrix.links, matrix.neighbours)
    expected = kernels_torch.cell_operator(matrix.diagonal, *terms)(x)
    torch.testing.assert_close(matrix.operator()(x), expected)
    torch.testing.assert_close(matrix.exchange(x), kernels_torch.exchange_cells(x, *terms))


def test_exchange_is_the_off_diagonal_part_with_zero_row_sums(kernels, alloy):
    matrix = stencil(alloy)
    n = len(matrix.diagonal)
    exchanged = dense(matrix.exchange, n)
    rest = dense(matrix.operator(), n) - exchanged
    torch.testing.assert_close(rest, torch.diag(torch.diagonal(rest)), rtol=0, atol=1e-15)
    assert (matrix.exchange(torch.full((n,), 1234.5, dtype=torch.float64)) == 0).all()


@pytest.mark.parametrize("capacity", [0.0, 1e-9, 1.0, 1e6])
def test_preconditioner_is_symmetric_and_positive_definite(kernels, alloy, capacity):
    matrix = stencil(alloy, capacity=capacity)
    inverse = dense(matrix.preconditioner(), len(matrix.diagonal))
    torch.testing.assert_close(inverse, inverse.T)
    assert torch.linalg.eigvalsh(inverse)[0] > 0


def test_incomplete_factorisation_of_a_column_is_complete(alloy):
    mesh = HexMesh.from_mask(np.ones((1, 1, 9)), 1.0)
    conduction = Conduction(mesh, mesh.cell_index[:, 2], alloy, Heat())
    conduction.activate(9)
    matrix = conduction.at(torch.linspace(50, 1600, 9, dtype=torch.float64)).matrix
    force = torch.linspace(-1, 2, 9, dtype=torch.float64)
    torch.testing.assert_close(matrix.operator()(matrix.preconditioner()(force)), force)


def test_incomplete_factorisation_saves_iterations(alloy, monkeypatch):
    """The number with Jacobi's preconditioner is three times as large."""
    matrix = stencil(alloy, (20, 18, 22), capacity=1e-4)
    force = torch.from_numpy(np.random.default_rng(4).normal(size=len(matrix.diagonal)))
    options = {"target": 1e-3 * float(force.abs().sum()), "max_iterations": 1000}
    factorised = solve(matrix, force, **options)[1]
    monkeypatch.setattr(cell_stencil, "kernels_numba", kernels_torch)
    assert 2.5 * factorised < solve(matrix, force, **options)[1]
