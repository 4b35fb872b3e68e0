import numpy as np
import pytest

from lpbf.core.wall_grid import wall_grid_conduction, wall_grid_elasticity

E, NU, F = 200e3, 0.3, 0.2


def test_moduli_of_thin_walls():
    compliance = np.linalg.inv(wall_grid_elasticity(E, NU, F))
    assert 1 / compliance[2, 2] == pytest.approx(F * E)
    assert 1 / compliance[0, 0] == pytest.approx(F * E / (2 - NU**2))
    assert -compliance[0, 2] / compliance[2, 2] == pytest.approx(NU)
    assert 1 / compliance[5, 5] == pytest.approx(F / 2 * E / 2.6)
    assert 1 / compliance[3, 3] == pytest.approx(F / 10 * E / 2.6)
    # Thick walls resist bending: t / d = 0.5 at f = 0.75.
    assert wall_grid_elasticity(E, NU, 0.75)[3, 3] == pytest.approx(E / 0.91 * 0.5**3 / 2)


def test_symmetry_of_the_square():
    matrix = wall_grid_elasticity(E, NU, F)
    swap = np.eye(6)[[1, 0, 2, 3, 5, 4]]
    np.testing.assert_array_equal(swap @ matrix @ swap.T, matrix)
    np.testing.assert_array_equal(matrix, matrix.T)
    assert np.linalg.eigvalsh(matrix)[0] > 0


def test_conduction_in_the_plane_of_a_meshed_grid():
    """One period of walls of two voxels at a distance of twelve, with a drop of one across it."""
    size, t = 12, 2
    wall = np.zeros((size, size), dtype=bool)
    wall[:, :t] = wall[:t] = True
    number = np.full(wall.shape, -1)
    number[wall] = np.arange(wall.sum())
    matrix, flow = np.zeros((wall.sum(),) * 2), np.zeros(wall.sum())
    for axis in (0, 1):
        other = np.roll(number, -1, axis)
        for a, b in zip(number[wall & (other >= 0)], other[wall & (other >= 0)], strict=True):
            matrix[[a, b], [a, b]] += 1
            matrix[[a, b], [b, a]] -= 1
    crosses = (number[-1] >= 0) & (number[0] >= 0)
    flow[number[0, crosses]] += 1
    flow[number[-1, crosses]] -= 1
    temperature = np.linalg.lstsq(matrix, flow, rcond=None)[0]
    across = (1 + temperature[number[-1, crosses]] - temperature[number[0, crosses]]).sum()
    in_plane, vertical = wall_grid_conduction(wall.mean())
    assert vertical == pytest.approx(wall.mean())
    assert in_plane == pytest.approx(t / size)
    assert in_plane <= across == pytest.approx(in_plane, rel=0.06)
    assert wall_grid_conduction(1.0) == (1.0, 1.0)
