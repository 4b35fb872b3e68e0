import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flare_mesh.datasets.generators.rivlin_saunders import RivlinSaunders, von_mises

RUBBER = RivlinSaunders(2.0, 0.7)
stretches = st.floats(0.6, 1.8)


def energy(right_cauchy):
    """W of the full tensor C, whose C33 keeps the volume."""
    c11, c22, c12 = right_cauchy
    full = np.array([[c11, c12, 0], [c12, c22, 0], [0, 0, 1 / (c11 * c22 - c12**2)]])
    first = np.trace(full)
    second = (first**2 - np.trace(full @ full)) / 2
    return 2.0 * (first - 3) + 0.7 * (second - 3)


def tensor(first, second, angle):
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    full = rotation @ np.diag([first**2, second**2]) @ rotation.T
    return np.array([full[0, 0], full[1, 1], full[0, 1]])


@given(stretches, stretches, st.floats(0, 3))
def test_the_stress_is_the_slope_of_the_energy(first, second, angle):
    right_cauchy = tensor(first, second, angle)
    slope = [
        (energy(right_cauchy + step) - energy(right_cauchy - step)) / 1e-5
        for step in np.eye(3) * 5e-6
    ]
    # C12 occurs twice in C; S = 2 dW/dC.
    expected = np.array([2, 2, 1]) * slope
    np.testing.assert_allclose(RUBBER.stress(right_cauchy), expected, rtol=1e-6, atol=1e-6)


@given(stretches, stretches, st.floats(0, 3))
def test_the_tangent_is_the_slope_of_the_stress(first, second, angle):
    right_cauchy = tensor(first, second, angle)
    # C = 1 + 2 E, and C12 = 2 E12.
    slopes = [
        RUBBER.stress(right_cauchy + 1e-20j * step).imag / 1e-20
        for step in np.diag([2.0, 2.0, 1.0])
    ]
    tangent = RUBBER.tangent(right_cauchy)
    np.testing.assert_allclose(tangent, np.stack(slopes, axis=-1), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(tangent, tangent.T, rtol=1e-12, atol=1e-12)


@given(st.floats(0.4, 3.0))
def test_uniaxial_tension_against_its_closed_form(stretch):
    right_cauchy = np.array([1 / stretch, stretch**2, 0])
    nominal = 2 * (stretch - stretch**-2) * (2.0 + 0.7 / stretch)
    expected = [0, nominal / stretch, 0]
    stress = RUBBER.stress(right_cauchy)
    np.testing.assert_allclose(stress, expected, atol=1e-12 * (1 + abs(nominal)))
    deformation = np.diag([stretch**-0.5, stretch])
    assert von_mises(deformation, stress) == pytest.approx(abs(nominal * stretch), abs=1e-12)


def test_small_strains_are_those_of_linear_elasticity():
    modulus, poisson = 6 * (2.0 + 0.7), 0.5
    plane = np.array([[1, poisson, 0], [poisson, 1, 0], [0, 0, (1 - poisson) / 2]])
    unstrained = np.array([1.0, 1.0, 0.0])
    np.testing.assert_allclose(
        RUBBER.tangent(unstrained), modulus / (1 - poisson**2) * plane, atol=1e-12
    )
    np.testing.assert_allclose(RUBBER.stress(unstrained), 0, atol=1e-14)


def test_von_mises_does_not_see_rotations():
    rng = np.random.default_rng(0)
    deformation = np.eye(2) + 0.3 * rng.standard_normal((5, 2, 2))
    stress = rng.standard_normal((5, 3))
    rotation = np.array([[0.6, -0.8], [0.8, 0.6]])
    np.testing.assert_allclose(
        von_mises(rotation @ deformation, stress), von_mises(deformation, stress), rtol=1e-12
    )
    shear = von_mises(np.eye(2), np.array([0.0, 0.0, 5.0]))
    assert shear == pytest.approx(5 * np.sqrt(3))
