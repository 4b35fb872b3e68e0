"""Partition of unity of shape functions, quadrature weights and loads."""

import numpy as np
import pytest

from lpbf import HexMesh
from lpbf.core.element import NODES, brick, isotropic_elasticity

SPACING = (1.0, 1.3, 0.7)
ELASTICITY = isotropic_elasticity(200_000.0, 0.3)


@pytest.mark.parametrize("incompatible_modes", [True, False])
def test_shape_functions(incompatible_modes):
    """Their sum is one, so its gradient is zero, and they reproduce x, y and z."""
    element = brick(SPACING, ELASTICITY, incompatible_modes=incompatible_modes)
    strain = element.gauss_strain[:, :, :24]
    ones = np.tile(np.eye(3), (8, 1))
    np.testing.assert_allclose(strain @ ones, 0, atol=1e-14)
    np.testing.assert_allclose(element.stiffness @ ones, 0, atol=1e-10 * element.stiffness.max())
    coordinates = np.zeros((24, 3))
    for axis in range(3):
        coordinates[axis::3, axis] = NODES[:, axis] * SPACING[axis] / 2
    expected = np.broadcast_to(np.eye(6)[:, :3], (8, 6, 3))
    np.testing.assert_allclose(strain @ coordinates, expected, atol=1e-14)


def test_gauss_points_share_the_volume():
    element = brick(SPACING, ELASTICITY)
    assert 8 * element.gauss_weight == pytest.approx(np.prod(SPACING), rel=1e-14)
    # The mean strain of the incompatible modes is zero.
    np.testing.assert_allclose(element.gauss_strain[:, :, 24:].sum(axis=0), 0, atol=1e-13)


def test_loads_have_no_resultant(finished):
    """The loads of an inherent strain have no resultant force and no moment."""
    mesh = HexMesh.from_mask(np.ones((3, 4, 2)), SPACING, origin=(5.0, -2.0, 0.0))
    part = finished(mesh)
    load = part.load_of(np.random.default_rng(0).normal(size=(mesh.num_cells, 6)) * 1e-3)
    scale = np.abs(load).sum()
    np.testing.assert_allclose(load.sum(axis=0), 0, atol=1e-13 * scale)
    moment = np.cross(mesh.points, load).sum(axis=0)
    np.testing.assert_allclose(moment, 0, atol=1e-12 * scale)
