"""Stresses recovered at the nodes."""

import numpy as np

from lpbf import HexMesh, Material, Process, simulate

STEEL = Material("steel", youngs_modulus=200_000.0, poisson_ratio=0.3)


def test_stress_in_a_wide_layer_is_equibiaxial(mean_at_nodes):
    """Far from its edge a thin clamped plate cannot shrink: -E / (1 - nu) strain in its plane."""
    mesh = HexMesh.from_mask(np.ones((24, 24, 1)), (1.0, 1.0, 0.5))
    result = simulate(mesh, Process(material=STEEL, inherent_strain=(-0.001, -0.001, -0.003)))
    middle = np.isclose(np.abs(mesh.points[:, :2] - 12.0).max(axis=1), 0.0)
    assert middle.sum() == 2
    expected = [200_000.0 / 0.7 * 0.001] * 2 + [0.0] * 4
    np.testing.assert_allclose(result.stress[middle], [expected] * 2, atol=1e-3 * expected[0])
    np.testing.assert_allclose(result.von_mises[middle], expected[0], rtol=1e-3)


def test_rotated_strain_gives_rotated_stress():
    """In the middle of a wide layer, with an anisotropic strain that the scan rotates."""
    mesh = HexMesh.from_mask(np.ones((24, 24, 1)), (1.0, 1.0, 0.5))
    middle = np.isclose(np.abs(mesh.points[:, :2] - 12.0).max(axis=1), 0.0)
    strain = (-0.002, -0.001, 0.0)
    process = Process(material=STEEL, inherent_strain=strain, scan_angle=30.0)
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    rotation = np.array([[c, -s], [s, c]])
    e = rotation @ np.diag(strain[:2]) @ rotation.T
    plane = (
        -200_000.0
        / (1 - 0.3**2)
        * np.array([e[0, 0] + 0.3 * e[1, 1], e[1, 1] + 0.3 * e[0, 0], 0.7 * e[0, 1]])
    )
    found = simulate(mesh, process).stress[middle]
    np.testing.assert_allclose(found[:, [0, 1, 3]], [plane] * 2, atol=2e-3 * plane[0])
    np.testing.assert_allclose(found[:, [2, 4, 5]], 0, atol=2e-3 * plane[0])
