"""Thermal strain in closed forms, and against independently assembled steps."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import spsolve

from lpbf import HexMesh, Material, Process
from lpbf.core.base_plate import BasePlate
from lpbf.core.element import brick
from lpbf.core.table import Table
from lpbf.core.wall_grid import wall_grid_elasticity
from lpbf.heat.simulate_heat import HeatResult, HeatStage
from lpbf.mechanics.build import make_build
from lpbf.mechanics.elastic_stepper import ElasticStepper
from lpbf.mechanics.equilibrium import Equilibrium
from lpbf.mechanics.plastic_stepper import PlasticStepper
from lpbf.mechanics.thermal_steps import thermal_steps
from lpbf.simulate.run_steps import run_steps

MODULUS = Table((0, 1000), (200_000.0, 100_000.0))
EXPANSION = Table((0, 1000), (1e-6, 2e-6))
YIELD = Table((0, 1000), (220.0, 150.0))


def metal(poisson=0.0, **options):
    return Material("metal", MODULUS, poisson, thermal_expansion=EXPANSION, **options)


def modulus(temperature):
    return 200_000.0 - 100.0 * temperature


def strain(temperature):
    return 1e-6 * (1 + temperature / 1000) * (temperature - 25)


def heat_of(stages, deposition=800.0, plate=20.0, plates=None):
    """Stages (layer, temperatures, annealed cells); the last one of a layer ends its dwell."""
    layers = [layer for layer, *_ in stages]
    plates = [plate] * len(stages) if plates is None else plates
    made = tuple(
        HeatStage(
            layer=layer,
            time=float(number),
            temperature=torch.as_tensor(temperature, dtype=torch.float64),
            annealed=torch.as_tensor(annealed),
            plate_temperature=plates[number],
            in_dwell=True,
            is_last=layer not in layers[number + 1 :],
        )
        for number, (layer, temperature, annealed) in enumerate(stages)
    )
    nothing = torch.zeros(0)
    return HeatResult(nothing, (), nothing, (), plates[-1], (), plate, deposition, made)


def uniform(mesh, temperatures, limit=np.inf):
    shape = mesh.num_cells
    return heat_of([(0, np.full(shape, t), np.full(shape, t >= limit)) for t in temperatures])


def run(mesh, material, heat, *, fixed=None, plastic=False, layer_height=None):
    """Mean stress of the cells and displacement after each stage; no clamp but ``fixed``."""
    height = mesh.mask.shape[2] * mesh.spacing[2] if layer_height is None else layer_height
    build = make_build(mesh, Process(material, layer_height=height))
    steps = list(thermal_steps(build, heat, material, ambient=25.0, device="cpu"))
    equilibrium = Equilibrium(build, clamped=False, fixed=fixed, tolerance=1e-10)
    stepper = PlasticStepper(build, material) if plastic else ElasticStepper(build)
    found = []

    def on_step(step, state):
        found.append((stepper.cell_stress().numpy(), state.displacement.numpy().copy()))

    run_steps(build, steps[:-1], stepper, equilibrium, on_step)
    return found, stepper, steps


def bar(length=10):
    mesh = HexMesh.from_mask(np.ones((1, 1, length)), 1.0)
    return mesh, np.isin(mesh.points[:, 2], [0, length])


def test_a_bar_clamped_at_both_ends():
    """N / A = E(T) (eps(T_0) - eps(T)) in every section, also after it is reheated."""
    mesh, ends = bar()
    temperatures = [600.0, 100.0, 500.0]
    found, *_ = run(mesh, metal(), uniform(mesh, temperatures), fixed=ends)
    for (stress, _), temperature in zip(found, temperatures, strict=True):
        expected = modulus(temperature) * (strain(800.0) - strain(temperature))
        np.testing.assert_allclose(stress[:, 2], expected, rtol=1e-8)


def test_a_clamped_bar_yields():
    """At the yield stress of each temperature as it cools, and elastic from there on reheating.

    The bar is so long that its ends, which also flow, do not limit the force.
    """
    mesh, ends = bar(30)
    alloy = replace(
        metal(yield_stress=YIELD, hardening_modulus=1.0),
        thermal_expansion=Table((0, 1000), (1e-5, 2e-5)),
    )
    found, *_ = run(mesh, alloy, uniform(mesh, [500.0, 100.0, 120.0]), fixed=ends, plastic=True)
    hot, cold, again = (stress[15, 2] for stress, _ in found)
    assert hot == pytest.approx(220 - 35.0, rel=1e-3)
    assert cold == pytest.approx(220 - 7.0, rel=1e-3)
    change = 10 * (strain(120.0) - strain(100.0))
    assert again == pytest.approx(modulus(120.0) * (cold / modulus(100.0) - change), rel=1e-3)


@pytest.mark.parametrize("plastic", [False, True])
def test_annealing(plastic):
    """The contraction counts from the annealing temperature, each time it is reached."""
    mesh, ends = bar()
    material = metal(yield_stress=500.0, annealing_temperature=600.0)
    temperatures = [700.0, 300.0, 650.0, 100.0]
    heat = uniform(mesh, temperatures, limit=600.0)
    found, *_ = run(mesh, material, heat, fixed=ends, plastic=plastic)
    expected = [modulus(t) * (strain(600.0) - strain(min(t, 600.0))) for t in temperatures]
    assert expected[0] == expected[2] == 0.0
    for (stress, _), value in zip(found, expected, strict=True):
        np.testing.assert_allclose(stress[:, 2], value, rtol=1e-6, atol=1e-6)


def test_annealing_resets_the_plastic_strain():
    mesh, ends = bar()
    material = metal(yield_stress=YIELD, hardening_modulus=1000.0, annealing_temperature=790.0)
    heat = uniform(mesh, [100.0, 795.0], limit=790.0)
    _, stepper, steps = run(mesh, material, heat, fixed=ends, plastic=True)
    assert (stepper.equivalent_plastic_strain() == 0).all()
    assert (stepper.plastic_strain() == 0).all()
    assert [bool(step.annealed.all()) for step in steps[:-1]] == [False, True]


def test_a_change_of_temperature_that_is_nearly_none():
    """The part flows at 100 C; then there is no load to speak of that could measure the forces."""
    mesh = HexMesh.from_mask(np.ones((3, 2, 3)), (2.0, 2.0, 0.4))
    alloy = replace(
        metal(0.3, yield_stress=YIELD, hardening_modulus=1000.0),
        thermal_expansion=Table((0, 1000), (1e-5, 2e-5)),
    )
    temperatures = [100.0, 100.0 - 1e-9, 100.0 - 1e-6]
    bottom = mesh.points[:, 2] == 0
    found, *_ = run(mesh, alloy, uniform(mesh, temperatures), fixed=bottom, plastic=True)
    np.testing.assert_allclose(found[2][0], found[0][0], atol=0.1)


def test_a_free_part_has_no_stress():
    mesh = HexMesh.from_mask(np.ones((2, 3, 4)), (1.0, 1.2, 0.7))
    found, *_ = run(mesh, metal(0.3), uniform(mesh, [500.0, 100.0]))
    for (stress, u), temperature in zip(found, [500.0, 100.0], strict=True):
        assert np.abs(stress).max() < 1e-6
        centred = mesh.points - mesh.points.mean(axis=0)
        np.testing.assert_allclose(u, (strain(temperature) - strain(800.0)) * centred, atol=1e-10)


def test_a_part_that_has_the_temperature_of_its_plate_has_no_stress():
    """Both expand and contract together, from the temperature at which the layer was deposited."""
    mesh = HexMesh.from_mask(np.ones((2, 3, 4)), (1.0, 1.2, 0.7))
    temperatures = [300.0, 250.0]
    stages = [(0, np.full(24, t), np.zeros(24, bool)) for t in temperatures]
    heat = heat_of(stages, deposition=200.0, plate=200.0, plates=temperatures)
    found, *_ = run(mesh, metal(0.3), heat, fixed=mesh.points[:, 2] == 0)
    low, high = mesh.points.min(axis=0), mesh.points.max(axis=0)
    centre = np.append((low[:2] + high[:2]) / 2, low[2])
    for (stress, u), temperature in zip(found, temperatures, strict=True):
        assert np.abs(stress).max() < 1e-6
        change = strain(temperature) - strain(200.0)
        np.testing.assert_allclose(u, change * (mesh.points - centre), atol=1e-12)


def test_curvature_of_a_strip_of_two_temperatures():
    """Timoshenko (1925), for layers of unequal modulus."""
    mesh = HexMesh.from_mask(np.ones((2, 1, 24)), (0.5, 0.5, 16 / 24))
    lower = mesh.cell_index[:, 0] == 0
    cold, warm = 100.0, 700.0
    heat = heat_of([(0, np.where(lower, cold, warm), np.zeros(48, bool))])
    bottom = mesh.points[:, 2] == 0
    ((_, u),), *_ = run(mesh, metal(0.3), heat, fixed=bottom)
    z = mesh.points[:, 2]
    free = z > 2
    curvature = 2 * np.polyfit(z[free], u[free, 0], 2)[0]
    n = modulus(cold) / modulus(warm)
    expected = 24 * (strain(cold) - strain(warm)) / (12 + (1 + n) * (1 + 1 / n))
    assert curvature == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize("supported", [False, True])
def test_layers_against_a_direct_solution(table, assembled, supported):
    """Cells of random temperatures, some annealed, on a plate that has its own modulus."""
    rng = np.random.default_rng(3)
    material = metal(0.3, annealing_temperature=750.0)
    plate = BasePlate(thickness=table.spacing[2], margin=0.0, youngs_modulus=70_000.0)
    height = 2 * table.spacing[2]
    process = Process(material, layer_height=height, base_plate=plate, supports=supported)
    build = make_build(table, process)
    assert build.is_support.any() == supported
    solid = np.flatnonzero(build.is_solid)
    counts = [int((solid < build.layer_cells(n).stop).sum()) for n in range(build.num_layers)]
    stages = []
    for layer, count in enumerate(counts):
        for _ in range(2):
            temperature = rng.uniform(50, 900, count)
            stages.append((layer, temperature, (temperature > 750) | (rng.random(count) < 0.2)))
    heat = heat_of(stages)
    options = {"ambient": 25.0, "plate_modulus": 70_000.0, "device": "cpu"}
    steps = list(thermal_steps(build, heat, material, **options))
    stepper = ElasticStepper(build)
    equilibrium = Equilibrium(build, tolerance=1e-12)
    found = run_steps(build, steps, stepper, equilibrium).displacement.numpy()

    mesh, at_room = build.mesh, modulus(25.0)
    local, free_strain = np.zeros((mesh.num_cells, 24)), np.zeros(mesh.num_cells)
    displacement, reached = np.zeros((mesh.num_nodes, 3)), np.zeros(0)
    free_nodes = build.node_layer >= 0
    plain = np.where(build.is_solid, 1.0, 70_000.0 / at_room)
    walls = brick(table.spacing, wall_grid_elasticity(at_room, 0.3, 0.2))
    stiffness = np.where(build.is_support[:, None, None], walls.stiffness, build.brick.stiffness)
    loads = np.where(build.is_support[:, None, None], walls.load, build.brick.load)
    for layer, temperature, annealed in [*stages, (2, np.full(counts[-1], 20.0), None)]:
        count = counts[layer]
        stop, part = build.layer_cells(layer).stop, solid[:count]
        start = np.append(reached, np.full(count - len(reached), 800.0)).clip(max=750)
        if annealed is not None:
            start[annealed] = 750.0
            local[part[annealed]] = free_strain[part[annealed]] = 0.0
        free_strain[part] += strain(temperature.clip(max=750)) - strain(start)
        factor = plain.copy()
        if annealed is not None:
            factor[part] = modulus(temperature) / at_room
        reached = temperature
        nodes = mesh.cells[:stop]
        matrix = assembled(nodes, stiffness[:stop], mesh.num_nodes, factor[:stop])
        load = free_strain[:stop, None] * loads[:stop, :, :3].sum(2)
        force = load - np.einsum("ei,eij->ej", local[:stop], stiffness[:stop])
        force *= factor[:stop, None]
        total = np.zeros((mesh.num_nodes, 3))
        np.add.at(total, nodes.ravel(), force.reshape(-1, 3))
        used = np.zeros(mesh.num_nodes, bool)
        used[nodes] = True
        dofs = np.flatnonzero(np.repeat(used & free_nodes, 3))
        u = np.zeros(3 * mesh.num_nodes)
        u[dofs] = spsolve(matrix[dofs][:, dofs].tocsc(), total.ravel()[dofs])
        displacement += u.reshape(-1, 3)
        local[:stop] += u.reshape(-1, 3)[nodes].reshape(-1, 24)
    low, high = table.points.min(axis=0), table.points.max(axis=0)
    centre = np.append((low[:2] + high[:2]) / 2, low[2])
    displacement += (strain(25.0) - strain(20.0)) * (mesh.points - centre)
    np.testing.assert_allclose(found, displacement, atol=1e-7 * np.abs(displacement).max())


def test_steps_of_layers_and_of_the_cooling(table):
    """Plate and powder have the temperature of the plate; the last step is that to the ambient."""
    plate = BasePlate(thickness=1.0, margin=0.0)
    build = make_build(table, Process(metal(), layer_height=3 * table.spacing[2], base_plate=plate))
    part = build.is_part
    counts = [int(part[: build.layer_cells(n).stop].sum()) for n in (0, 1)]
    stages = [(n, np.full(counts[n], 300.0 + n), np.zeros(counts[n], bool)) for n in (0, 0, 1)]
    steps = list(
        thermal_steps(build, heat_of(stages, plate=120.0), metal(), ambient=25.0, device="cpu")
    )
    assert [step.layer for step in steps] == [0, 0, 1, None]
    assert [step.activates for step in steps] == [True, False, True, False]
    assert [step.is_last for step in steps] == [False, True, True, True]
    assert steps[0].name == "layer 0 at 0 s"
    assert [step.name for step in steps[1:]] == ["layer 0", "layer 1", "cooling"]
    last = steps[2]
    assert set(last.temperature[~part].tolist()) == {120.0}
    np.testing.assert_allclose(last.stiffness[part], modulus(301.0) / modulus(25.0))
    np.testing.assert_allclose(last.stiffness[~part], modulus(120.0) / modulus(25.0))
    assert (last.eigenstrain[~part] == 0).all()
    assert steps[3].stiffness is None
    assert steps[3].stress_free_strain == pytest.approx(strain(25.0) - strain(120.0))
