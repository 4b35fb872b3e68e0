"""A material point against closed forms and an independent integration of the rate equations."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from lpbf.core.element import isotropic_elasticity
from lpbf.core.result import von_mises
from lpbf.mechanics.plastic_hardening import Hardening
from lpbf.mechanics.return_mapping import (
    ReturnedState,
    deviatoric_projection,
    return_mapping,
    von_mises_stress,
)

E, NU, Y = 200_000.0, 0.3, 250.0
G = E / (2 * (1 + NU))
ELASTICITY = torch.from_numpy(isotropic_elasticity(E, NU))
LINEAR, VOCE, PERFECT = Hardening(1500.0), Hardening(800.0, 120.0, 40.0), Hardening()
HARDENINGS = pytest.mark.parametrize("hardening", [LINEAR, VOCE, PERFECT])


def point(trial, hardening, plastic=0.0, yield_stress=Y) -> ReturnedState:
    trial = torch.as_tensor(np.asarray(trial), dtype=torch.float64)
    p = torch.full(trial.shape[1:], plastic, dtype=torch.float64)
    return return_mapping(trial, p, torch.full_like(p, yield_stress), hardening, G)


def flow_stress(hardening, p):
    rest = 1 - np.exp(-hardening.saturation_rate * p)
    return Y + hardening.modulus * p + hardening.saturation_stress * rest


def drive(strains, hardening):
    """Stress and equivalent plastic strain after each of the given total strains [n, 6]."""
    stress, p, last, out = torch.zeros(6, dtype=torch.float64), 0.0, np.zeros(6), []
    for strain in strains:
        trial = stress + ELASTICITY @ torch.from_numpy(strain - last)
        returned = point(trial, hardening, p)
        stress, p, last = returned.stress, p + float(returned.plastic), strain
        out.append((stress.numpy(), p))
    return out


@HARDENINGS
def test_uniaxial_stress_in_closed_form(hardening):
    for total in (0.5e-3, 2e-3, 0.02, 0.1):
        if total < Y / E:
            p = 0.0
        else:
            p = brentq(lambda p, e=total: flow_stress(hardening, p) / E + p - e, 0, total)
        axial = total * E if p == 0.0 else flow_stress(hardening, p)
        lateral = -NU * axial / E - p / 2
        stress, plastic = drive([np.array([total, lateral, lateral, 0, 0, 0])], hardening)[0]
        np.testing.assert_allclose(stress, [axial, 0, 0, 0, 0, 0], atol=1e-8)
        assert plastic == pytest.approx(p, abs=1e-13)


@HARDENINGS
@pytest.mark.parametrize("component", [3, 4, 5])
def test_simple_shear_in_closed_form(hardening, component):
    total = 0.03
    p = brentq(
        lambda p: flow_stress(hardening, p) / np.sqrt(3) / G + np.sqrt(3) * p - total, 0, total
    )
    strain, expected = np.zeros(6), np.zeros(6)
    strain[component], expected[component] = total, flow_stress(hardening, p) / np.sqrt(3)
    stress, plastic = drive([strain / 3, strain], hardening)[-1]
    np.testing.assert_allclose(stress, expected, atol=1e-9)
    assert plastic == pytest.approx(p, abs=1e-13)


def rate_equations(hardening, path, duration):
    """Stress after a path of strain rates, from the flow rule with 3 x 3 tensors."""
    lame = E * NU / ((1 + NU) * (1 - 2 * NU))

    def rate(t, state):
        stress, p = state[:9].reshape(3, 3), state[9]
        strain = path(t)
        elastic = lame * np.trace(strain) * np.eye(3) + 2 * G * strain
        s = stress - np.trace(stress) / 3 * np.eye(3)
        q = np.sqrt(1.5 * (s * s).sum())
        normal = 1.5 * s / q
        factor = hardening.saturation_stress * hardening.saturation_rate
        slope = hardening.modulus + factor * np.exp(-hardening.saturation_rate * p)
        # q stays at the flow stress: normal : (elastic - 2 G dp normal) = slope dp.
        dp = max((normal * elastic).sum() / (3 * G + slope), 0.0)
        return np.append((elastic - 2 * G * dp * normal).ravel(), dp)

    start = np.zeros((3, 3))
    start[0, 0] = Y  # just yielding in tension
    solved = solve_ivp(rate, (0, duration), np.append(start, 0.0), rtol=1e-10, atol=1e-10)
    return solved.y[:9, -1].reshape(3, 3), solved.y[9, -1]


@pytest.mark.parametrize("hardening", [LINEAR, VOCE])
def test_a_path_with_a_corner_converges_to_the_rate_equations(hardening):
    def path(t):
        rate = np.diag([0.02 * np.cos(t), -0.01, 0.002])
        rate[0, 1] = rate[1, 0] = 0.02 * np.sin(t)
        rate[1, 2] = rate[2, 1] = 0.005 * t
        return rate

    duration = 1.5
    exact, plastic = rate_equations(hardening, path, duration)
    exact = exact[[0, 1, 2, 0, 1, 0], [0, 1, 2, 1, 2, 2]]

    def error(steps):
        times = np.linspace(0, duration, 40 * steps + 1)
        middle = (times[1:] + times[:-1]) / 2
        rates = np.array(
            [path(t)[[0, 1, 2, 0, 1, 0], [0, 1, 2, 1, 2, 2]] * [1, 1, 1, 2, 2, 2] for t in middle]
        )
        strain = np.cumsum((rates * np.diff(times)[:, None]).reshape(steps, 40, 6).sum(1), axis=0)
        first = np.array([Y / E, -NU * Y / E, -NU * Y / E, 0, 0, 0])
        stress, p = drive([first, *(first + strain)], hardening)[-1]
        assert p == pytest.approx(plastic, rel=1 / steps)
        return np.abs(stress - exact).max()

    coarse, fine = error(40), error(160)
    assert fine < 5e-3 * Y
    assert coarse / fine == pytest.approx(4, rel=0.2)  # first order


@HARDENINGS
def test_tangent_is_the_derivative_of_the_stress(hardening):
    strain = torch.from_numpy(np.random.default_rng(0).normal(size=(6, 50)) * 3e-3)
    strain[:, ::10] *= 0.1
    returned = point(ELASTICITY @ strain, hardening, plastic=1e-3)
    assert (returned.plastic > 0).sum() > 40
    assert (returned.plastic == 0).any()
    tangent = (
        ELASTICITY[:, :, None]
        + returned.isotropic * deviatoric_projection()[:, :, None]
        + returned.directed * returned.direction[:, None] * returned.direction[None, :]
    )
    step = 1e-7
    for i in range(6):
        change = torch.zeros(6, 1, dtype=torch.float64)
        change[i] = step
        up = point(ELASTICITY @ (strain + change), hardening, plastic=1e-3).stress
        down = point(ELASTICITY @ (strain - change), hardening, plastic=1e-3).stress
        np.testing.assert_allclose((up - down) / (2 * step), tangent[:, i], atol=1e-6 * E)


def test_elastic_below_the_yield_stress():
    trial = torch.tensor([200.0, 0, 0, 30.0, 20.0, -10.0], dtype=torch.float64)
    returned = point(trial, LINEAR)
    assert torch.equal(returned.stress, trial)
    for change in (returned.plastic, returned.isotropic, returned.directed):
        assert float(change) == 0.0
    assert (returned.plastic_strain == 0).all()
    pressure = torch.tensor([1e5, 1e5, 1e5, 0, 0, 0], dtype=torch.float64)
    assert torch.equal(point(pressure, PERFECT).stress, pressure)


STRESS = st.lists(st.floats(-5000, 5000), min_size=6, max_size=6)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(STRESS, st.sampled_from([LINEAR, VOCE, PERFECT]), st.floats(0, 0.2))
def test_plastic_flow_is_admissible(trial, hardening, plastic):
    """On the yield surface, at constant volume, with positive plastic work."""
    returned = point(trial, hardening, plastic)
    limit = flow_stress(hardening, plastic + float(returned.plastic))
    assert float(von_mises_stress(returned.stress)) <= limit * (1 + 1e-12)
    if returned.plastic > 0:
        assert float(von_mises_stress(returned.stress)) == pytest.approx(limit, rel=1e-12)
    strain = returned.plastic_strain
    assert abs(float(strain[:3].sum())) < 1e-15
    assert float(returned.stress @ strain) == pytest.approx(
        limit * float(returned.plastic), rel=1e-10, abs=1e-12
    )
    # The stress is that of the elastic part of the strain.
    elastic = torch.as_tensor(trial, dtype=torch.float64) - ELASTICITY @ strain
    np.testing.assert_allclose(returned.stress, elastic, atol=1e-9)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(STRESS, st.integers(0, 2**16))
def test_the_return_is_isotropic(trial, seed):
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    rows, columns = [0, 1, 2, 0, 1, 0], [0, 1, 2, 1, 2, 2]

    def rotate(stress):
        tensor = np.zeros((3, 3))
        tensor[rows, columns] = tensor[columns, rows] = stress
        return (rotation @ tensor @ rotation.T)[rows, columns]

    first, rotated = point(trial, VOCE), point(rotate(trial), VOCE)
    assert float(rotated.plastic) == pytest.approx(float(first.plastic), abs=1e-12)
    np.testing.assert_allclose(rotated.stress, rotate(first.stress.numpy()), atol=1e-8)


def test_equivalent_stress_agrees_with_that_of_the_result():
    stress = np.random.default_rng(0).normal(size=(20, 6))
    mine = von_mises_stress(torch.from_numpy(stress.T.copy()))
    np.testing.assert_allclose(mine, von_mises(stress), rtol=1e-14)
