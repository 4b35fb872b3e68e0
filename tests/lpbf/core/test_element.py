import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import spsolve

from lpbf import HexMesh
from lpbf.core.element import NODES, brick, isotropic_elasticity

SPACING = (1.0, 1.3, 0.7)
ELASTICITY = isotropic_elasticity(200_000.0, 0.3)


def assemble(mesh, stiffness):
    dofs = (3 * mesh.cells[:, :, None] + np.arange(3)).reshape(-1, 24)
    rows, columns = np.repeat(dofs, 24, axis=1), np.tile(dofs, 24)
    values = np.tile(stiffness.ravel(), len(dofs))
    size = 3 * mesh.num_nodes
    return sparse.csr_matrix((values, (rows.ravel(), columns.ravel())), shape=(size, size))


def test_isotropic_elasticity_against_uniaxial_and_shear_stress():
    uniaxial = ELASTICITY @ [1e-3, -0.3e-3, -0.3e-3, 0, 0, 0]
    np.testing.assert_allclose(uniaxial, [200, 0, 0, 0, 0, 0], atol=1e-9)
    shear = ELASTICITY @ [0, 0, 0, 1e-3, 0, 0]
    np.testing.assert_allclose(shear, [0, 0, 0, 200 / 2.6, 0, 0], atol=1e-9)


@pytest.mark.parametrize("incompatible_modes", [True, False])
def test_null_space_is_the_six_rigid_body_modes(incompatible_modes):
    element = brick(SPACING, ELASTICITY, incompatible_modes=incompatible_modes)
    values = np.linalg.eigvalsh(element.stiffness)
    assert (np.abs(values[:6]) < 1e-9 * values[-1]).all()
    assert values[6] > 1e-4 * values[-1]
    x, y, z = (NODES * np.array(SPACING) / 2).T
    rotation = np.stack([-y, x, 0 * z], axis=1).ravel()
    np.testing.assert_allclose(element.stiffness @ rotation, 0, atol=1e-9 * values[-1])


@pytest.mark.parametrize("incompatible_modes", [True, False])
def test_patch(incompatible_modes):
    """A linear displacement is in equilibrium inside any mesh, with its exact stress."""
    rng = np.random.default_rng(0)
    mask = rng.random((4, 5, 4)) < 0.8
    mask[1:3, 1:4, 1:3] = True
    mesh = HexMesh.from_mask(mask, SPACING)
    element = brick(mesh.spacing, ELASTICITY, incompatible_modes=incompatible_modes)
    gradient = rng.normal(size=(3, 3)) * 1e-3
    displacement = mesh.points @ gradient.T
    force = (assemble(mesh, element.stiffness) @ displacement.ravel()).reshape(-1, 3)
    interior = np.bincount(mesh.cells.ravel()) == 8
    assert interior.any()
    scale = np.abs(force).max()
    assert np.abs(force[interior]).max() < 1e-10 * scale

    e = (gradient + gradient.T) / 2
    strain = np.array([e[0, 0], e[1, 1], e[2, 2], 2 * e[0, 1], 2 * e[1, 2], 2 * e[0, 2]])
    cells = displacement[mesh.cells].reshape(-1, 24) @ element.strain.T
    np.testing.assert_allclose(cells, np.broadcast_to(strain, cells.shape), atol=1e-15)


def test_load_of_an_inherent_strain():
    """A free brick takes on a uniform inherent strain without stress."""
    element = brick(SPACING, ELASTICITY)
    strain = np.array([1, -2, 3, 4, -5, 6]) * 1e-4
    u = np.linalg.lstsq(element.stiffness, element.load @ strain, rcond=None)[0]
    np.testing.assert_allclose(element.strain @ u, strain, atol=1e-15)


def tip_deflection(incompatible_modes):
    """A cantilever along x, one element through its thickness z, with a transverse tip load."""
    mesh = HexMesh.from_mask(np.ones((20, 2, 1)), (2.0, 1.0, 1.0))
    element = brick(mesh.spacing, ELASTICITY, incompatible_modes=incompatible_modes)
    stiffness = assemble(mesh, element.stiffness)
    x = mesh.points[:, 0]
    free = np.repeat(x > 0, 3)
    force = np.zeros((mesh.num_nodes, 3))
    tip = x == x.max()
    force[tip, 2] = 1.0 / tip.sum()
    u = np.zeros(3 * mesh.num_nodes)
    u[free] = spsolve(stiffness[free][:, free], force.ravel()[free])
    return u.reshape(-1, 3)[tip, 2].mean()


def test_thin_cantilever_agrees_with_beam_theory():
    length, width, height = 40.0, 2.0, 1.0
    beam = length**3 / (3 * 200_000.0 * width * height**3 / 12)
    assert tip_deflection(True) == pytest.approx(beam, rel=0.02)
    # The plain brick locks.
    assert tip_deflection(False) < 0.7 * beam
