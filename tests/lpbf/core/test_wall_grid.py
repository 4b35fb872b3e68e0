import numpy as np
import pytest

from lpbf.core.wall_grid import wall_grid_elasticity

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
