"""Conduction through supports: closed form of a column, dense limit, energy balance."""

import dataclasses

import numpy as np
import pytest
import torch

from lpbf import HexMesh, Process
from lpbf.core.heat import Heat
from lpbf.core.supports import Supports
from lpbf.heat.enthalpy import Enthalpy
from lpbf.heat.simulate_heat import simulate_heat


def supports_of(fraction):
    supports = Supports()
    object.__setattr__(supports, "volume_fraction", fraction)  # 1 is outside its range
    return supports


@pytest.fixture(scope="module")
def hook(table):
    """A part with supports below a part of its overhang."""
    voxels = np.zeros_like(table.mask)
    voxels[2:4, 1:, :4] = True
    return table.with_voxels(table.mask, voxels)


def test_solid_supports_are_a_part_of_the_part(hook, alloy):
    heat = Heat(plate_coefficient=900.0, time_steps=4, dwell_time=20.0, plate_heat_capacity=5.0)
    process = Process(material=alloy, layer_height=1.4, heat=heat, supports=supports_of(1.0))
    solid = HexMesh.from_mask(hook.mask | hook.supports, hook.spacing)
    expected = simulate_heat(solid, dataclasses.replace(process, supports=None))
    found = simulate_heat(hook, process)
    torch.testing.assert_close(found.temperature, expected.temperature, rtol=0, atol=1e-9)
    assert found.plate_after_layer == pytest.approx(expected.plate_after_layer, abs=1e-9)
    # The mean of a layer is that of the part's cells alone.
    newest = solid.cell_index[:, 2] >= 4
    assert (~hook.supports[tuple(solid.cell_index[newest].T)]).all()
    top = expected.after_layer[2][newest]
    assert float(found.interlayer[2]) == pytest.approx(float(top.mean()), abs=1e-9)
    first = solid.cell_index[:, 2] < 2
    own = ~hook.supports[tuple(solid.cell_index[first].T)]
    mean = expected.after_layer[0][own].mean()
    assert float(found.interlayer[0]) == pytest.approx(float(mean), abs=1e-9)


def test_steady_heat_through_a_column_of_supports(linear):
    """Plate film, supports, part and gas film in series; the walls are a fifth of each section."""
    fraction, film, gas, k = 0.2, 5000.0, 800.0, 10.0
    mask = np.zeros((2, 1, 8), dtype=bool)
    mask[:, :, 5:] = True
    mesh = HexMesh.from_mask(mask, (1.0, 1.5, 0.5), supports=~mask)
    heat = Heat(
        plate_coefficient=film, gas_coefficient=gas, powder_coefficient=0.0, preheat=200.0,
        gas_temperature=1000.0, dwell_time=1e6, time_steps=4, growth=4.0,
    )  # fmt: skip
    process = Process(material=linear, layer_height=4.0, heat=heat, supports=supports_of(fraction))
    found = simulate_heat(mesh, process).temperature.reshape(8, 2).numpy()
    resistance = [1 / (fraction * film), 2.5e-3 / (fraction * k), 1.5e-3 / k, 1 / gas]
    flux = 800.0 / sum(resistance)
    z = (np.arange(8) + 0.5) * 0.5e-3
    lower = 200 + flux * (resistance[0] + np.minimum(z, 2.5e-3) / (fraction * k))
    expected = lower + flux * np.maximum(z - 2.5e-3, 0) / k
    np.testing.assert_allclose(found, np.stack([expected] * 2, axis=1), atol=1e-3)


def test_energy_of_part_supports_and_plate(hook, alloy):
    capacity, loss = 6.0, 0.01
    heat = Heat(time_steps=5, dwell_time=15.0, plate_heat_capacity=capacity, plate_loss=loss)
    process = Process(material=alloy, layer_height=4.2, heat=heat, supports=supports_of(0.2))
    result = simulate_heat(hook, process)
    assert result.balance_error < 1e-6
    whole = HexMesh.from_mask(hook.mask | hook.supports, hook.spacing)
    fraction = np.where(hook.supports[tuple(whole.cell_index.T)], 0.2, 1.0)
    volume = torch.from_numpy(fraction * np.prod(hook.spacing) * 1e-9)
    enthalpy = Enthalpy(alloy)
    start = torch.full_like(result.temperature, alloy.liquidus)
    change = (enthalpy(result.temperature)[0] - enthalpy(start)[0]) @ volume
    lost = np.sum([step.heat_lost for step in result.steps], axis=0)
    assert float(change) == pytest.approx(-lost.sum(), rel=1e-5)
    times = np.diff([0.0, *(step.time for step in result.steps)])
    assert times == pytest.approx(heat.steps(15.0))
    # The plate keeps the heat of the part but for the loss, which is small here.
    rise = result.plate_temperature - heat.preheat
    assert lost[0] - loss * 15.0 * rise < capacity * rise < lost[0]
