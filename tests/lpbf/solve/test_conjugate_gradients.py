import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lpbf.solve import conjugate_gradients as cg
from lpbf.solve import kernels_torch


@pytest.fixture(autouse=True, scope="module", params=["compiled", "torch"])
def _kernels(request):
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "torch":
            patch.setattr(cg, "kernels_numba", kernels_torch)
        yield


def problem(n, seed=0, condition=1e3):
    generator = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64))[0]
    values = torch.logspace(0, float(np.log10(condition)), n, dtype=torch.float64)
    matrix = basis * values @ basis.T
    return matrix, torch.randn(n, generator=generator, dtype=torch.float64)


def solve(
    matrix, force, precondition=None, start=None, target=1e-9, max_iterations=1000, **options
):
    return cg.conjugate_gradients(
        lambda u: (matrix @ u.flatten()).view_as(u),
        precondition or torch.clone,
        force,
        start,
        target=target,
        max_iterations=max_iterations,
        **options,
    )


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 20), st.integers(0, 1000))
def test_solution_within_as_many_iterations_as_unknowns(n, seed):
    matrix, force = problem(n, seed, condition=10.0)
    u, iterations, norm = solve(matrix, force, target=1e-8)
    assert norm <= 1e-8
    assert iterations <= n + 1
    torch.testing.assert_close(u, torch.linalg.solve(matrix, force), rtol=0, atol=1e-7)


def test_residual_is_the_true_one_and_arguments_do_not_change():
    matrix, force = problem(60)
    start = torch.ones_like(force)
    given_force, given_start = force.clone(), start.clone()
    u, iterations, norm = solve(matrix, force, start=start)
    assert 0 < iterations < 1000
    assert float((force - matrix @ u).norm()) == pytest.approx(norm, abs=1e-9)
    assert torch.equal(force, given_force)
    assert torch.equal(start, given_start)


def test_sum_of_absolute_residuals():
    matrix, force = problem(40)
    u, _, norm = solve(matrix, force, target=1e-7, order=1)
    assert norm <= 1e-7
    assert float((force - matrix @ u).abs().sum()) == pytest.approx(norm, abs=1e-9)
    _, iterations, norm = solve(matrix, force, target=float(force.abs().sum()), order=1)
    assert (iterations, norm) == (0, float(force.abs().sum()))


def test_a_perfect_preconditioner_needs_one_iteration():
    matrix, force = problem(30)
    inverse = torch.linalg.inv(matrix)
    out = torch.empty_like(force)

    def same_tensor(residual):
        return out.copy_(inverse @ residual)

    u, iterations, _ = solve(matrix, force, same_tensor)
    assert iterations == 1
    torch.testing.assert_close(matrix @ u, force)


def test_a_preconditioner_that_is_not_quite_symmetric():
    matrix, force = problem(80, condition=100.0)
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(80, 80, generator=generator, dtype=torch.float64)
    wrong = torch.linalg.inv(matrix) + 1e-4 * noise
    u, iterations, norm = solve(matrix, force, lambda r: wrong @ r)
    assert norm <= 1e-9
    assert iterations <= 20  # 60 without a preconditioner
    torch.testing.assert_close(matrix @ u, force)


def test_no_iterations_from_the_solution_or_without_force():
    matrix, force = problem(20)
    exact = torch.linalg.solve(matrix, force)
    u, iterations, _ = solve(matrix, force, start=exact, target=1e-8)
    assert iterations == 0
    assert torch.equal(u, exact)
    u, iterations, norm = solve(matrix, torch.zeros(20, dtype=torch.float64), target=0.0)
    assert (iterations, norm) == (0, 0.0)
    assert (u == 0).all()


def test_it_stops_at_the_limit_and_returns_the_residual():
    matrix, force = problem(100, condition=1e6)
    u, iterations, norm = solve(matrix, force, max_iterations=3)
    assert iterations == 3
    assert norm > 1e-9
    assert float((force - matrix @ u).norm()) == pytest.approx(norm, rel=1e-9)


@pytest.mark.parametrize("matrix", [-torch.eye(4).double(), torch.full((4, 4), torch.nan).double()])
def test_it_stops_if_the_matrix_is_not_positive_definite(matrix):
    _, iterations, norm = solve(matrix, torch.ones(4, dtype=torch.float64))
    assert iterations == 0
    assert norm == 2.0


def test_semidefinite_with_a_force_in_its_range():
    matrix = torch.diag(torch.tensor([0.0, 1, 2, 3], dtype=torch.float64))
    force = torch.tensor([0.0, 1, 1, 1], dtype=torch.float64).view(2, 2)
    u, _, norm = solve(matrix, force)
    assert norm <= 1e-9
    torch.testing.assert_close(u.flatten(), torch.tensor([0, 1, 1 / 2, 1 / 3]).double())
