import numpy as np
import pytest
import torch

from lpbf import Material
from lpbf.core.table import Table
from lpbf.mechanics.thermal_expansion import ThermalExpansion


def test_strain_by_the_mean_coefficient_of_the_temperature():
    table = Table((25, 425, 825), (10e-6, 12e-6, 16e-6))
    expansion = ThermalExpansion(Material("x", 1e5, 0.3, thermal_expansion=table))
    temperature = torch.tensor([-75.0, 25.0, 225.0, 425.0, 1025.0], dtype=torch.float64)
    expected = [-1000e-6, 0.0, 2200e-6, 4800e-6, 16000e-6]
    np.testing.assert_allclose(expansion(temperature), expected, atol=1e-18)


def test_a_material_without_expansion_is_refused():
    with pytest.raises(ValueError, match="Material 'x': expected thermal_expansion"):
        ThermalExpansion(Material("x", 1e5, 0.3))
