"""Plastic steps and builds against CalculiX's C3D8I with ``*PLASTIC``.

CalculiX adds the layers of the build itself (``*MODEL CHANGE``), so that this compares the
bookkeeping of the layers as well.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lpbf import Material, PartWarning, Process, simulate
from lpbf.core.materials import get_material
from lpbf.mechanics.build import make_build
from lpbf.mechanics.build_steps import BuildStep
from lpbf.mechanics.equilibrium import Equilibrium
from lpbf.mechanics.plastic_stepper import PlasticStepper

COARSE = 4  # increments per layer in the stored results with this name


def process_of(mesh, case):
    metal = Material(
        "metal",
        float(case["youngs_modulus"]),
        float(case["poisson_ratio"]),
        yield_stress=float(case["yield_stress"]),
        hardening_modulus=float(case["hardening_modulus"]),
    )
    if "eigenstrain" in case:  # all at once
        return Process(metal, layer_height=mesh.spacing[2] * mesh.mask.shape[2], plasticity=True)
    return Process(
        metal,
        layer_height=float(case["layer_height"]),
        inherent_strain=tuple(case["inherent_strain"].tolist()),
        scan_rotation=float(case["scan_rotation"]),
        plasticity=True,
    )


def in_increments(mesh, case):
    """Displacement, and stress and equivalent plastic strain of the cells."""
    process = process_of(mesh, case)
    build = make_build(mesh, process)
    equilibrium = Equilibrium(build, tolerance=1e-9)
    stepper = PlasticStepper(build, get_material(process.material), tolerance=1e-8)
    displacement = np.zeros((mesh.num_nodes, 3))
    for layer in range(build.num_layers):
        equilibrium.activate_layer(layer)
        newest = build.layer_cells(layer)
        eigenstrain = np.zeros((newest.stop, 6))
        eigenstrain[newest] = case.get("eigenstrain", build.layer_strain[layer])
        step = BuildStep(layer, f"layer {layer}", torch.from_numpy(eigenstrain / COARSE))
        for _ in range(COARSE):
            increment, _ = stepper.solve(step, equilibrium)
            displacement[: equilibrium.size] += increment.numpy()
    return (
        displacement,
        stepper.cell_stress().numpy(),
        stepper.equivalent_plastic_strain().numpy(),
    )


@pytest.mark.parametrize("name", ["plastic_step", "plastic_build"])
def test_same_increments(reference, name):
    mesh, case = reference(name)
    yielded = case["plastic_strain"] > 0
    assert 0.2 < yielded.mean() < 0.8
    fields = ("displacement", "stress", "plastic_strain")
    for field, found in zip(fields, in_increments(mesh, case), strict=True):
        stored = case[f"{field}_coarse"]
        scale = np.abs(stored).max()
        np.testing.assert_allclose(found, stored, atol=1e-5 * scale, err_msg=field)


def test_a_build_with_one_increment_per_layer(reference, mean_at_nodes):
    """Error of large increments, compared with fifty increments of CalculiX."""
    mesh, case = reference("plastic_build")
    process = process_of(mesh, case)
    result = simulate(mesh, replace(process, plastic_increments=1))
    scale = np.abs(case["displacement"]).max()
    np.testing.assert_allclose(result.displacement, case["displacement"], atol=0.01 * scale)
    plastic = mean_at_nodes(mesh, case["plastic_strain"][:, None])[:, 0]
    found = result.equivalent_plastic_strain
    assert found is not None
    assert np.linalg.norm(found - plastic) < 0.01 * np.linalg.norm(plastic)
    stress = mean_at_nodes(mesh, case["stress"])
    assert np.linalg.norm(result.stress - stress) < 0.05 * np.linalg.norm(stress)
    with pytest.warns(PartWarning, match="the elastic von Mises stress exceeds 224 MPa at a tenth"):
        elastic = simulate(mesh, replace(process, plasticity=False)).displacement
    assert np.abs(elastic - case["displacement"]).max() > 0.05 * scale
    finer = simulate(mesh, process)
    np.testing.assert_allclose(finer.displacement, case["displacement"], atol=0.004 * scale)
    assert np.linalg.norm(finer.stress - stress) < 0.02 * np.linalg.norm(stress)


def test_a_release_in_two_cuts(reference):
    """A kerf in one leg, whose stump stays on the plate, and a cut along the other one."""
    mesh, case = reference("plastic_release")
    release = [{"box": box} for box in case["boxes"].tolist()]
    process = replace(process_of(mesh, case), plastic_increments=COARSE, release=release)
    result = simulate(mesh, process, tolerance=1e-10)
    left = ~result.release[-1].removed
    kept = np.unique(mesh.cells[left])
    assert result.displacement_on_plate is not None
    before = result.displacement_on_plate
    for state, stored in zip(result.release, case["displacement"], strict=True):
        scale = np.abs(stored).max()
        assert np.abs(state.displacement - before)[kept].max() > 0.01 * scale
        np.testing.assert_allclose(state.displacement[kept], stored[kept], atol=1e-5 * scale)
        before = state.displacement
    strain = np.zeros(mesh.num_cells)
    strain[left] = case["plastic_strain"]
    nodes = np.setdiff1d(kept, mesh.cells[~left])
    cells = [np.flatnonzero((mesh.cells == node).any(axis=1)) for node in nodes]
    means = np.array([strain[around].mean() for around in cells])
    assert result.equivalent_plastic_strain is not None
    found = result.equivalent_plastic_strain[nodes]
    np.testing.assert_allclose(found, means, atol=1e-5 * means.max())
