"""Conduction against closed forms; energy balance and symmetry of layered builds."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm
from scipy.optimize import brentq
from scipy.special import erf

from lpbf import HexMesh, Process, SolverError
from lpbf.core.heat import Heat
from lpbf.core.table import Table
from lpbf.heat import plate_balance
from lpbf.heat.enthalpy import Enthalpy
from lpbf.heat.simulate_heat import simulate_heat

ALPHA = 5e-6  # of the linear material, m^2/s
INSULATED = {"powder_coefficient": 0.0, "gas_coefficient": 0.0}


def slab(rows, height, material, time_steps=1, **heat):
    """A column of ``rows`` voxels, deposited at once."""
    mesh = HexMesh.from_mask(np.ones((1, 1, rows)), (1.0, 1.0, height / rows))
    heat = Heat(**{**INSULATED, "growth": 1.0, "time_steps": time_steps, **heat})
    return simulate_heat(mesh, Process(material=material, layer_height=height, heat=heat))


def slab_series(z, height, time, start, plate):
    """Series solution of a slab insulated at z = height, with a sudden temperature at z = 0."""
    k = (2 * np.arange(200) + 1) * np.pi / (2 * height)
    terms = 2 / (k * height) * np.sin(np.outer(z, k)) * np.exp(-ALPHA * k**2 * time)
    return plate + (start - plate) * terms.sum(1)


def slab_error(rows, time_steps, linear):
    result = slab(
        rows,
        10.0,
        linear,
        time_steps,
        dwell_time=5.0,
        preheat=100.0,
        deposition_temperature=1100.0,
    )
    z = (np.arange(rows) + 0.5) / rows * 1e-2
    exact = slab_series(z, 1e-2, 5.0, 1100.0, 100.0)
    return np.sqrt(np.mean((result.temperature.numpy() - exact) ** 2))


def test_sudden_plate_temperature_against_the_series_with_order_two(linear):
    errors = [slab_error(rows, rows**2 // 2, linear) for rows in (4, 8, 16)]
    assert errors[-1] < 2.0  # of 1000 K
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    np.testing.assert_allclose(orders, 2, atol=0.15)


def test_time_steps_of_second_order(linear):
    """A slab with a film against the exponential of its matrix."""
    rows, time, film = 4, 4.0, 2000.0
    half, inner = 0.5e-3 / 10.0, 1e-3 / 10.0
    matrix = np.diag([-2.0 / inner] * rows) + np.diag([1 / inner] * (rows - 1), 1)
    matrix += np.diag([1 / inner] * (rows - 1), -1)
    matrix[-1, -1] = -1 / inner
    matrix[0, 0] = -1 / inner - 1 / (half + 1 / film)
    exact = 100 + 1000 * expm(matrix / (4000 * 500 * 1e-3) * time).sum(1)
    options = {"dwell_time": time, "preheat": 100.0, "deposition_temperature": 1100.0}
    for order, limit in ((1, 11.0), (2, 0.06)):
        errors = []
        for count in (8, 16, 32):
            found = slab(
                rows, 4.0, linear, count, plate_coefficient=film, time_order=order, **options
            )
            errors.append(np.abs(found.temperature.numpy() - exact).max())
        orders = np.log2(np.divide(errors[:-1], errors[1:]))
        np.testing.assert_allclose(orders, order, atol=0.05)
        assert errors[-1] < limit


@pytest.mark.parametrize("order", [1, 2])
def test_order_with_conductivity_and_heat_capacity_over_temperature(alloy, order):
    smooth = dataclasses.replace(
        alloy,
        conductivity=Table((0.0, 2000.0), (6.0, 28.0)),
        specific_heat=Table((0.0, 2000.0), (500.0, 900.0)),
        latent_heat=0.0,
    )
    options = {"dwell_time": 20.0, "preheat": 100.0, "plate_coefficient": 2000.0}
    options |= {"deposition_temperature": 1700.0, "time_order": order}
    found = [slab(6, 12.0, smooth, count, **options) for count in (12, 24, 48)]
    values = [result.temperature.numpy() for result in found]
    ratio = np.abs(values[1] - values[0]).max() / np.abs(values[2] - values[1]).max()
    assert np.log2(ratio) == pytest.approx(order, abs=0.15)


def test_second_order_preserves_the_energy_of_melting(alloy):
    result = slab(6, 12.0, alloy, 8, dwell_time=40.0, growth=1.5, time_order=2)
    assert result.balance_error < 1e-6
    gained = sum(step.enthalpy_change for step in result.steps)
    start = torch.full_like(result.temperature, alloy.liquidus)
    hot, cold = (Enthalpy(alloy)(temperature)[0] for temperature in (start, result.temperature))
    assert gained == pytest.approx(2e-9 * float((cold - hot).sum()), rel=1e-9)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("loss", [0.0, 0.02])
def test_a_plate_that_stores_heat(linear, order, loss):
    """Part and plate, each with one temperature, by the exponential of their matrix."""
    part, plate, film, time = 4000 * 500 * 1e-9, 3e-3, 0.005, 1.0
    half = 0.5e-3 / (5000.0 * 1e-6)
    between = 1 / (half + 1 / film)
    material = dataclasses.replace(linear, conductivity=5000.0)
    matrix = np.array([
        [-between / part, between / part], [between / plate, -(between + loss) / plate],
    ])  # fmt: skip
    exact = 100.0 + expm(matrix * time) @ [1000.0, 0.0]
    errors = []
    for count in (8, 16, 32):
        result = slab(
            1, 1.0, material, count, plate_coefficient=film / 1e-6, dwell_time=time, preheat=100.0,
            deposition_temperature=1100.0, plate_heat_capacity=plate, plate_loss=loss,
            time_order=order,
        )  # fmt: skip
        found = [float(result.temperature[0]), result.plate_temperature]
        errors.append(np.abs(found - exact).max())
        assert result.plate_after_layer == (result.plate_temperature,)
        if not loss:
            assert part * found[0] + plate * found[1] == pytest.approx(
                part * 1100 + plate * 100, rel=1e-5
            )
    np.testing.assert_allclose(np.log2(np.divide(errors[:-1], errors[1:])), order, atol=0.3)
    assert errors[-1] < (8.0 if order == 1 else 0.5)


def test_a_plate_warms_up_layer_by_layer(linear):
    """Its heat is that which the part lost to it."""
    heat = {"dwell_time": 5.0, "plate_heat_capacity": 0.5}
    result = build(linear, porous(), **heat)
    assert (np.diff([result.preheat, *result.plate_after_layer]) > 0).all()
    gained = 0.5 * (result.plate_temperature - result.preheat)
    assert gained == pytest.approx(sum(step.heat_lost[0] for step in result.steps), rel=1e-5)
    huge = build(linear, porous(), **(heat | {"plate_heat_capacity": 1e8}))
    constant = build(linear, porous(), dwell_time=5.0)
    torch.testing.assert_close(huge.temperature, constant.temperature, rtol=1e-6, atol=0)


def test_film_at_the_plate_against_the_series(linear):
    height, time, coefficient = 1e-2, 10.0, 2000.0
    biot = coefficient * height / 10.0
    roots = [
        brentq(lambda x: x * np.sin(x) - biot * np.cos(x), n * np.pi, (n + 0.5) * np.pi)
        for n in range(40)
    ]
    roots = np.array(roots)
    z = (np.arange(40) + 0.5) / 40
    weight = 4 * np.sin(roots) / (2 * roots + np.sin(2 * roots))
    shape = np.cos(np.outer(1 - z, roots))
    exact = 100 + 1000 * (shape * weight * np.exp(-(roots**2) * ALPHA * time / height**2)).sum(1)
    result = slab(
        40,
        10.0,
        linear,
        100,
        dwell_time=time,
        preheat=100.0,
        deposition_temperature=1100.0,
        plate_coefficient=coefficient,
    )
    np.testing.assert_allclose(result.temperature, exact, atol=2.0)


def test_steady_flow_through_a_film_a_slab_and_another_film(linear):
    """Heat flow of resistances in series, and a linear profile."""
    result = slab(
        5,
        10.0,
        linear,
        dwell_time=1e6,
        preheat=500.0,
        gas_temperature=100.0,
        plate_coefficient=400.0,
        gas_coefficient=250.0,
        deposition_temperature=300.0,
    )
    flux = 400 / (1 / 400 + 1e-2 / 10 + 1 / 250)
    z = (np.arange(5) + 0.5) * 2e-3
    exact = 500 - flux / 400 - flux * z / 10
    np.testing.assert_allclose(result.temperature, exact, atol=0.05)
    losses = np.array(result.steps[0].heat_lost)
    np.testing.assert_allclose(losses, [-flux * 1.0, 0, flux * 1.0], rtol=1e-3)


def test_solidification_front_against_neumann(alloy):
    """The half space that freezes from a suddenly cold wall; latent heat over a narrow range.

    With the same constant properties in both phases and the melt at the melting temperature:
    front at 2 lambda sqrt(alpha t), lambda exp(lambda^2) erf(lambda) = St / sqrt(pi).
    """
    metal = dataclasses.replace(
        alloy,
        conductivity=20.0,
        specific_heat=800.0,
        density=4000.0,
        latent_heat=300e3,
        solidus=1499.0,
        liquidus=1501.0,
    )
    alpha, stefan, melting, wall = 20 / 3.2e6, 800 * 1000 / 300e3, 1500.0, 500.0
    scale = brentq(lambda x: x * np.exp(x**2) * erf(x) - stefan / np.sqrt(np.pi), 0.01, 3)
    time, rows, height = 4.0, 60, 20.0
    result = slab(
        rows,
        height,
        metal,
        80,
        dwell_time=time,
        preheat=wall,
        deposition_temperature=1501.0,
    )
    z = (np.arange(rows) + 0.5) * height / rows * 1e-3
    front = 2 * scale * np.sqrt(alpha * time)
    assert 0.4 < front / 0.02 < 0.8
    exact = wall + (melting - wall) * erf(z / np.sqrt(4 * alpha * time)) / erf(scale)
    temperature = result.temperature.numpy()
    np.testing.assert_allclose(
        np.minimum(temperature, melting), np.minimum(exact, melting), atol=20
    )
    solid = (temperature < 1500).sum() * height / rows * 1e-3
    assert solid == pytest.approx(front, rel=0.02)


def porous(spacing=(1.0, 1.2, 0.8)):
    rng = np.random.default_rng(3)
    mask = rng.random((6, 5, 8)) < 0.75
    mask[2:4, 2:4] = True
    return HexMesh.from_mask(mask, spacing)


def build(alloy, mesh, **heat):
    heat = Heat(**{"dwell_time": 60.0, "time_steps": 6, "gas_coefficient": 50.0, **heat})
    return simulate_heat(mesh, Process(material=alloy, layer_height=1.6, heat=heat))


def test_energy_balance_with_everything_nonlinear(alloy):
    result = build(alloy, porous(), deposition_temperature=1800.0, cooling_time=100.0)
    assert len(result.steps) == 5 * 6
    for step in result.steps:
        imbalance = step.enthalpy_change + sum(step.heat_lost)
        assert abs(imbalance) <= 1e-6 * max(abs(step.enthalpy_change), *map(abs, step.heat_lost))
        assert step.balance_error <= 1e-6
    assert result.steps[-1].time == pytest.approx(4 * 60 + 100)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 1000),
    melting_range=st.sampled_from([1.0, 46.0, 300.0]),
    deposition=st.sampled_from([None, 1500.0, 2500.0]),
    dwell_time=st.floats(1e-3, 1e4),
    time_steps=st.integers(1, 5),
    plate=st.sampled_from([None, 1.0, 1e5]),
    powder=st.sampled_from([0.0, 10.0, 1e4]),
    gas=st.sampled_from([0.0, 30.0, 1e6]),
)
def test_any_build_preserves_energy_and_the_range_of_temperatures(
    alloy, seed, melting_range, deposition, dwell_time, time_steps, plate, powder, gas
):
    mask = np.random.default_rng(seed).random((3, 4, 3)) < 0.7
    mask[1, 1] = True
    mesh = HexMesh.from_mask(mask, (0.5, 0.7, 1.1))
    material = dataclasses.replace(alloy, solidus=1650.0 - melting_range)
    heat = Heat(
        deposition_temperature=deposition,
        preheat=90.0,
        gas_temperature=30.0,
        dwell_time=dwell_time,
        time_steps=time_steps,
        plate_coefficient=plate,
        powder_coefficient=powder,
        gas_coefficient=gas,
    )
    result = simulate_heat(mesh, Process(material=material, heat=heat))
    for step in result.steps:
        imbalance = abs(step.enthalpy_change + sum(step.heat_lost))
        assert imbalance <= 1e-6 * step.exchanged + 1e-9  # J, rounding of long time steps
    for after in result.after_layer:
        assert (after > 30.0 - 1e-4).all()
        assert (after < (deposition or alloy.liquidus) + 1e-4).all()


def test_stages_of_thermal_strain(alloy):
    """The mechanics has its steps after equal numbers of time steps, and knows which cells were
    too hot in between."""
    mesh = porous()
    material = dataclasses.replace(
        alloy, thermal_expansion=1e-5, yield_stress=500.0, annealing_temperature=700.0
    )
    options = {"time_steps": 7, "dwell_time": 5.0, "cooling_time": 50.0}
    process = Process(
        material,
        layer_height=2 * mesh.spacing[2],
        heat=Heat(**options),
        plasticity=True,
        plastic_increments=3,
        strain="thermal",
    )
    result = simulate_heat(mesh, process)
    last = int(mesh.cell_index[-1, 2] // 2)
    assert [stage.layer for stage in result.stages] == [*np.repeat(range(last + 1), 3), *[last] * 3]
    ends = np.cumsum(process.heat.steps(5.0))[[1, 4, 6]]  # of 7/3, 14/3 and 7 steps
    np.testing.assert_allclose([stage.time for stage in result.stages[:3]], ends)
    is_last = [*[False, False, True] * (last + 1), *[False] * 3]
    assert [stage.is_last for stage in result.stages] == is_last
    assert [stage.in_dwell for stage in result.stages[-4:]] == [True, False, False, False]
    for stage, after in zip(result.stages[2:-3:3], result.after_layer, strict=True):
        assert torch.equal(stage.temperature, after)
    before = torch.zeros(0, dtype=torch.float64)
    hot = []
    for stage in result.stages:
        # A cell that is too hot at either end was annealed; new layers always are.
        ends = torch.full_like(stage.temperature, alloy.liquidus)
        ends[: len(before)] = before
        assert (stage.annealed | (torch.maximum(ends, stage.temperature) < 700.0)).all()
        hot.append(bool(stage.annealed.all()))
        before = stage.temperature
    assert hot[0]
    assert not hot[2]
    assert simulate_heat(mesh, dataclasses.replace(process, strain="inherent")).stages == ()
    # The result of an elastic part depends on the ends of the dwells alone.
    no_melting = {"solidus": None, "liquidus": None, "latent_heat": 0.0}
    elastic = dataclasses.replace(
        process,
        plasticity=False,
        material=dataclasses.replace(material, annealing_temperature=None, **no_melting),
        heat=Heat(**options, deposition_temperature=1500.0),
    )
    assert len(simulate_heat(mesh, elastic).stages) == last + 2


def test_layers_and_their_temperatures(alloy):
    mesh = porous()
    result = build(alloy, mesh, dwell_time=5.0, cooling_time=50.0)
    layer = torch.from_numpy(mesh.cell_index[:, 2] // 2)
    counts = [int((layer <= n).sum()) for n in range(4)]
    assert [len(after) for after in result.after_layer] == counts
    for n, after in enumerate(result.after_layer):
        assert float(result.interlayer[n]) == pytest.approx(
            float(after[layer[: len(after)] == n].mean())
        )
    # Each layer is further from the plate, so heat accumulates.
    assert (result.interlayer.diff() > 0).all()
    assert result.temperature.max() < result.after_layer[-1].max()
    assert result.balance_error == max(step.balance_error for step in result.steps)


def test_faces_to_plate_powder_and_gas(linear):
    """A table on a leg: plate below the leg, powder all around and below, gas on the top."""
    mask = np.zeros((3, 1, 2), bool)
    mask[0, 0, 0] = mask[:, 0, 1] = True
    mesh = HexMesh.from_mask(mask, (1.0, 2.0, 3.0))
    heat = Heat(
        time_steps=1,
        dwell_time=1e-9,
        deposition_temperature=1000.0,
        preheat=0.0,
        plate_coefficient=1e-3,
        powder_coefficient=1e-3,
        powder_temperature=200.0,
        gas_coefficient=1e-3,
        gas_temperature=500.0,
    )
    result = simulate_heat(mesh, Process(material=linear, heat=heat))
    flux = 1e-3 * 1e-6 * 1e-9  # of 1 K through 1 mm^2 in the time step
    first = np.array(result.steps[0].heat_lost) / flux
    np.testing.assert_allclose(first, [1000 * 2, 800 * (6 + 6 + 3 + 3), 500 * 2], rtol=1e-6)
    second = np.array(result.steps[1].heat_lost) / flux
    sides = 2 * 6 + 2 * 3 + 2 * 6 + 6 * 3
    np.testing.assert_allclose(second, [1000 * 2, 800 * (sides + 4), 500 * 6], rtol=1e-6)


def test_a_step_on_a_layer_is_covered_by_powder_and_its_top_cooled_by_gas(linear):
    mask = np.ones((2, 1, 2), bool)
    mask[1, 0, 1] = False
    mesh = HexMesh.from_mask(mask, 1.0)
    heat = Heat(time_steps=1, dwell_time=1e-9, deposition_temperature=1000.0, gas_temperature=0.0)
    process = Process(material=linear, layer_height=2.0, heat=heat)
    gas = simulate_heat(mesh, process).steps[0].heat_lost[2]
    assert gas == pytest.approx(20 * 1000 * 1e-6 * 1e-9, rel=1e-2)


def test_mirror_images_and_90_degree_rotations(alloy):
    mesh = porous((1.0, 1.2, 0.8))
    result = grid_of(mesh, build(alloy, mesh).temperature)
    mirrored = HexMesh.from_mask(mesh.mask[::-1, ::-1], mesh.spacing)
    found = grid_of(mirrored, build(alloy, mirrored).temperature)[::-1, ::-1]
    np.testing.assert_allclose(found, result, atol=1e-4)
    rotated = HexMesh.from_mask(mesh.mask.transpose(1, 0, 2), (1.2, 1.0, 0.8))
    found = grid_of(rotated, build(alloy, rotated).temperature).transpose(1, 0, 2)
    np.testing.assert_allclose(found, result, atol=1e-4)


def grid_of(mesh, temperature):
    grid = np.zeros(mesh.mask.shape)
    grid[tuple(mesh.cell_index.T)] = temperature
    return grid


def test_a_single_voxel_follows_its_ordinary_differential_equation(linear):
    """Lumped: rho c V dT/dt = -G (T - T_gas), G of film and half voxel in series."""
    mesh = HexMesh.from_mask(np.ones((1, 1, 1)), (1.0, 2.0, 3.0))
    heat = Heat(
        deposition_temperature=900.0,
        plate_coefficient=1e-9,
        powder_coefficient=0.0,
        gas_coefficient=100.0,
        gas_temperature=50.0,
        dwell_time=40.0,
        time_steps=200,
        growth=1.0,
    )
    found = simulate_heat(mesh, Process(material=linear, heat=heat)).temperature
    conductance = 2e-6 / (1 / 100 + 1.5e-3 / 10)
    exact = 50 + 850 * np.exp(-conductance * 40 / (2e6 * 6e-9))
    assert float(found[0]) == pytest.approx(exact, abs=3.0)


def test_threads_change_only_rounding(alloy):
    mesh = porous()
    first, again = build(alloy, mesh), build(alloy, mesh)
    assert torch.equal(first.temperature, again.temperature)
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if threads > 1 else 2)
    try:
        other = build(alloy, mesh)
    finally:
        torch.set_num_threads(threads)
    torch.testing.assert_close(other.temperature, first.temperature, rtol=0, atol=1e-4)
    assert first.temperature.dtype == torch.float64


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_devices_agree(alloy):
    mesh = porous()
    process = Process(material=alloy, layer_height=1.6, heat=Heat())
    host, device = (simulate_heat(mesh, process, device=name) for name in ("cpu", "cuda"))
    torch.testing.assert_close(device.temperature.cpu(), host.temperature, rtol=0, atol=1e-4)


def test_bad_input(linear, alloy):
    mesh = porous()
    with pytest.raises(ValueError, match=r"set Process\.heat"):
        simulate_heat(mesh, Process(material=linear))
    floating = np.zeros((1, 1, 2))
    floating[:, :, 1] = 1
    with pytest.raises(ValueError, match="rests on the plate"):
        simulate_heat(HexMesh.from_mask(floating, 1.0), Process(material=linear, heat=Heat()))
    with pytest.raises(ValueError, match="'linear'.*conductivity"):
        Process(material=dataclasses.replace(linear, conductivity=None), heat=Heat())
    with pytest.raises(ValueError, match="multiple of the voxel"):
        simulate_heat(mesh, Process(material=alloy, layer_height=1.0, heat=Heat()))


def test_a_plate_that_does_not_converge_is_an_error(linear, monkeypatch):
    monkeypatch.setattr(plate_balance, "_MAX_ITERATIONS", 1)
    message = r"heat of layer 0 at 5 s: the temperature of the plate did not converge in 1 iter"
    with pytest.raises(SolverError, match=message):
        slab(2, 1.0, linear, dwell_time=5.0, plate_heat_capacity=1e-3)
