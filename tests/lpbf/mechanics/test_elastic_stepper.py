import numpy as np
import pytest
import torch

from lpbf import HexMesh, Process, SolverError
from lpbf.core.base_plate import BasePlate
from lpbf.mechanics.build import make_build
from lpbf.mechanics.build_steps import BuildStep, build_steps
from lpbf.mechanics.elastic_stepper import ElasticStepper
from lpbf.mechanics.equilibrium import Equilibrium


def active(build, **options):
    equilibrium = Equilibrium(build, **{"tolerance": 1e-11, **options})
    for layer in range(build.num_layers):
        equilibrium.activate_layer(layer)
    return equilibrium


def cell_of(mesh, steel):
    return make_build(mesh, Process(material=steel))


def random_strain(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 1e-3 * torch.randn(count, 6, generator=generator, dtype=torch.float64)


@pytest.fixture
def one(steel, table):
    return cell_of(table, steel)


def test_a_step_is_in_equilibrium(one):
    stepper, equilibrium = ElasticStepper(one), active(one)
    strain = random_strain(one.mesh.num_cells)
    u, report = stepper.solve(BuildStep(5, "layer 5", strain), equilibrium)
    force = stepper.internal_force()
    load = torch.from_numpy(one.brick.load)
    scale = float((strain @ load.T).norm())
    assert float(force[equilibrium.free].norm()) <= 1e-10 * scale
    # The reactions have no resultant.
    assert float(force.sum(0).norm()) <= 1e-9 * scale
    assert float(force[~equilibrium.free].norm()) > 1e-3 * scale
    assert (report.name, report.newton_iterations) == ("layer 5", 0)
    assert 0 < report.iterations < 80
    assert report.residual <= 1e-11
    local = u[torch.from_numpy(one.mesh.cells)].flatten(1)
    expected = (local @ torch.from_numpy(one.brick.strain).T - strain) @ torch.from_numpy(
        one.brick.elasticity
    )
    torch.testing.assert_close(stepper.cell_stress(), expected)


def test_steps_add_up(one):
    """Without new layers, two steps are one with the sum of their strains."""
    equilibrium = active(one)
    first, second = random_strain(one.mesh.num_cells), random_strain(one.mesh.num_cells, 1)
    twice, once = ElasticStepper(one), ElasticStepper(one)
    u = sum(twice.solve(BuildStep(None, "", s), equilibrium)[0] for s in (first, second))
    expected = once.solve(BuildStep(None, "", first + second), equilibrium)[0]
    torch.testing.assert_close(u, expected, rtol=0, atol=1e-8 * float(expected.abs().max()))
    stress = once.cell_stress()
    torch.testing.assert_close(
        twice.cell_stress(), stress, rtol=0, atol=1e-7 * float(stress.abs().max())
    )


def test_an_unstrained_step_does_nothing(one):
    stepper, equilibrium = ElasticStepper(one), active(one)
    start = torch.ones(equilibrium.size, 3, dtype=torch.float64)
    u, report = stepper.solve(BuildStep(0, "layer 0", 0 * random_strain(76)), equilibrium, start)
    assert (u == 0).all()
    assert report.iterations == 0
    assert (stepper.cell_stress() == 0).all()


def test_unbalanced_forces_find_an_equilibrium_with_new_supports(one, table):
    """Built on the plate and released, it is like a part that was never clamped."""
    equilibrium, unclamped = active(one), active(one, clamped=False)
    strain = random_strain(table.num_cells)
    cut, free = ElasticStepper(one), ElasticStepper(one)
    cut.solve(BuildStep(None, "build", strain), equilibrium)
    cut.solve(BuildStep(None, "release", 0 * strain, in_equilibrium=False), unclamped)
    free.solve(BuildStep(None, "", strain), unclamped)
    stress = free.cell_stress()
    torch.testing.assert_close(
        cut.cell_stress(), stress, rtol=0, atol=1e-6 * float(stress.abs().max())
    )
    scale = float((strain @ torch.from_numpy(one.brick.load).T).norm())
    assert float(cut.internal_force().norm()) <= 1e-9 * scale


def test_layers_are_activated_stress_free(steel, table):
    """The displacement of a cell's nodes before its activation causes no stress."""
    build = make_build(table, Process(material=steel))
    stepper, equilibrium = ElasticStepper(build), Equilibrium(build, tolerance=1e-11)
    steps = list(build_steps(build, None, expansion=None, ambient=25.0, device="cpu"))
    moved = torch.zeros(table.num_nodes, 3, dtype=torch.float64)
    since = []
    for step in steps:
        equilibrium.activate_layer(step.layer)
        since += [moved.clone()] * (len(step.eigenstrain) - len(since))
        u, _ = stepper.solve(step, equilibrium)
        moved[: len(u)] += u
        assert stepper.cell_stress().shape == (len(step.eigenstrain), 6)
    strain = torch.from_numpy(build.brick.strain)
    for cell in (0, 30, table.num_cells - 1):
        nodes = torch.from_numpy(table.cells[cell])
        local = (moved - since[cell])[nodes].flatten()
        own = strain @ local - torch.from_numpy(build.cell_strain[cell])
        expected = torch.from_numpy(build.brick.elasticity) @ own
        torch.testing.assert_close(stepper.cell_stress()[cell], expected)


def test_soft_cells_have_soft_stress_and_load(steel):
    mesh = HexMesh.from_mask(np.ones((2, 2, 1)), 1.0)
    plate = BasePlate(thickness=2.0, margin=0.0, youngs_modulus=20_000.0)
    build = make_build(mesh, Process(material=steel, base_plate=plate))
    stepper, equilibrium = ElasticStepper(build), active(build)
    strain = random_strain(12)
    u, _ = stepper.solve(BuildStep(0, "", strain), equilibrium)
    scale = float((strain @ torch.from_numpy(build.brick.load).T).norm())
    force = stepper.internal_force()
    assert float(force[equilibrium.free].norm()) <= 1e-9 * scale
    local = u[torch.from_numpy(build.mesh.cells)].flatten(1)
    own = local @ torch.from_numpy(build.brick.strain).T - strain
    expected = own @ torch.from_numpy(build.brick.elasticity)
    expected[:8] /= 10
    torch.testing.assert_close(stepper.cell_stress(), expected)


def test_extraction_of_some_cells_with_their_state(one, steel, table):
    stepper = ElasticStepper(one)
    strain = random_strain(table.num_cells)
    stepper.solve(BuildStep(None, "", strain), active(one))
    cells = torch.tensor([3, 0, 7, 20])
    four = cell_of(HexMesh.from_mask(np.ones((4, 1, 1)), table.spacing), steel)
    before = stepper.cell_stress().clone()
    part = stepper.extract(four, cells)
    torch.testing.assert_close(part.cell_stress(), before[cells])
    part.solve(BuildStep(None, "", random_strain(4, 3)), active(four))
    assert torch.equal(stepper.cell_stress(), before)


def test_a_failure_does_not_change_the_state(one):
    stepper = ElasticStepper(one)
    strain = random_strain(one.mesh.num_cells)
    stepper.solve(BuildStep(None, "", strain), active(one))
    before = stepper.cell_stress().clone()
    with pytest.raises(SolverError, match="layer 3"):
        stepper.solve(BuildStep(3, "layer 3", strain), active(one, max_iterations=0))
    assert torch.equal(stepper.cell_stress(), before)
