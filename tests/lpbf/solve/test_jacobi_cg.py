import numpy as np
import pytest
import torch

from lpbf import HexMesh, SolverError
from lpbf.core.heat import Heat
from lpbf.heat.conduction import Conduction
from lpbf.solve import jacobi_cg


@pytest.fixture
def system(alloy):
    rng = np.random.default_rng(1)
    mask = rng.random((5, 4, 6)) < 0.7
    mask[2, 2] = True
    mesh = HexMesh.from_mask(mask, (1.0, 0.8, 1.3))
    conduction = Conduction(mesh, mesh.cell_index[:, 2], alloy, Heat())
    conduction.stand(mesh.num_cells)
    temperature = torch.from_numpy(rng.uniform(50, 1600, mesh.num_cells))
    return conduction.at(temperature).matrix, torch.from_numpy(rng.normal(size=mesh.num_cells))


@pytest.mark.parametrize("way", ["_compiled", "_on_tensors"])
def test_both_ways_find_the_solution(system, way):
    matrix, force = system
    identity = torch.eye(len(force), dtype=torch.float64)
    dense = torch.stack([matrix.apply(column) for column in identity], dim=1)
    torch.testing.assert_close(dense, dense.T)
    solve = getattr(jacobi_cg, way)
    x, iterations, error = solve(matrix, force, 1e-12, 1000)
    torch.testing.assert_close(x, torch.linalg.solve(dense, force), rtol=1e-8, atol=1e-8)
    assert 0 < iterations < len(force)
    assert error <= 1e-12
    assert solve(matrix, 0 * force, 0.0, 10)[1] == 0


def test_both_ways_take_the_same_iterations(system):
    counts = [
        getattr(jacobi_cg, way)(*system, 1e-6, 1000)[1] for way in ("_compiled", "_on_tensors")
    ]
    assert counts[0] == counts[1]


def test_a_target_that_is_not_reached_is_an_error(system):
    with pytest.raises(SolverError, match=r"heat: the conjugate.* 3 iterations \(residual \d"):
        jacobi_cg.conjugate_gradients(*system, 1e-12, max_iterations=3, name="heat")


def test_nan_is_an_error(system):
    matrix, force = system
    with pytest.raises(SolverError, match="did not converge"):
        jacobi_cg.conjugate_gradients(
            matrix, force * torch.nan, 1e-12, max_iterations=3, name="heat"
        )
