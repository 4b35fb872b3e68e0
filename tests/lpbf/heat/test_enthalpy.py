import dataclasses

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from lpbf.heat.enthalpy import Enthalpy


def test_enthalpy_is_the_integral_of_the_heat_capacity(alloy):
    enthalpy = Enthalpy(alloy)
    low = -50.0

    def capacity(temperature):
        melting = 1604 <= temperature < 1650
        return alloy.density * (alloy.specific_heat(temperature) + melting * 286e3 / 46)

    kinks = [20, 900, 1000, 1604, 1650, 1700]
    temperatures = [-50, 0, 20, 300, 900, 950, 1000, 1300, 1604, 1620, 1650, 1690, 1700, 2500]
    value, slope = enthalpy(torch.tensor([low, *temperatures], dtype=torch.float64))
    for temperature, found, rate in zip(temperatures, value[1:], slope[1:], strict=True):
        inside = [kink for kink in kinks if low < kink < temperature]
        expected = quad(capacity, low, temperature, points=inside or None, limit=200)[0]
        assert float(found - value[0]) == pytest.approx(expected, rel=1e-12, abs=1e-6)
        assert float(rate) == pytest.approx(capacity(temperature), rel=1e-12)


def test_constant_heat_capacity(linear):
    value, slope = Enthalpy(linear)(torch.tensor([0.0, 25.0, 1625.0], dtype=torch.float64))
    np.testing.assert_allclose(np.diff(value), [2e6 * 25, 2e6 * 1600], rtol=1e-14)
    assert (slope == 2e6).all()


def test_no_step_crosses_the_melting_range(alloy):
    enthalpy = Enthalpy(alloy)
    start = torch.tensor([1700.0, 1500, 1620, 1700, 1500, 1000], dtype=torch.float64)
    end = torch.tensor([1500.0, 1700, 1500, 1610, 1640, 1100], dtype=torch.float64)
    expected = [1627.0, 1627, 1500, 1610, 1640, 1100]
    assert enthalpy.stop_at_melting(start, end).tolist() == expected


def test_missing_and_invalid_material_properties(alloy, linear):
    for name in ("density", "specific_heat", "latent_heat"):
        lacking = dataclasses.replace(linear, **{name: None})
        with pytest.raises(ValueError, match=f"'linear'.*{name}"):
            Enthalpy(lacking)
    with pytest.raises(ValueError, match="'alloy'.*widen the melting range"):
        Enthalpy(dataclasses.replace(alloy, solidus=1650.0))
