"""Effect of the options of a process in known limits."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lpbf import HexMesh, Material, Process, SolverError, simulate
from lpbf.core.base_plate import BasePlate
from lpbf.core.heat import Heat
from lpbf.core.table import Table
from lpbf.heat.simulate_heat import simulate_heat

STRAIN = (-0.004, -0.001, -0.002)
STEEL = Material(
    "steel",
    200_000.0,
    0.3,
    yield_stress=1e6,
    thermal_expansion=1.2e-5,
    density=7900.0,
    conductivity=20.0,
    specific_heat=500.0,
    solidus=1400.0,
    liquidus=1450.0,
    latent_heat=260e3,
)


def process(**options):
    options = {"material": STEEL, "inherent_strain": STRAIN, "scan_rotation": 67.0, **options}
    return Process(**options)


def bridge():
    """Two feet of unequal height with a top, and an overhang."""
    mask = np.zeros((6, 3, 6), dtype=bool)
    mask[:2, :, :4] = True
    mask[4, :2, :4] = True
    mask[:, :, 4:] = True
    return HexMesh.from_mask(mask, (1.0, 1.2, 0.5))


def close(found, expected, relative):
    scale = np.abs(expected).max()
    assert scale > 0
    np.testing.assert_allclose(found, expected, rtol=0, atol=relative * scale)


def difference(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


def test_a_stiff_thin_plate_is_a_clamp():
    mesh = bridge()
    soft = dataclasses.replace(STEEL, youngs_modulus=100.0)
    clamped = simulate(mesh, process(material=soft))
    errors = []
    for modulus in (1e4, 1e6):
        plate = BasePlate(thickness=0.5, margin=1.0, youngs_modulus=modulus)
        plated = simulate(mesh, process(material=soft, base_plate=plate))
        errors.append(
            max(
                difference(plated.displacement, clamped.displacement),
                difference(plated.stress, clamped.stress),
            )
        )
    assert errors[0] < 0.05
    assert errors[1] < 0.02 * errors[0]


def test_an_elastic_plate_lowers_the_stress():
    mesh = bridge()
    clamped = simulate(mesh, process())
    plated = simulate(mesh, process(base_plate=BasePlate(thickness=1.0, margin=1.0)))
    base = mesh.points[:, 2] < 0.75
    assert plated.von_mises[base].max() < 0.9 * clamped.von_mises[base].max()
    bottom = mesh.points[:, 2] == 0
    assert (clamped.displacement[bottom] == 0).all()
    assert np.abs(plated.displacement[bottom]).max() > 1e-4
    assert plated.mesh is mesh
    # The plate yields to the contraction of the part's rim.
    assert (plated.displacement[bottom, 0] * (mesh.points[bottom, 0] - 3.0)).sum() < 0


def with_island():
    """A post, and an unsupported slab beside it."""
    mask = np.zeros((6, 3, 6), dtype=bool)
    mask[:2] = True
    without = mask.copy()
    mask[3:, :, 4:] = True
    return HexMesh.from_mask(mask, 1.0), HexMesh.from_mask(without, 1.0)


@pytest.mark.parametrize("plasticity", [False, True])
def test_powder_has_nearly_no_effect(plasticity):
    both, post = with_island()
    options = process(islands="powder", layer_height=2.0, plasticity=plasticity)
    found, expected = simulate(both, options), simulate(post, options)
    shared = found.points[:, 0] <= 2
    order = np.lexsort(found.points[shared].T)
    np.testing.assert_array_equal(order, np.arange(len(order)))
    close(found.displacement[shared], expected.displacement, 2e-3)
    close(found.stress[shared], expected.stress, 2e-3)
    # The slab contracts freely: a uniform strain, except for a rigid-body motion.
    slab = found.points[:, 0] >= 3
    points, u = found.points[slab], found.displacement[slab]
    centred = points - points.mean(axis=0)
    gradient = np.linalg.lstsq(centred, u - u.mean(axis=0), rcond=None)[0]
    strain = (gradient + gradient.T) / 2
    xx, yy, zz, xy, _, _ = options.layer_strain(2)
    expected = np.array([[xx, xy / 2, 0], [xy / 2, yy, 0], [0, 0, zz]])
    np.testing.assert_allclose(strain, expected, atol=5e-3 * 0.004)
    assert found.von_mises[slab].max() < 2e-3 * found.von_mises.max()


def test_displacement_of_an_island_counts_from_its_first_layer():
    """The displacement of the powder before is not part of it."""
    both, _ = with_island()
    found = simulate(both, process(islands="powder", layer_height=1.0))
    lower = (found.points[:, 0] >= 3) & (found.points[:, 2] == 4)
    # Contraction of two layers by 0.4 percent over 3 mm, without drift.
    assert np.abs(found.displacement[lower]).max() < 3 * 0.004 * 2


def test_uniform_cooling_is_an_inherent_strain():
    """A single layer of a nearly perfect conductor cools uniformly."""
    material = dataclasses.replace(STEEL, conductivity=5000.0)
    mesh = HexMesh.from_mask(bridge().mask, 0.5)
    heat = Heat(
        dwell_time=5.0, plate_coefficient=100.0, preheat=30.0,
        deposition_temperature=900.0, thermal_strain=True, time_steps=8,
    )  # fmt: skip
    options = process(
        material=material, inherent_strain=(0, 0, 0), layer_height=3.0, islands="powder", heat=heat
    )
    temperatures = simulate_heat(mesh, options)
    change = heat.preheat - float(temperatures.after_layer[0].mean())
    spread = float(temperatures.after_layer[0].std())
    assert change < -100
    assert spread < 1e-3 * abs(change)
    found = simulate(mesh, options, history=True)
    strain = 1.2e-5 * change
    alike = simulate(mesh, dataclasses.replace(options, inherent_strain=(strain,) * 3, heat=None))
    middle = (mesh.points.min(axis=0) + mesh.points.max(axis=0)) / 2 * (1, 1, 0)
    together = 1.2e-5 * (options.temperature - heat.preheat) * (mesh.points - middle)
    close(found.displacement, alike.displacement + together, 2e-3)
    close(found.stress, alike.stress, 2e-3)
    assert [state.name for state in found.history] == ["layer 0", "cooling"]
    assert [step.name for step in found.report.steps] == ["heat", "layer 0", "cooling"]
    assert found.report.steps[0].residual < 1e-6
    np.testing.assert_allclose(found.interlayer_temperature, temperatures.interlayer)
    assert np.abs(found.history[0].displacement).max() == 0
    # Together with the layer's own strain.
    total = dataclasses.replace(options, inherent_strain=STRAIN)
    own = simulate(mesh, dataclasses.replace(total, heat=None))
    close(simulate(mesh, total).displacement - own.displacement, found.displacement, 1e-4)


@pytest.mark.parametrize("plasticity", [False, True])
def test_uniform_contraction_is_an_inherent_strain(plasticity):
    """A single layer of a nearly perfect conductor contracts from its annealing temperature."""
    material = dataclasses.replace(
        STEEL, conductivity=5000.0, annealing_temperature=800.0,
        youngs_modulus=Table((25, 1000), (200_000.0, 120_000.0)),
    )  # fmt: skip
    mesh = HexMesh.from_mask(bridge().mask, 0.5)
    heat = Heat(dwell_time=5.0, preheat=30.0, deposition_temperature=900.0, time_steps=8)
    options = process(
        material=material, layer_height=3.0, islands="powder", heat=heat, strain="thermal",
        plasticity=plasticity, plastic_increments=2, release=True,
    )  # fmt: skip
    found = simulate(mesh, options, history=True)
    alike = dataclasses.replace(
        options, strain="inherent", heat=None, inherent_strain=(1.2e-5 * (30.0 - 800.0),) * 3
    )
    expected = simulate(mesh, alike)
    middle = (mesh.points.min(axis=0) + mesh.points.max(axis=0)) / 2 * (1, 1, 0)
    together = 1.2e-5 * (options.temperature - heat.preheat) * (mesh.points - middle)
    close(found.displacement_on_plate, expected.displacement_on_plate + together, 1e-4)
    close(found.stress, expected.stress, 1e-4)
    assert [state.name for state in found.history] == ["layer 0", "cooling", "release"]
    names = ["heat", "layer 0 at 1.627 s", "layer 0", "cooling", "release"]
    assert [step.name for step in found.report.steps] == names


@pytest.mark.parametrize("plasticity", [False, True])
@pytest.mark.parametrize("plate", [None, BasePlate(thickness=1.0, margin=1.0)])
def test_a_part_that_cools_with_its_plate_contracts_without_stress(plate, plasticity):
    mesh = HexMesh.from_mask(np.ones((3, 2, 4)), (1.0, 1.5, 0.5), origin=(2.0, -1.0, 3.0))
    warm = {"deposition_temperature": 200.0, "preheat": 200.0, "gas_temperature": 200.0}
    options = process(
        material=dataclasses.replace(STEEL, yield_stress=100.0),
        inherent_strain=(0, 0, 0),
        heat=Heat(**warm, dwell_time=5.0, time_steps=2, thermal_strain=True),
        base_plate=plate,
        plasticity=plasticity,
        release=True,
    )
    found = simulate(mesh, options, history=True)
    assert found.von_mises.max() < 1e-6
    expected = 1.2e-5 * (25 - 200) * (mesh.points - (3.5, 0.5, 3.0))
    close(found.displacement_on_plate, expected, 1e-9)
    assert [state.name for state in found.history[-2:]] == ["cooling", "release"]
    close(found.history[-2].displacement, expected, 1e-6)
    close(found.history[-1].displacement, found.displacement, 1e-6)
    close(found.displacement, expected - expected.mean(axis=0), 1e-9)


def test_heat_without_thermal_strain_changes_only_temperatures():
    mesh = bridge()
    heat = Heat(dwell_time=10.0, time_steps=3)
    plain, warm = simulate(mesh, process()), simulate(mesh, process(heat=heat), history=True)
    np.testing.assert_array_equal(warm.displacement, plain.displacement)
    assert (plain.temperature == 25.0).all()
    assert warm.temperature.min() > 79.0
    np.testing.assert_allclose(warm.history[-1].temperature, warm.temperature, rtol=1e-6)
    assert len(warm.history) == 6


CASES = {
    "plain": {},
    "lumped": {"layer_height": 1.0},
    "plate": {"base_plate": BasePlate(thickness=1.0, margin=1.0), "layer_height": 1.5},
    "heat": {"heat": Heat(dwell_time=20.0, time_steps=3, thermal_strain=True)},
    "plastic": {
        "material": dataclasses.replace(STEEL, yield_stress=300.0),
        "plasticity": True,
        "layer_height": 1.0,
    },
}


@pytest.mark.parametrize("case", CASES)
def test_history_ends_with_the_result(case):
    mesh = bridge()
    options = process(**CASES[case])
    result = simulate(mesh, options, history=True)
    layers = -(-6 // options.voxels_per_layer(0.5))
    cooling = case == "heat"
    assert [state.layer for state in result.history] == [
        *range(layers), *[layers - 1] * cooling,
    ]  # fmt: skip
    names = [step.name for step in result.report.steps if step.name != "heat"]
    assert [state.name for state in result.history] == names
    last = result.history[-1]
    assert (last.num_cells, last.num_nodes) == (mesh.num_cells, mesh.num_nodes)
    np.testing.assert_allclose(last.displacement, result.displacement, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(last.von_mises, result.von_mises, rtol=1e-5)
    end = options.temperature if cooling else result.temperature
    np.testing.assert_allclose(last.temperature, end, rtol=1e-6)
    heights = [state.height for state in result.history]
    assert heights == [
        pytest.approx(0.5 * (mesh.cell_index[state.num_cells - 1, 2] + 1))
        for state in result.history
    ]


@pytest.mark.parametrize("case", ["lumped", "plate", "plastic"])
def test_a_state_of_the_history_equals_a_part_that_ends_there(case):
    mesh = bridge()
    options = process(**CASES[case])
    rows = options.voxels_per_layer(0.5)
    states = simulate(mesh, options, history=True).history
    for layer in range(len(states)):
        mask = mesh.mask[:, :, : (layer + 1) * rows]
        result = simulate(HexMesh.from_mask(mask, mesh.spacing), options)
        state = states[layer]
        assert state.num_cells == mask.sum()
        # The range of nodes includes overhangs of the next layer, which have not moved.
        index = {tuple(p): n for n, p in enumerate(mesh.points.tolist())}
        nodes = np.array([index[tuple(p)] for p in result.points.tolist()])
        relative = 1e-4 if case == "plastic" else 1e-6
        close(state.displacement[nodes], result.displacement, relative)
        close(state.von_mises[nodes], result.von_mises, relative)
        others = np.setdiff1d(np.arange(state.num_nodes), nodes)
        assert (state.displacement[others] == 0).all()
        assert (state.von_mises[others] == 0).all()


@pytest.mark.parametrize("case", CASES)
def test_recoater_clearance_agrees_with_the_history(case):
    mesh = bridge()
    result = simulate(mesh, process(**CASES[case]), history=True)
    assert result.recoater_clearance is not None
    for layer, rise in enumerate(result.recoater_clearance):
        state = next(s for s in result.history if s.layer == layer)
        plane = np.isclose(mesh.points[: state.num_nodes, 2], state.height)
        top = np.isin(np.arange(state.num_nodes), mesh.cells[: state.num_cells, 4:]) & plane
        assert rise == pytest.approx(state.displacement[top, 2].max(), rel=1e-5, abs=1e-9)


def test_no_history_unless_asked_for():
    assert simulate(bridge(), process()).history == ()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"release": True, "layer_height": 1.0},
        {"base_plate": BasePlate(thickness=1.0, margin=1.0), "release": True},
        {"islands": "powder", "layer_height": 1.0},
        {"incompatible_modes": False},
    ],
)
def test_plastic_without_yielding_is_elastic(options):
    mesh = with_island()[0] if "islands" in options else bridge()
    tolerance = 1e-12 if "islands" in options else 1e-10  # small forces move voxels in powder
    elastic = simulate(mesh, process(**options), tolerance=tolerance)
    plastic = simulate(mesh, process(**options, plasticity=True), tolerance=tolerance)
    close(plastic.displacement, elastic.displacement, 1e-6)
    close(plastic.stress, elastic.stress, 1e-6)
    assert elastic.plastic_strain is None
    assert elastic.equivalent_plastic_strain is None
    assert (plastic.plastic_strain == 0).all()
    assert (plastic.equivalent_plastic_strain == 0).all()


def test_yielding_lowers_the_stress():
    mesh = bridge()
    elastic = simulate(mesh, process(layer_height=1.0))
    plastic = simulate(mesh, process(**CASES["plastic"]))
    assert elastic.von_mises.max() > 400
    assert plastic.von_mises.max() <= 300 * (1 + 1e-9)  # a mean over points and cells
    assert plastic.equivalent_plastic_strain.max() > 1e-4


def test_devices_by_name_and_as_objects():
    mesh = bridge()
    first = simulate(mesh, process(release=True), device="cpu")
    second = simulate(mesh, process(release=True), device=torch.device("cpu"))
    np.testing.assert_array_equal(first.displacement, second.displacement)
    np.testing.assert_array_equal(first.stress, second.stress)
    with pytest.raises(ValueError, match="device: expected .*'auto' .got 'nosuch'."):
        simulate(mesh, process(), device="nosuch")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("case", [*CASES, "powder"])
def test_devices_agree(case):
    mesh = with_island()[0] if case == "powder" else bridge()
    options = process(release=True, **CASES.get(case, {"islands": "powder", "layer_height": 1.0}))
    host = simulate(mesh, options, history=True)
    device = simulate(mesh, options, history=True, device="cuda")
    close(device.displacement, host.displacement, 1e-5)
    close(device.stress, host.stress, 1e-5)
    close(device.history[-1].von_mises, host.history[-1].von_mises, 1e-5)


@settings(deadline=None, max_examples=8)
@given(st.data())
def test_any_shape_with_any_options(data):
    """Single voxels, unsupported voxels, mechanisms, several components: results are finite."""
    mask = data.draw(hnp.arrays(bool, st.tuples(*[st.integers(1, 4)] * 3)))
    mask[0, 0, 0] = True
    plate = BasePlate(thickness=1.0, margin=1.0)
    heat = Heat(dwell_time=20.0, time_steps=2, thermal_strain=True)
    options = process(
        material=dataclasses.replace(STEEL, yield_stress=300.0),
        islands="powder",
        layer_height=data.draw(st.integers(1, 3)),
        plasticity=data.draw(st.booleans()),
        release=data.draw(st.booleans()),
        base_plate=data.draw(st.sampled_from([None, plate])),
        heat=data.draw(st.sampled_from([None, heat])),
    )
    result = simulate(HexMesh.from_mask(mask, 1.0), options, history=True)
    assert np.abs(result.displacement).max() < 0.1
    assert np.isfinite(result.stress).all()
    if options.plasticity:
        assert result.von_mises.max() <= 300.001
    for state in result.history:
        assert np.isfinite(state.von_mises).all()


@pytest.mark.parametrize("tolerance", [0.0, 1.0, -1e-8, float("nan")])
def test_tolerances(tolerance):
    with pytest.raises(ValueError, match="0 < tolerance < 1"):
        simulate(bridge(), tolerance=tolerance)


@pytest.mark.slow
def test_a_loose_tolerance_does_not_make_a_plastic_part_elastic():
    options = process(material=dataclasses.replace(STEEL, yield_stress=300.0), plasticity=True)
    exact = simulate(bridge(), options, tolerance=1e-10)
    loose = simulate(bridge(), options, tolerance=0.5)
    close(loose.stress, exact.stress, 2e-2)
    close(loose.displacement, exact.displacement, 2e-2)


@pytest.mark.slow
def test_a_release_after_layers_in_increments_is_one_step():
    options = process(
        material=dataclasses.replace(STEEL, yield_stress=300.0),
        plasticity=True,
        plastic_increments=10,
        release=True,
    )
    report = simulate(bridge(), options).report
    assert report is not None
    assert max(step.residual for step in report.steps) <= 1e-6


def test_no_convergence_in_a_cell_names_the_layer():
    material = dataclasses.replace(STEEL, poisson_ratio=0.499999, yield_stress=1e-3)
    options = process(material=material, plasticity=True, plastic_increments=1)
    with pytest.raises(SolverError, match=r"^layer \d: "):
        simulate(HexMesh.from_mask(np.ones((4, 4, 4)), 2.5), options)
