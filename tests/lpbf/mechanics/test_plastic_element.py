import numpy as np
import pytest
import torch

from lpbf.core.element import NODES, brick, isotropic_elasticity
from lpbf.mechanics.plastic_element import PlasticElement
from lpbf.mechanics.plastic_hardening import Hardening

SPACING = (1.0, 1.3, 0.7)
ELASTICITY = isotropic_elasticity(200_000.0, 0.3)
COUNT = 12


def make(incompatible_modes=True):
    element = brick(SPACING, ELASTICITY, incompatible_modes=incompatible_modes)
    return element, PlasticElement(element)


def return_stress(element, hardening, u, eigenstrain=None, yield_stress=300.0):
    """Nodal forces [n, 24] and yielded state of bricks with displacements [n, 24]."""
    eigenstrain = (
        torch.zeros(len(u), 6, dtype=torch.float64) if eigenstrain is None else eigenstrain
    )
    trial = element.trial @ torch.cat([u, eigenstrain], 1).T
    zeros = torch.zeros(9, len(u), dtype=torch.float64)
    found = element.return_stress(
        trial, zeros[:8], torch.full_like(zeros[0], yield_stress), hardening,
        torch.arange(len(u)), zeros[: element.num_modes],
    )  # fmt: skip
    return found.returned.stress.flatten(0, 1).T @ element.force, found


def random_displacements(seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(COUNT, 24)) * 2e-3)


def uniform(gradient):
    return torch.from_numpy((NODES * np.array(SPACING) / 2) @ gradient.T).reshape(1, 24)


@pytest.mark.parametrize("incompatible_modes", [True, False])
def test_elastic_brick_without_yielding(incompatible_modes):
    linear, element = make(incompatible_modes)
    u = random_displacements()
    eigenstrain = torch.from_numpy(np.random.default_rng(1).normal(size=(COUNT, 6)) * 1e-3)
    force, found = return_stress(element, Hardening(), u, eigenstrain, yield_stress=1e9)
    expected = u.numpy() @ linear.stiffness - eigenstrain.numpy() @ linear.load.T
    np.testing.assert_allclose(force, expected, atol=1e-9 * np.abs(expected).max())
    assert (found.modes == 0).all()
    changes = torch.empty(COUNT, 24, 24, dtype=torch.float64)
    element.tangent_changes(found, changes)
    assert float(changes.abs().max()) < 1e-7 * linear.stiffness.max()


@pytest.mark.parametrize("hardening", [Hardening(1000.0), Hardening(500.0, 200.0, 30.0)])
@pytest.mark.parametrize("incompatible_modes", [True, False])
def test_tangent_is_the_derivative_of_the_nodal_forces(hardening, incompatible_modes):
    linear, element = make(incompatible_modes)
    u = random_displacements()
    _, found = return_stress(element, hardening, u)
    assert (found.returned.plastic > 0).double().mean() > 0.5
    changes = torch.empty(COUNT, 24, 24, dtype=torch.float64)
    element.tangent_changes(found, changes)
    np.testing.assert_allclose(changes, changes.transpose(1, 2), atol=1e-8 * 2e5)
    tangent = changes + torch.from_numpy(linear.stiffness)
    step = 1e-8

    def forces(u):
        return return_stress(element, hardening, u)[0]

    for dof in (0, 5, 13, 23):
        change = torch.zeros(24, dtype=torch.float64)
        change[dof] = step
        difference = (forces(u + change) - forces(u - change)) / (2 * step)
        np.testing.assert_allclose(difference, tangent[:, dof], atol=1e-6 * linear.stiffness.max())


@pytest.mark.parametrize("hardening", [Hardening(1000.0), Hardening(0.0, 200.0, 30.0), Hardening()])
@pytest.mark.parametrize("size", [1.0, 30.0])
def test_incompatible_modes_are_force_free(hardening, size):
    """Also far beyond the yield stress, where an undamped Newton iteration does not converge."""
    linear, element = make()
    _, found = return_stress(element, hardening, size * random_displacements())
    modes = torch.from_numpy(linear.gauss_strain[:, :, 24:])
    force = linear.gauss_weight * torch.einsum("gsm,sgn->nm", modes, found.returned.stress)
    assert float(force.abs().max()) < 1e-7  # of some 300 N mm
    assert float(found.modes.abs().max()) > 1e-5


def test_uniform_shear_without_hardening():
    """The tangent of the modes is singular, and they remain zero."""
    _, element = make()
    gradient = np.array([[0, 0.01, 0], [0, 0, 0], [0, 0, 0]])
    force, found = return_stress(element, Hardening(), uniform(gradient))
    assert (found.modes.abs() < 1e-12).all()
    expected = np.zeros(6)
    expected[3] = 300 / np.sqrt(3)
    stress = found.returned.stress[:, :, 0]
    np.testing.assert_allclose(stress, np.repeat(expected[:, None], 8, 1), atol=1e-8)
    np.testing.assert_allclose(force.reshape(8, 3).sum(0), 0, atol=1e-9)
    changes = torch.empty(1, 24, 24, dtype=torch.float64)
    element.tangent_changes(found, changes)
    assert torch.isfinite(changes).all()


def test_tangent_is_positive_definite_on_deformations():
    linear, element = make()
    _, found = return_stress(element, Hardening(100.0), 10 * random_displacements())
    changes = torch.empty(COUNT, 24, 24, dtype=torch.float64)
    element.tangent_changes(found, changes)
    values = torch.linalg.eigvalsh(changes + torch.from_numpy(linear.stiffness))
    assert float(values[:, 6].min()) > 0
    assert float(values[:, :6].abs().max()) < 1e-8 * float(values.max())
    assert float(torch.linalg.eigvalsh(changes).max()) < 1e-7 * float(values.max())
