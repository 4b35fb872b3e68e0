"""Bending of a wall of one element through its thickness, against beam theory."""

import numpy as np
import pytest

from lpbf import HexMesh

LENGTH, WIDTH, THICKNESS = 40.0, 2.0, 1.0


def tip_deflection(finished, incompatible_modes):
    """Tip deflection of an upright wall, clamped at its bottom, under a transverse force."""
    mesh = HexMesh.from_mask(np.ones((1, 2, 20)), (THICKNESS, WIDTH / 2, LENGTH / 20))
    part = finished(mesh, tolerance=1e-9, incompatible_modes=incompatible_modes)
    top = np.isclose(mesh.points[:, 2], LENGTH)
    force = np.zeros((mesh.num_nodes, 3))
    force[top, 0] = 1.0 / top.sum()
    return part.solve(force)[top, 0].mean()


def test_deflection_of_the_tip(finished):
    beam = LENGTH**3 / (3 * 200_000.0 * WIDTH * THICKNESS**3 / 12)
    assert tip_deflection(finished, True) == pytest.approx(beam, rel=0.02)
    # Without the incompatible modes it locks, so this test can fail.
    assert tip_deflection(finished, False) < 0.7 * beam
