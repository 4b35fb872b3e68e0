import numpy as np
import pytest

from flare_mesh.mesh.layered_shrinkage import count_operations, layered_shrinkage


def test_columns_of_one_cell():
    edges = (2.0, 3.0, 1.0)
    tall = layered_shrinkage(np.ones((1, 1, 4)), edges)
    # The response to the own layer does not know the layers above it.
    for layers in (1, 2, 3):
        low = layered_shrinkage(np.ones((1, 1, layers)), edges)
        np.testing.assert_allclose(tall.own[:, :, : layers + 1], low.own, atol=1e-12)
    # A uniform density is a factor of stiffness and force.
    thin = layered_shrinkage(np.full((1, 1, 4), 0.25), edges)
    np.testing.assert_allclose(thin.total, tall.total, rtol=1e-4, atol=1e-7)
    # It is narrower everywhere but on the plate, and its top is lower.
    assert (tall.total[..., 0, :] == 0).all()
    assert (tall.total[0, :, 1:, 0] > 0.1).all()
    assert (tall.total[1, :, 1:, 0] < -0.1).all()
    assert (tall.total[:, :, -1, 2] < -0.5).all()


def test_a_cell_that_nothing_holds():
    density = np.zeros((3, 1, 2))
    density[0], density[2, 0, 1] = 1.0, 1.0
    found = layered_shrinkage(density, (1.0, 1.0, 1.0))
    assert np.isfinite(found.total).all()
    alone = layered_shrinkage(density[:1], (1.0, 1.0, 1.0))
    np.testing.assert_allclose(found.total[:2], alone.total, atol=1e-9)
    # It shrinks by the strain about its own middle.
    corner = found.total[3, 1, 2] - found.total[2, 0, 1]
    np.testing.assert_allclose(corner, -1.0, rtol=1e-3)
    assert count_operations(density) == pytest.approx(3 * (24**3 + 24**3))
