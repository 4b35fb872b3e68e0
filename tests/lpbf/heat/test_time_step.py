import dataclasses

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from lpbf import HexMesh, SolverError
from lpbf.core.heat import Heat
from lpbf.heat import heat_kernels
from lpbf.heat.conduction import Conduction
from lpbf.heat.enthalpy import Enthalpy
from lpbf.heat.time_step import TimeStepper


def bar(material, rows=8):
    """Bar with a cold and a hot half, insulated except for a negligible film at the plate."""
    mesh = HexMesh.from_mask(np.ones((2, 1, rows)), (1.0, 1.3, 0.7))
    heat = Heat(plate_coefficient=1e-12, powder_coefficient=0.0, gas_coefficient=0.0)
    conduction = Conduction(mesh, np.zeros(mesh.num_cells, np.int64), material, heat)
    conduction.activate(mesh.num_cells)
    temperature = torch.full((mesh.num_cells,), 100.0, dtype=torch.float64)
    temperature[rows:] = 1700.0
    return conduction, temperature, TimeStepper(Enthalpy(material), 0.91e-9)


@pytest.mark.parametrize("time_step", [1e-3, 0.1, 1e3])
def test_hot_and_cold_halves_mix_at_constant_enthalpy(alloy, time_step):
    conduction, temperature, step = bar(alloy)
    before = step.enthalpy(temperature)[0]
    for count in range(5):
        temperature, report = step(
            temperature, conduction.at, time_step, layer=0, time=count * time_step
        )
        # After the largest time step only rounding is exchanged.
        assert report.balance_error < 1e-7 or (count > 0 and time_step == 1e3)
    after = step.enthalpy(temperature)[0]
    assert float(after.sum()) == pytest.approx(float(before.sum()), rel=1e-8)
    assert (temperature >= 100).all()
    assert (temperature <= 1700).all()
    if time_step == 1e3:
        mean = float(before.mean())

        def excess(value):
            return float(step.enthalpy(torch.tensor([value], dtype=torch.float64))[0]) - mean

        np.testing.assert_allclose(temperature, brentq(excess, 100, 1700), atol=1e-4)


def test_nothing_changes_in_equilibrium(alloy):
    conduction, temperature, step = bar(alloy)
    even = torch.full_like(temperature, 80.0)
    after, report = step(even, conduction.at, 1.0, layer=0, time=1.0)
    assert torch.equal(after, even)
    assert report.newton_iterations == report.balance_error == 0


def test_a_step_is_the_solution_of_its_equations(alloy):
    """Against a dense matrix, with properties that do not depend on temperature."""
    constant = dataclasses.replace(alloy, conductivity=9.0, specific_heat=500.0, latent_heat=0.0)
    conduction, temperature, step = bar(constant)
    flow = conduction.at(temperature)
    identity = torch.eye(len(temperature), dtype=torch.float64)
    matrix = torch.stack([flow.matrix.operator()(column) for column in identity])
    torch.testing.assert_close(matrix, matrix.T)
    # Links in series: areas over distances, in m.
    assert float(matrix[0, 1]) == pytest.approx(-9.0 * 1.3 * 0.7 / 1.0 * 1e-3)
    assert float(matrix[0, 2]) == pytest.approx(-9.0 * 1.3 * 1.0 / 0.7 * 1e-3)
    capacity = 4420 * 500 * 0.91e-9
    expected = torch.linalg.solve(capacity * identity + 0.3 * matrix, capacity * temperature)
    found, _ = step(temperature, conduction.at, 0.3, layer=0, time=0.3)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_newton": 1}, r"heat of layer 3 at 7\.5 s: Newton.* 1 iterations \(residual .*e-"),
        ({"max_iterations": 1}, r"layer 3 at 7\.5 s: the conjugate gradients.* 1 iterations"),
    ],
)
def test_no_convergence_is_an_error(alloy, limits, message):
    conduction, temperature, step = bar(alloy)
    step = dataclasses.replace(step, **limits)
    with pytest.raises(SolverError, match=message):
        step(temperature, conduction.at, 1.0, layer=3, time=7.5)


def test_conductivity_between_and_outside_of_the_table(alloy):
    conduction, _, _ = bar(alloy)
    temperature = torch.tensor([-100.0, 20.0, 260.0, 500.0, 1600.0, 3000.0], dtype=torch.float64)
    expected = [6.0, 6.0, 9.0, 12.0, 28.0, 28.0]
    np.testing.assert_allclose(conduction.conductivity(temperature), expected, rtol=1e-14)


def test_compiled_loops_agree_with_torch(alloy, table, monkeypatch):
    heat = Heat(plate_coefficient=500.0, powder_coefficient=0.0, gas_coefficient=30.0)
    fraction = np.where(np.arange(table.num_cells) % 3, 1.0, 0.2)
    conduction = Conduction(table, table.cell_index[:, 2], alloy, heat, fraction=fraction)
    conduction.activate(table.num_cells)
    temperature = torch.linspace(-50, 1900, table.num_cells, dtype=torch.float64)
    found = []
    for compiled in (True, False):
        monkeypatch.setattr(heat_kernels, "can_run", lambda tensor, c=compiled: c)
        flow = conduction.at(temperature)
        value, capacity = Enthalpy(alloy)(temperature)
        residual, balance = flow.balance(temperature, 1e-12 * value, 0.3)
        sums = [balance.gain, *balance.lost, balance.absolute_gain, balance.error]
        matrix = flow.matrix
        fields = [matrix.diagonal, matrix.links, flow.conductance, value, capacity, residual]
        found.append([*fields, torch.tensor(sums, dtype=torch.float64)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)
