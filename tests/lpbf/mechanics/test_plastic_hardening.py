import numpy as np
import pytest
import torch

from lpbf import Material
from lpbf.core.table import Table
from lpbf.mechanics.plastic_hardening import Hardening, initial_yield_stress


@pytest.mark.parametrize("hardening", [Hardening(500.0), Hardening(100.0, 200.0, 30.0)])
def test_slope_is_the_derivative_of_the_stress(hardening):
    p = torch.linspace(0, 0.1, 11, dtype=torch.float64)
    step = 1e-6
    difference = (hardening.stress(p + step) - hardening.stress(p - step)) / (2 * step)
    np.testing.assert_allclose(hardening.slope(p), difference, rtol=1e-7)
    assert hardening.stress(p)[0] == 0


def test_voce_saturates():
    p = torch.tensor([1e-9, 1e6], dtype=torch.float64)
    stress = Hardening(0.0, 200.0, 30.0).stress(p)
    np.testing.assert_allclose(stress, [200 * 30e-9, 200], rtol=1e-7)


def test_hardening_of_a_material():
    material = Material(
        "steel", 2e5, 0.3, yield_stress=250.0, hardening_modulus=1.0, saturation_stress=2.0,
        saturation_rate=3.0,
    )  # fmt: skip
    assert Hardening.from_material(material, torch.zeros(2)) == Hardening(1.0, 2.0, 3.0)


def test_hardening_over_temperature():
    """Each cell has the hardening of its temperature, and so has a selection of cells."""
    material = Material(
        "steel", 2e5, 0.3, yield_stress=250.0, hardening_modulus=Table((0, 100), (1000.0, 500.0)),
        saturation_stress=Table((0, 200), (100.0, 0.0)), saturation_rate=3.0,
    )  # fmt: skip
    temperature = torch.tensor([-10.0, 50.0, 100.0, 900.0], dtype=torch.float64)
    hardening = Hardening.from_material(material, temperature)
    p = torch.full((8, 4), 0.02, dtype=torch.float64)
    saturating = 1 - np.exp(-0.06)
    expected = [20 + 100 * saturating, 15 + 75 * saturating, 10 + 50 * saturating, 10.0]
    np.testing.assert_allclose(hardening.stress(p), np.tile(expected, (8, 1)), rtol=1e-14)
    slope = [1000 + 300 * np.exp(-0.06), 750 + 225 * np.exp(-0.06), 500 + 150 * np.exp(-0.06), 500]
    np.testing.assert_allclose(hardening.slope(p), np.tile(slope, (8, 1)), rtol=1e-14)
    some = hardening.of_cells(torch.tensor([3, 1]))
    np.testing.assert_allclose(some.stress(p[:, :2])[0], [expected[3], expected[1]], rtol=1e-14)


def test_initial_yield_stress_is_the_material_table():
    table = Table((20.0, 200.0, 800.0), (900.0, 700.0, 100.0))
    material = Material("titanium", 1e5, 0.3, yield_stress=table)
    temperature = np.array([-50.0, 20.0, 21.0, 200.0, 650.0, 800.0, 2000.0])
    found = initial_yield_stress(material, torch.from_numpy(temperature))
    np.testing.assert_allclose(found, table(temperature), rtol=1e-14)
    constant = Material("steel", 2e5, 0.3, yield_stress=250.0)
    assert (initial_yield_stress(constant, torch.from_numpy(temperature)) == 250).all()


def test_a_material_without_yield_stress_is_refused():
    with pytest.raises(ValueError, match="Material 'rubber': expected yield_stress"):
        initial_yield_stress(Material("rubber", 1.0, 0.45), torch.zeros(1))
