"""Elastoplastic steps: bars in closed form, and layered builds in equilibrium."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lpbf import HexMesh, Material, Process, SolverError, find_unsupported
from lpbf.core.table import Table
from lpbf.mechanics.build import PART, POWDER, make_build
from lpbf.mechanics.build_steps import BuildStep
from lpbf.mechanics.equilibrium import Equilibrium, Solution
from lpbf.mechanics.plastic_stepper import PlasticStepper
from lpbf.mechanics.return_mapping import von_mises_stress

E, NU, Y, H = 200_000.0, 0.3, 250.0, 2000.0
STEEL = Material("steel", E, NU, yield_stress=Y, hardening_modulus=H)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Threads do not speed up small matrices, and slow them down on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Supported:
    """All cells of a mesh with any supports; dense direct solutions, to rounding."""

    def __init__(self, build, free):
        self.cells = torch.from_numpy(build.mesh.cells)
        self.size = build.mesh.num_nodes
        self.free = torch.from_numpy(free)
        self.forces = []
        dofs = (3 * self.cells[:, :, None] + torch.arange(3)).flatten(1)
        self.stiffness = torch.zeros(3 * self.size, 3 * self.size, dtype=torch.float64)
        one = torch.from_numpy(build.brick.stiffness)
        factors = np.ones(len(dofs)) if build.cell_stiffness is None else build.cell_stiffness
        for row, factor in zip(dofs, factors, strict=True):
            self.stiffness[row[:, None], row] += factor * one

    def solve(self, force, start=None, tangent=None, tolerance=None, name=""):
        free = self.free.flatten().nonzero().flatten()
        matrix = self.stiffness
        if tangent is not None:
            units = torch.eye(3 * self.size, dtype=torch.float64).view(-1, self.size, 3)
            matrix = matrix + torch.stack([tangent(unit).flatten() for unit in units])
        self.forces.append(float((force * self.free).norm()))
        u = torch.zeros(3 * self.size, dtype=torch.float64)
        u[free] = torch.linalg.solve(matrix[free][:, free], force.flatten()[free])
        return Solution(u.view(-1, 3), 1, 0.0)


def walls(mesh):
    """Free degrees of freedom: x is fixed at both ends, y at y = 0 and z at z = 0."""
    free = np.ones((mesh.num_nodes, 3), dtype=bool)
    x, y, z = mesh.points.T
    free[(x == 0) | (x == x.max()), 0] = False
    free[y == 0, 1] = False
    free[z == 0, 2] = False
    return free


def bar(material=STEEL, shape=(3, 2, 2)):
    mesh = HexMesh.from_mask(np.ones(shape), (1.0, 1.2, 0.7))
    return make_build(mesh, Process(material=material))


def contraction(count, strain):
    eigenstrain = torch.zeros(count, 6, dtype=torch.float64)
    eigenstrain[:, 0] = -strain
    return eigenstrain


def build_up(build, stepper, equilibrium):
    """Sum of the increments of a layered build, and its reports."""
    total, reports = torch.zeros(build.mesh.num_nodes, 3, dtype=torch.float64), []
    for layer in range(build.num_layers):
        equilibrium.activate_layer(layer)
        eigenstrain = torch.zeros(len(equilibrium.cells), 6, dtype=torch.float64)
        eigenstrain[build.layer_cells(layer)] = torch.from_numpy(build.layer_strain[layer])
        du, report = stepper.solve(BuildStep(layer, f"layer {layer}", eigenstrain), equilibrium)
        total[: equilibrium.size] += du
        reports.append(report)
    return total, reports


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 2, 2)])
def test_bar_between_walls_in_closed_form(shape):
    """Contracting, it is pulled beyond its yield stress; expanding again, it unloads."""
    build = bar(shape=shape)
    equilibrium = Supported(build, walls(build.mesh))
    stepper = PlasticStepper(build, STEEL, tolerance=1e-9)
    cells = build.mesh.num_cells
    for strain in (0.001, 0.002, 0.002):  # 0.005 = sigma / E + p
        du, _ = stepper.solve(BuildStep(None, "pull", contraction(cells, strain)), equilibrium)
    p = (0.005 - Y / E) / (1 + H / E)
    stress = Y + H * p
    np.testing.assert_allclose(
        stepper.cell_stress(), np.tile([stress, 0, 0, 0, 0, 0], (cells, 1)), atol=1e-6 * Y
    )
    np.testing.assert_allclose(stepper.equivalent_plastic_strain(), p, rtol=1e-6)
    expected = np.tile([p, -p / 2, -p / 2, 0, 0, 0], (cells, 1))
    np.testing.assert_allclose(stepper.plastic_strain(), expected, atol=1e-6 * p)
    # The section shrinks by Poisson's ratio and by the flow at constant volume.
    assert float(du[:, 1].min()) < 0
    stepper.solve(BuildStep(None, "unload", contraction(cells, -0.001)), equilibrium)
    np.testing.assert_allclose(stepper.cell_stress()[:, 0], stress - 0.001 * E, rtol=1e-6)
    np.testing.assert_allclose(stepper.equivalent_plastic_strain(), p, rtol=1e-6)


def test_bar_softer_when_hot():
    table = Table((20.0, 1020.0), (300.0, 100.0))
    material = Material("steel", E, NU, yield_stress=table)
    build = bar(material)
    equilibrium = Supported(build, walls(build.mesh))
    stepper = PlasticStepper(build, material, temperature=20.0, tolerance=1e-9)
    cells = build.mesh.num_cells
    stepper.solve(BuildStep(None, "cold", contraction(cells, 0.001)), equilibrium)
    assert float(stepper.equivalent_plastic_strain().max()) == 0.0
    np.testing.assert_allclose(stepper.cell_stress()[:, 0], 0.001 * E, rtol=1e-9)
    # Without any load, the stress of 200 MPa falls to the yield stress of the hot metal.
    hot = torch.full((cells,), 720.0, dtype=torch.float64)
    stepper.solve(BuildStep(None, "hot", contraction(cells, 0.0), hot), equilibrium)
    np.testing.assert_allclose(stepper.cell_stress()[:, 0], 160.0, rtol=1e-6)
    np.testing.assert_allclose(stepper.equivalent_plastic_strain(), 40 / E, rtol=1e-6)
    # Cold again, the yield stress is higher.
    stepper.solve(BuildStep(None, "cold", contraction(cells, 0.0005)), equilibrium)
    np.testing.assert_allclose(stepper.cell_stress()[:, 0], 260.0, rtol=1e-6)


def test_newton_converges_quadratically():
    mesh = HexMesh.from_mask(np.ones((3, 3, 2)), 1.0)
    material = Material("m", E, NU, yield_stress=Y, saturation_stress=100.0, saturation_rate=50.0)
    build = make_build(mesh, Process(material=material))
    free = np.repeat(mesh.points[:, 2:] > 0, 3, axis=1)
    equilibrium = Supported(build, free)
    stepper = PlasticStepper(build, material, tolerance=1e-11)
    eigenstrain = torch.full((mesh.num_cells, 6), -0.004, dtype=torch.float64)
    eigenstrain[:, 3:] = 0.0
    _, report = stepper.solve(BuildStep(None, "step", eigenstrain), equilibrium)
    load, *residuals = equilibrium.forces
    relative = np.array([*residuals, report.residual * load]) / load
    assert report.newton_iterations == len(residuals) <= 7
    # Each of the last steps squares the residual, until it reaches rounding.
    last = relative[(relative < 1e-2) & (relative > 1e-13)]
    assert len(last) >= 2
    orders = np.log(last[1:]) / np.log(last[:-1])
    assert (orders > 1.7).all()


@pytest.fixture(scope="module")
def cube():
    """Six layers, each pulled well beyond its yield stress."""
    mesh = HexMesh.from_mask(np.ones((6, 6, 6)), 1.0)
    build = make_build(mesh, Process(material=STEEL, inherent_strain=(-0.004,) * 3))
    stepper, equilibrium = PlasticStepper(build, STEEL), Equilibrium(build)
    total, reports = build_up(build, stepper, equilibrium)
    return build, stepper, equilibrium, total, reports


def test_a_yielded_build_is_in_equilibrium(cube):
    build, stepper, equilibrium, _, reports = cube
    assert float((stepper.equivalent_plastic_strain() > 1e-4).double().mean()) > 0.5
    force = stepper.internal_force()
    assert force.shape == (build.mesh.num_nodes, 3)
    largest = float(force[~equilibrium.free].norm())
    assert float(force[equilibrium.free].norm()) < 1e-5 * largest
    # The reactions of the plate have no resultant.
    assert (force[~equilibrium.free].sum(0).abs() < 1e-5 * largest).all()
    assert all(report.residual <= 1e-6 for report in reports)
    assert all(1 <= report.newton_iterations <= 12 for report in reports)
    assert [report.name for report in reports] == [f"layer {n}" for n in range(6)]


def test_stress_stays_within_the_yield_surface(cube):
    _, stepper, *_ = cube
    cells = stepper._cells
    limit = Y + H * cells.equivalent
    ratio = von_mises_stress(cells.stress.view(6, 8, -1)) / limit
    assert float(ratio.max()) < 1 + 1e-9
    assert float(ratio.max()) > 1 - 1e-9


def test_plastic_flow_preserves_the_volume(cube):
    _, stepper, *_ = cube
    strain = stepper.plastic_strain()
    assert float(strain.abs().max()) > 1e-3
    assert float(strain[:, :3].sum(1).abs().max()) < 1e-14
    assert (stepper.equivalent_plastic_strain() >= 0).all()


def test_a_symmetric_part_stays_symmetric(cube):
    _, stepper, _, total, _ = cube
    grid = total.numpy().reshape(7, 7, 7, 3)  # z, y, x
    scale = np.abs(grid).max()
    for axis, component in ((2, 0), (1, 1)):
        mirrored = np.flip(grid, axis).copy()
        mirrored[..., component] *= -1
        assert np.abs(grid - mirrored).max() < 1e-5 * scale
    swapped = grid.transpose(0, 2, 1, 3)[..., [1, 0, 2]]
    assert np.abs(grid - swapped).max() < 1e-5 * scale
    p = stepper.equivalent_plastic_strain().numpy().reshape(6, 6, 6)
    np.testing.assert_allclose(p, p[:, ::-1], atol=1e-5 * p.max())


def test_plastic_flow_relieves_the_stress(cube):
    build, stepper, *_ = cube
    elastic = PlasticStepper(build, Material("strong", E, NU, yield_stress=1e5))
    build_up(build, elastic, Equilibrium(build))
    strongest = von_mises_stress(elastic.cell_stress().T).max()
    assert von_mises_stress(stepper.cell_stress().T).max() < 0.7 * strongest


def elastic_build_up(build):
    equilibrium = Equilibrium(build, tolerance=1e-10)
    total = torch.zeros(build.mesh.num_nodes, 3, dtype=torch.float64)
    for layer in range(build.num_layers):
        equilibrium.activate_layer(layer)
        corners = equilibrium.cells[build.layer_cells(layer)]
        load = torch.from_numpy(build.brick.load @ build.layer_strain[layer]).view(8, 3)
        force = torch.zeros(equilibrium.size, 3, dtype=torch.float64)
        force.index_add_(0, corners.flatten(), load.repeat(len(corners), 1))
        total[: equilibrium.size] += equilibrium.solve(force).u
    return total


def test_a_strong_material_gives_the_elastic_build():
    mask = np.ones((4, 3, 5), dtype=bool)
    mask[1:3, :, :2] = False
    material = Material("strong", E, NU, yield_stress=1e5)
    process = Process(material=material, inherent_strain=(-0.004, -0.001, -0.002))
    build = make_build(HexMesh.from_mask(mask, (1.0, 1.2, 0.7)), process)
    stepper = PlasticStepper(build, material, tolerance=1e-9)
    total, reports = build_up(build, stepper, Equilibrium(build))
    expected = elastic_build_up(build)
    np.testing.assert_allclose(total, expected, atol=1e-7 * float(expected.abs().max()))
    assert float(stepper.equivalent_plastic_strain().max()) == 0.0
    assert all(report.newton_iterations <= 2 for report in reports)


@pytest.mark.parametrize("seed", [0, 1])
def test_sparse_parts_without_hardening(seed):
    """Their tangent is nearly singular; steps that are too long are found and damped."""
    mask = np.random.default_rng(seed).random((4, 3, 3)) < 0.75
    mask[:, :, 0] = True
    unsupported, _ = find_unsupported(HexMesh.from_mask(mask, 1.0))
    material = Material("m", E, NU, yield_stress=100.0)
    process = Process(material=material, inherent_strain=(-0.015, -0.004, -0.012))
    build = make_build(HexMesh.from_mask(mask & ~unsupported, (0.9, 0.6, 0.8)), process)
    stepper, equilibrium = PlasticStepper(build, material), Equilibrium(build)
    build_up(build, stepper, equilibrium)
    force = stepper.internal_force()
    assert float(force[equilibrium.free].norm()) < 1e-3 * float(force.norm())
    cells = stepper._cells
    largest = float(von_mises_stress(cells.stress.view(6, 8, -1)).max())
    assert largest == pytest.approx(100.0, rel=1e-9)
    assert float(cells.equivalent.max()) > 0.01


def released(build):
    """Statically determinate supports in three points of the bottom."""
    x, y, z = build.mesh.points.T
    free = np.ones((build.mesh.num_nodes, 3), dtype=bool)
    free[(x == 0) & (y == 0) & (z == 0)] = False
    free[(x == x.max()) & (y == 0) & (z == 0), 1:] = False
    free[(x == 0) & (y == y.max()) & (z == 0), 2] = False
    return Supported(build, free)


def small_build():
    mesh = HexMesh.from_mask(np.ones((4, 2, 3)), 1.0)
    build = make_build(mesh, Process(material=STEEL))
    stepper = PlasticStepper(build, STEEL)
    build_up(build, stepper, Equilibrium(build))
    return build, stepper


def test_release_from_the_plate():
    build, stepper = small_build()
    cells = build.mesh.num_cells
    before = stepper.cell_stress()
    nothing = torch.zeros(cells, 6, dtype=torch.float64)
    spring_back, report = stepper.solve(BuildStep(None, "release", nothing), released(build))
    load = float(np.abs(build.brick.load).max()) * 0.004
    assert float(stepper.internal_force().abs().max()) < 1e-5 * load
    assert float(spring_back.abs().max()) > 1e-4
    assert report.name == "release"
    volume = np.prod(build.mesh.spacing)
    # Without loads, the mean stress of the part is zero.
    mean = stepper.cell_stress().sum(0) * volume
    assert float(mean.abs().max()) < 1e-4 * float(before.abs().max()) * volume * cells
    again, _ = stepper.solve(BuildStep(None, "again", nothing), released(build))
    assert float(again.abs().max()) < 1e-5 * float(spring_back.abs().max())


def test_forces_of_some_cells_add_up_and_their_state_can_be_extracted():
    build, stepper = small_build()
    cells = build.mesh.num_cells
    parts = [stepper.internal_force(slice(0, 8)), stepper.internal_force(slice(8, cells))]
    np.testing.assert_allclose(sum(parts), stepper.internal_force(), atol=1e-9)

    upper = make_build(HexMesh.from_mask(np.ones((4, 2, 2)), 1.0), Process(material=STEEL))
    part = stepper.extract(upper, torch.arange(8, cells))
    np.testing.assert_allclose(part.cell_stress(), stepper.cell_stress()[8:], rtol=1e-12)
    np.testing.assert_allclose(part.plastic_strain(), stepper.plastic_strain()[8:], atol=1e-15)
    p = part.equivalent_plastic_strain()
    np.testing.assert_allclose(p, stepper.equivalent_plastic_strain()[8:], rtol=1e-12)
    np.testing.assert_allclose(part.internal_force(), parts[1][15:], atol=1e-9)
    with pytest.raises(
        ValueError, match=r"build of the 8 cells to extract \(got one of 16 cells\)"
    ):
        stepper.extract(upper, torch.arange(8))


def test_powder_stays_elastic():
    """In series with the part, soft powder takes the contraction, far beyond the yield stress."""
    build = bar(shape=(4, 1, 1))
    kind = np.array([PART, POWDER, PART, PART], dtype=np.int8)
    factor = np.where(kind == PART, 1.0, 1e-3)
    build = replace(build, cell_kind=kind, cell_stiffness=factor)
    equilibrium = Supported(build, walls(build.mesh))
    stepper = PlasticStepper(build, STEEL, tolerance=1e-9)
    stepper.solve(BuildStep(None, "pull", contraction(4, 0.5)), equilibrium)
    stress = stepper.cell_stress()
    # Force along the bar: 4 * 0.5 = sum of stress / (factor E); the sections differ a little.
    assert Y < float(stress[0, 0]) < 2.0 / (1003 / E) * 1.5
    assert stepper.equivalent_plastic_strain()[1] == 0.0
    force = stepper.internal_force()
    ends = build.mesh.points[:, 0]
    left, right = force[ends == 0, 0].sum(), force[ends == ends.max(), 0].sum()
    assert float(left) == pytest.approx(-float(right), rel=1e-6)
    section = 1.2 * 0.7
    assert float(right) == pytest.approx(float(stress[1, 0]) * section, rel=1e-6)


def test_results_do_not_depend_on_the_increments_of_a_proportional_load():
    build = bar()
    cells = build.mesh.num_cells
    results = []
    for count in (1, 4):
        stepper = PlasticStepper(build, STEEL, tolerance=1e-10)
        equilibrium = Supported(build, walls(build.mesh))
        for _ in range(count):
            stepper.solve(BuildStep(None, "pull", contraction(cells, 0.006 / count)), equilibrium)
        results.append(stepper.cell_stress())
    np.testing.assert_allclose(results[0], results[1], atol=1e-6)


def test_no_convergence_is_an_error_and_does_not_change_the_state():
    build = bar()
    cells = build.mesh.num_cells
    stepper = PlasticStepper(build, STEEL, max_iterations=1, tolerance=1e-12)
    mesh = build.mesh
    free = np.repeat(mesh.points[:, 2:] > 0, 3, axis=1)
    with pytest.raises(
        SolverError, match=r"layer 3: .* did not converge in 1 Newton iterations \(residual .* N"
    ):
        stepper.solve(BuildStep(3, "layer 3", contraction(cells, 0.02)), Supported(build, free))
    assert float(stepper._cells.stress.abs().max()) == 0.0


def test_a_step_without_load():
    build = bar()
    stepper = PlasticStepper(build, STEEL)
    nothing = torch.zeros(build.mesh.num_cells, 6, dtype=torch.float64)
    du, report = stepper.solve(
        BuildStep(None, "rest", nothing), Supported(build, walls(build.mesh))
    )
    assert (du == 0).all()
    assert (report.iterations, report.newton_iterations, report.residual) == (0, 0, 0.0)


def test_a_material_without_yield_stress_is_refused():
    with pytest.raises(ValueError, match="Material 'soft': expected yield_stress"):
        PlasticStepper(bar(), Material("soft", E, NU))
