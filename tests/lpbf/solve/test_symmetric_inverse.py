import numpy as np
import pytest
import torch

from lpbf.solve.symmetric_inverse import symmetric_inverse, symmetric_solver


@pytest.mark.parametrize("singular", [False, True])
@pytest.mark.parametrize("fixed", [[], [0, 3]])
def test_inverse_of_a_definite_and_of_a_singular_matrix(singular, fixed):
    rng = np.random.default_rng(0)
    root = rng.normal(size=(6, 6))
    root[:, 1] *= not singular  # no stiffness against a second unknown
    matrix = torch.from_numpy(root.T @ root)
    free = torch.ones(6, dtype=torch.bool)
    free[fixed] = False
    index = np.flatnonzero(free)
    expected = np.zeros((6, 6))
    expected[np.ix_(index, index)] = np.linalg.pinv(matrix.numpy()[np.ix_(index, index)])
    np.testing.assert_allclose(symmetric_inverse(matrix, free), expected, atol=1e-9)
    vector = torch.from_numpy(rng.normal(size=6))
    found = symmetric_solver(matrix, free)(vector)
    np.testing.assert_allclose(found, expected @ vector.numpy(), atol=1e-9)
