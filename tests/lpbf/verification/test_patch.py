"""Linear displacements are in equilibrium on any part, in the matrix-free operator."""

import numpy as np
import pytest

from lpbf import HexMesh, Material

SPACING = (1.0, 1.3, 0.7)


def ragged():
    """A part with holes, overhangs and inner nodes, without unsupported voxels."""
    mask = np.random.default_rng(0).random((5, 6, 5)) < 0.75
    mask[:, :, 0] = True
    mask[1:4, 1:5, :] = True
    mask[2, 2, 1:3] = False
    mask[:, :, 1:] &= mask[:, :, :1]
    return mask


@pytest.fixture(params=[True, False], ids=["modes", "plain"])
def part(finished, request):
    from lpbf.core.islands import find_unsupported

    unsupported, _ = find_unsupported(HexMesh.from_mask(ragged(), SPACING))
    mesh = HexMesh.from_mask(ragged() & ~unsupported, SPACING)
    return finished(mesh, incompatible_modes=request.param)


def linear(mesh, seed):
    gradient = np.random.default_rng(seed).normal(size=(3, 3)) * 1e-3
    e = (gradient + gradient.T) / 2
    strain = np.array([e[0, 0], e[1, 1], e[2, 2], 2 * e[0, 1], 2 * e[1, 2], 2 * e[0, 2]])
    return mesh.points @ gradient.T, strain


@pytest.mark.parametrize("seed", [1, 2])
def test_uniform_strain_causes_no_forces_at_inner_nodes(part, seed):
    displacement, _ = linear(part.mesh, seed)
    force = part.apply(displacement)
    inner = np.bincount(part.mesh.cells.ravel()) == 8
    assert inner.sum() > 5
    assert np.abs(force[inner]).max() < 1e-10 * np.abs(force).max()


def test_eigenstrain_balances_the_same_strain_everywhere(part):
    """A part with the displacement of its eigenstrain is force-free, also on its surface."""
    displacement, strain = linear(part.mesh, 3)
    load = part.load_of(np.tile(strain, (part.mesh.num_cells, 1)))
    np.testing.assert_allclose(part.apply(displacement), load, atol=1e-10 * np.abs(load).max())


def test_gauss_points_have_the_strain_and_incompatible_modes_are_zero(part):
    brick = part.build.brick
    displacement, strain = linear(part.mesh, 4)
    nodal = displacement[part.mesh.cells].reshape(-1, 24)
    points = np.einsum("gij,ej->egi", brick.gauss_strain[:, :, :24], nodal)
    np.testing.assert_allclose(points, np.broadcast_to(strain, points.shape), atol=1e-14)
    stress = brick.elasticity @ strain
    pull = np.einsum("gia,i->a", brick.gauss_strain[:, :, 24:], stress)
    np.testing.assert_allclose(pull, 0, atol=1e-12 * np.abs(stress).max())


def test_a_column_under_tension_follows_hooke(finished):
    """With a Poisson's ratio of zero the clamp has no effect."""
    material = Material("cork", youngs_modulus=1_000.0, poisson_ratio=0.0)
    mask = np.ones((3, 3, 4))
    mask[1, 1] = 0  # a tube
    mesh = HexMesh.from_mask(mask, SPACING)
    part = finished(mesh, material=material)
    height = mesh.points[:, 2].max()
    traction, cells = 5.0, mesh.cells[mesh.cell_index[:, 2] == 3]
    force = np.zeros((mesh.num_nodes, 3))
    np.add.at(force[:, 2], cells[:, 4:].ravel(), traction * SPACING[0] * SPACING[1] / 4)
    u = part.solve(force)
    expected = np.zeros_like(u)
    expected[:, 2] = traction / 1_000.0 * mesh.points[:, 2]
    np.testing.assert_allclose(u, expected, atol=1e-9 * traction / 1_000.0 * height)
