import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import spsolve

from lpbf import HexMesh, Process, SolverError
from lpbf.core.base_plate import BasePlate
from lpbf.mechanics.build import make_build
from lpbf.mechanics.equilibrium import Equilibrium
from lpbf.mechanics.rigid_body_modes import rigid_body_modes
from lpbf.solve import preconditioner


def build_of(mesh, steel, **process):
    return make_build(mesh, Process(material=steel, **process))


def active(build, **options):
    equilibrium = Equilibrium(build, **{"tolerance": 1e-10, **options})
    for layer in range(build.num_layers):
        equilibrium.activate_layer(layer)
    return equilibrium


def random_force(size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(size, 3, generator=generator, dtype=torch.float64)


def direct(matrix, free, force):
    """The solution on the free nodes by a factorisation."""
    index = np.flatnonzero(np.repeat(free, 3))
    u = np.zeros(matrix.shape[0])
    u[index] = spsolve(matrix[index][:, index].tocsc(), force.ravel()[index])
    return u.reshape(-1, 3)


def close(found, expected, relative=1e-7):
    np.testing.assert_allclose(found, expected, rtol=0, atol=relative * np.abs(expected).max())


def test_each_layer_against_a_direct_solution(steel, assembled, table):
    build = build_of(table, steel, layer_height=2 * table.spacing[2])
    equilibrium = Equilibrium(build, tolerance=1e-10)
    assert (equilibrium.size, len(equilibrium.cells), len(equilibrium.free)) == (0, 0, 0)
    for layer in range(build.num_layers):
        equilibrium.activate_layer(layer)
        stop = build.layer_cells(layer).stop
        np.testing.assert_array_equal(equilibrium.cells, table.cells[:stop])
        matrix = assembled(table.cells[:stop], build.brick.stiffness, table.num_nodes)
        matrix = matrix[: 3 * equilibrium.size, : 3 * equilibrium.size]
        free = np.zeros(equilibrium.size, dtype=bool)
        free[np.unique(table.cells[:stop])] = True
        free &= table.points[: equilibrium.size, 2] > 0
        np.testing.assert_array_equal(equilibrium.free, free)

        u = random_force(equilibrium.size, layer)
        close(equilibrium.apply(u).numpy().ravel(), matrix @ u.numpy().ravel(), 1e-12)
        force = random_force(equilibrium.size, 10 + layer)
        given = force.clone()
        solution = equilibrium.solve(force)
        assert torch.equal(force, given)
        assert 0 < solution.iterations < 60
        assert solution.residual <= 1e-10
        close(solution.u.numpy(), direct(matrix, free, force.numpy()))
        assert (solution.u.numpy()[~free] == 0).all()


@settings(deadline=None, max_examples=10)
@given(st.data())
def test_any_supported_shape(steel, assembled, supported_masks, data):
    mesh = HexMesh.from_mask(data.draw(supported_masks(5, 4, 5)), data.draw(spacings))
    build = build_of(mesh, steel)
    equilibrium = active(build)
    force = random_force(mesh.num_nodes)
    matrix = assembled(mesh.cells, build.brick.stiffness, mesh.num_nodes)
    close(
        equilibrium.solve(force).u.numpy(),
        direct(matrix, equilibrium.free.numpy(), force.numpy()),
        1e-6,
    )


spacings = st.tuples(*[st.floats(0.2, 2.0)] * 3)


@pytest.fixture(scope="module", autouse=True)
def multigrid():
    """Multigrid also for the small parts of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preconditioner, "prefers_elimination", lambda *_: False)
        yield


@pytest.fixture(scope="module")
def whole(steel, table):
    return active(build_of(table, steel))


def test_no_displacement_without_force(whole):
    zero = torch.zeros(whole.size, 3, dtype=torch.float64)
    for start in (None, random_force(whole.size)):
        solution = whole.solve(zero, start=start)
        assert (solution.u == 0).all()
        assert (solution.iterations, solution.residual) == (0, 0.0)


def test_forces_on_fixed_nodes_have_no_effect(whole):
    force = random_force(whole.size)
    force[whole.free] = 0
    assert (whole.solve(force).u == 0).all()


def test_initial_guess_is_used_and_does_not_change_the_solution(whole):
    force = random_force(whole.size)
    plain = whole.solve(force)
    good = whole.solve(force, start=3.0 * plain.u)  # scaled right by the least energy
    assert good.iterations <= 1
    close(good.u.numpy(), plain.u.numpy(), 1e-7)
    # Guesses that move the clamped nodes, are far off, equal, or zero.
    bad = random_force(whole.size, 5)
    zero = torch.zeros_like(bad)
    for starts in (bad, torch.stack([bad, bad]), torch.stack([zero, bad]), zero):
        given = starts.clone()
        close(whole.solve(force, start=starts).u.numpy(), plain.u.numpy(), 1e-7)
        assert torch.equal(starts, given)


def test_best_combination_of_initial_guesses(whole):
    first, second = random_force(whole.size, 1), random_force(whole.size, 2)
    one, other = whole.solve(first).u, whole.solve(second).u
    found = whole.solve(2 * first - 3 * second, start=torch.stack([one, other]))
    assert found.iterations <= 1
    close(found.u.numpy(), (2 * one - 3 * other).numpy(), 1e-7)


def test_a_tangent_is_added(steel, whole, assembled, table):
    build = whole.build
    softer = -0.7 * whole.build.brick.stiffness
    rng = np.random.default_rng(0)
    share = rng.random(table.num_cells)
    change = assembled(table.cells, softer, table.num_nodes, share)

    def tangent(u):
        assert u.shape == (whole.size, 3)
        return torch.from_numpy((change @ u.numpy().ravel()).reshape(-1, 3))

    force = random_force(whole.size)
    matrix = assembled(table.cells, build.brick.stiffness, table.num_nodes) + change
    expected = direct(matrix, whole.free.numpy(), force.numpy())
    close(whole.solve(force, tangent=tangent).u.numpy(), expected)
    start = random_force(whole.size, 3)
    close(whole.solve(force, start=start, tangent=tangent).u.numpy(), expected)


def test_tolerance_of_one_solution(whole):
    force = random_force(whole.size)
    rough = whole.solve(force, tolerance=1e-2)
    fine = whole.solve(force)
    assert rough.iterations < fine.iterations
    assert 1e-10 < rough.residual <= 1e-2
    assert whole.solve(1e-12 * force).iterations == pytest.approx(fine.iterations, abs=1)


def test_no_convergence_is_an_error(steel, table):
    equilibrium = active(build_of(table, steel), max_iterations=2)
    with pytest.raises(SolverError, match=r"layer 7: .* 2 iterations \(residual \d.* N, expected"):
        equilibrium.solve(random_force(equilibrium.size), name="layer 7")
    force = random_force(equilibrium.size)
    force[equilibrium.free.nonzero()[0]] = torch.nan
    with pytest.raises(SolverError, match=r"cooling: .*residual nan N"):
        equilibrium.solve(force, name="cooling")


def struts(gap):
    """Two bars above each other at a post, with this gap in x between the post and the upper."""
    mask = np.zeros((5, 2, 3), dtype=bool)
    mask[:2, :, 0] = mask[:2, :, 1] = True
    mask[2 + gap :, :, 2] = True
    return HexMesh.from_mask(mask, 1.0)


@pytest.mark.parametrize(
    ("mesh", "message"),
    [
        (struts(0), "2 bodies of voxels touch each other only at edges or corners, where they "
         "rotate freely in the powder; use a finer pitch, so that the voxels of a strut share"),
        (struts(1), "2 parts are loose in the powder until they are joined; drop the unsupported"),
    ],
)  # fmt: skip
def test_what_to_do_about_a_lattice_in_powder(steel, mesh, message):
    build = make_build(mesh, Process(material=steel, layer_height=1.0, islands="powder"))
    equilibrium = active(build, max_iterations=1)
    equilibrium._preconditioner.cycle = lambda residual: residual  # no direct solution
    with pytest.raises(SolverError, match=f"layer 2: .* N.; {message}"):
        equilibrium.solve(random_force(equilibrium.size), name="layer 2")


def test_an_indefinite_tangent_is_an_error(whole):
    with pytest.raises(SolverError, match="layer 3: .*did not converge"):
        whole.solve(random_force(whole.size), tangent=lambda u: -1e9 * u, name="layer 3")


def test_an_unclamped_part(steel, assembled, table):
    build = build_of(table, steel)
    equilibrium = active(build, clamped=False)
    assert equilibrium.free.all()
    matrix = assembled(table.cells, build.brick.stiffness, table.num_nodes).toarray()
    centred = table.points - table.points.mean(axis=0)
    modes = np.linalg.qr(rigid_body_modes(centred).reshape(-1, 6))[0]
    force = np.random.default_rng(0).normal(size=3 * table.num_nodes)
    force -= modes @ (modes.T @ force)
    expected = np.linalg.lstsq(matrix, force, rcond=1e-12)[0]
    for start in (None, random_force(equilibrium.size)):
        solution = equilibrium.solve(torch.from_numpy(force.reshape(-1, 3)), start=start)
        assert solution.iterations < 80
        close(solution.u.numpy().ravel(), expected, 1e-6)


def test_plate_and_powder_have_their_stiffness(steel, assembled):
    mask = np.ones((3, 2, 4), dtype=bool)
    mask[1:, :, :2] = False
    mask[1, :, 2:] = False
    mesh = HexMesh.from_mask(mask, 1.0)
    plate = BasePlate(thickness=2.0, margin=1.0, youngs_modulus=70_000.0)
    build = build_of(mesh, steel, base_plate=plate, islands="powder")
    equilibrium = active(build)
    factor = np.select([build.cell_kind == 1, build.cell_kind == 2], [0.35, 1e-4], 1.0)
    whole = build.mesh
    matrix = assembled(whole.cells, build.brick.stiffness, whole.num_nodes, factor)
    force = np.zeros((whole.num_nodes, 3))
    force[build.part_nodes] = np.random.default_rng(0).normal(size=(len(build.part_nodes), 3))
    expected = direct(matrix, equilibrium.free.numpy(), force)
    close(equilibrium.solve(torch.from_numpy(force)).u.numpy(), expected, 1e-6)


def test_direct_solution_of_a_growing_part(steel, assembled, table, monkeypatch):
    monkeypatch.setattr(preconditioner, "prefers_elimination", lambda *_: True)
    build = build_of(table, steel)
    equilibrium = Equilibrium(build, tolerance=1e-10)
    for layer in range(build.num_layers):
        equilibrium.activate_layer(layer)
        cells = table.cells[: build.layer_cells(layer).stop]
        size = equilibrium.size
        matrix = assembled(cells, build.brick.stiffness, table.num_nodes)
        matrix = matrix[: 3 * size, : 3 * size]
        force = random_force(size, layer)
        solution = equilibrium.solve(force, start=random_force(size, 5))
        assert solution.iterations == 1
        close(solution.u.numpy(), direct(matrix, equilibrium.free.numpy(), force.numpy()))
