import dataclasses

import numpy as np
import pytest

from flare_mesh.io import read_mesh
from lpbf import HexMesh, Process, simulate
from lpbf.core.heat import Heat
from lpbf.simulate.summary import summarize, summary_text


def test_plate_temperature_over_the_build(linear, tmp_path):
    """Part and plate share their heat: one temperature after each long dwell."""
    mesh = HexMesh.from_mask(np.ones((2, 2, 3)), 1.0)
    capacity, layer = 0.1, 4 * 4000 * 500 * 1e-9
    heat = Heat(
        dwell_time=1e4, time_steps=4, growth=2.0, cooling_time=10.0, preheat=100.0,
        powder_coefficient=0.0, gas_coefficient=0.0, plate_heat_capacity=capacity,
    )  # fmt: skip
    process = Process(material=linear, layer_height=1.0, heat=heat)
    result = simulate(mesh, process)
    count = np.array([1, 2, 3, 3])
    expected = (capacity * 100 + count * layer * 1650) / (capacity + count * layer)
    np.testing.assert_allclose(result.plate_temperature, expected, rtol=1e-5)

    result.save(tmp_path / "part.vtu")
    saved = read_mesh(tmp_path / "part.vtu")
    np.testing.assert_allclose(saved.plate_temperature.ravel(), expected, rtol=1e-5)
    assert saved.units["plate_temperature"] == "C"
    text = summary_text(summarize(result))
    assert f"plate               up to {expected[2]:.0f} C during the build, " in text
    assert f"{expected[3]:.0f} C at the end" in text
    constant = dataclasses.replace(heat, plate_heat_capacity=None)
    assert simulate(mesh, dataclasses.replace(process, heat=constant)).plate_temperature is None


def test_a_plate_that_cools_at_the_end(linear):
    mesh = HexMesh.from_mask(np.ones((2, 2, 2)), 1.0)
    heat = Heat(
        dwell_time=0.1, time_steps=4, cooling_time=100.0, preheat=100.0, powder_coefficient=0.0,
        gas_coefficient=0.0, plate_heat_capacity=0.1, plate_loss=5.0,
    )  # fmt: skip
    result = simulate(mesh, Process(material=linear, layer_height=1.0, heat=heat))
    summary = summarize(result)
    assert summary["plate_temperature_c"] == pytest.approx(100.0, abs=1.0)
    assert summary["max_plate_temperature_c"] == max(result.plate_temperature[:2]) > 101.0
