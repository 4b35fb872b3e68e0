import numpy as np
import pytest

from lpbf.core.element import isotropic_elasticity
from lpbf.core.wall_grid import wall_grid_elasticity
from lpbf.mechanics.isotropic_mapping import IsotropicMapping


def von_mises(s):
    xx, yy, zz, xy, yz, xz = s
    normal = (xx - yy) ** 2 + (yy - zz) ** 2 + (zz - xx) ** 2
    return np.sqrt(normal / 2 + 3 * (xy**2 + yz**2 + xz**2))


def test_stiffness_and_strength():
    target = wall_grid_elasticity(2e5, 0.3, 0.2) / 0.2
    mapping = IsotropicMapping.between(isotropic_elasticity(2e5, 0.3), target)
    stiffness = mapping.strain.T @ mapping.elasticity @ mapping.strain
    np.testing.assert_allclose(stiffness, target, atol=1e-9 * target.max())
    # Tension of 100 MPa along z has an equivalent stress of 100 MPa.
    tension = np.linalg.solve(mapping.strain.T, [0, 0, 100.0, 0, 0, 0])
    assert von_mises(tension) == pytest.approx(100)
    # The isotropic material's shape: equal normal and shear moduli as in an isotropic body.
    d = mapping.elasticity
    assert d[0, 0] - d[0, 1] == pytest.approx(2 * d[3, 3])


def test_an_isotropic_material_is_mapped_to_itself():
    elasticity = isotropic_elasticity(7e4, 0.33)
    mapping = IsotropicMapping.between(elasticity, 0.25 * elasticity)
    np.testing.assert_allclose(
        mapping.strain.T @ mapping.elasticity @ mapping.strain, 0.25 * elasticity, atol=1e-6
    )
    np.testing.assert_allclose(mapping.strain, np.eye(6), atol=1e-12)
    np.testing.assert_allclose(mapping.elasticity, 0.25 * elasticity, atol=1e-6)
