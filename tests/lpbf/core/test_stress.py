import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lpbf.core.stress import principal_stress, von_mises


def test_von_mises_closed_forms():
    np.testing.assert_allclose(von_mises(np.array([3.0, 0, 0, 0, 0, 0])), 3.0)
    np.testing.assert_allclose(von_mises(np.array([5.0, 5, 5, 0, 0, 0])), 0.0)
    np.testing.assert_allclose(von_mises(np.array([0.0, 0, 0, 2, 0, 0])), 2 * np.sqrt(3))


def test_principal_stress_closed_forms():
    cases = {
        (3.0, -1.0, 2.0, 0, 0, 0): (3, 2, -1),
        (0, 0, 0, 2.0, 0, 0): (2, 0, -2),
        (0, 0, 0, 0, 2.0, 0): (2, 0, -2),
        (0, 0, 0, 0, 0, 2.0): (2, 0, -2),
        # Mohr's circle in the plane of x and y: centre 4, radius sqrt(3^2 + 4^2).
        (7.0, 1.0, 0, 4.0, 0, 0): (9, 0, -1),
        (0, 7.0, 1.0, 0, 4.0, 0): (9, 0, -1),
        (7.0, 0, 1.0, 0, 0, 4.0): (9, 0, -1),
        # Ones off the diagonal: the eigenvector (1, 1, 1) has the eigenvalue 2.
        (0, 0, 0, 1.0, 1.0, 1.0): (2, -1, -1),
    }
    got = principal_stress(np.array(list(cases), dtype=float))
    np.testing.assert_allclose(got, np.array(list(cases.values())), atol=1e-14)


# To the micropascal: LAPACK squares the elements, and loses 1e-9 where that underflows.
MEGAPASCALS = st.floats(-1e3, 1e3).map(lambda value: round(value, 12))


@given(arrays(np.float64, (5, 6), elements=MEGAPASCALS))
def test_principal_stresses_have_the_invariants_of_the_tensor(stress):
    largest, middle, least = principal = np.moveaxis(principal_stress(stress), -1, 0)
    assert (largest >= middle).all()
    assert (middle >= least).all()
    np.testing.assert_allclose(principal.sum(0), stress[:, :3].sum(1), atol=1e-9)
    squares = (stress[:, :3] ** 2).sum(1) + 2 * (stress[:, 3:] ** 2).sum(1)
    np.testing.assert_allclose((principal**2).sum(0), squares, rtol=1e-9, atol=1e-9)
    sheared = np.concatenate([principal.T, np.zeros((5, 3))], axis=1)
    np.testing.assert_allclose(von_mises(sheared), von_mises(stress), atol=1e-6)
