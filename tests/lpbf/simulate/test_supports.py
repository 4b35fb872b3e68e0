"""Builds with supports against independently assembled steps, and their symmetry."""

import numpy as np
import pytest

from flare_mesh.io import read_mesh
from lpbf import HexMesh, Material, PartError, Process, Supports, add_supports, simulate
from lpbf.core.element import brick, isotropic_elasticity
from lpbf.core.support_cells import with_supports
from lpbf.core.supports import REMOVALS
from lpbf.core.wall_grid import wall_grid_elasticity

STEEL = Material("steel", 200_000.0, 0.3, yield_stress=300.0, hardening_modulus=2000.0)
SPACING = (1.0, 1.2, 0.8)
STRAIN = (-0.004, -0.002, -0.003)


def table(mirrored=False):
    """A post with a flat overhang on one side."""
    mask = np.zeros((6, 3, 5), dtype=bool)
    mask[:2] = True
    mask[:, :, 3:] = True
    mask[5, 2, 3:] = False
    return HexMesh.from_mask(mask[::-1] if mirrored else mask, SPACING)


def reference(mesh, supports, fraction, release):
    """Dense solutions of the steps: the part's displacement on the plate and after the release."""
    whole = HexMesh.from_mask(mesh.mask | supports, SPACING)
    is_support = supports[tuple(whole.cell_index.T)]
    solid = brick(SPACING, isotropic_elasticity(200_000.0, 0.3))
    walls = brick(SPACING, wall_grid_elasticity(200_000.0, 0.3, fraction))
    dofs = (3 * whole.cells[:, :, None] + np.arange(3)).reshape(-1, 24)
    layer, size = whole.cell_index[:, 2], 3 * whole.num_nodes
    total, born = np.zeros(size), np.full(size, 99)
    np.minimum.at(born, dofs.ravel(), np.repeat(layer, 24))
    strain = np.array([*STRAIN, 0, 0, 0])
    local = np.zeros((whole.num_cells, 24))
    for n in range(layer.max() + 1):
        stiffness, force = np.zeros((size, size)), np.zeros(size)
        for cell in np.flatnonzero(layer <= n):
            one = walls if is_support[cell] else solid
            stiffness[np.ix_(dofs[cell], dofs[cell])] += one.stiffness
            if layer[cell] == n:
                force[dofs[cell]] += one.load @ strain
        free = (born <= n) & (np.repeat(whole.points[:, 2], 3) > 0)
        step = np.zeros(size)
        step[free] = np.linalg.solve(stiffness[np.ix_(free, free)], force[free])
        total += step
        local[layer <= n] += step[dofs[layer <= n]]
    nodes = np.unique(whole.cells[~is_support])
    on_plate = total.reshape(-1, 3)[nodes]
    if not release:
        return on_plate
    dofs = (3 * mesh.cells[:, :, None] + np.arange(3)).reshape(-1, 24)
    stiffness, force = np.zeros((3 * mesh.num_nodes,) * 2), np.zeros(3 * mesh.num_nodes)
    for own, u in zip(dofs, local[~is_support], strict=True):
        stiffness[np.ix_(own, own)] += solid.stiffness
        force[own] += solid.load @ strain - solid.stiffness @ u
    u = on_plate + (np.linalg.pinv(stiffness, rcond=1e-10) @ force).reshape(-1, 3)
    x, y, z = (mesh.points - mesh.points.mean(axis=0)).T
    zero, one = np.zeros_like(x), np.ones_like(x)
    modes = [[one, zero, zero], [zero, one, zero], [zero, zero, one]]
    modes += [[-y, x, zero], [zero, -z, y], [z, zero, -x]]
    modes = np.array(modes).transpose(2, 1, 0).reshape(-1, 6)
    fit = np.linalg.lstsq(modes, u.ravel(), rcond=None)[0]
    return u - (modes @ fit).reshape(-1, 3)


@pytest.mark.parametrize("release", [False, True])
def test_build_against_assembled_steps(release):
    mesh = table()
    process = Process(material=STEEL, inherent_strain=STRAIN, supports=True, release=release)
    result = simulate(mesh, process, tolerance=1e-11)
    supports = result.mesh.supports
    assert supports is not None
    np.testing.assert_array_equal(supports, add_supports(mesh, Supports()).supports)
    assert supports.sum() == 3 * 3 * 3 - 3
    expected = reference(mesh, supports, 0.2, release)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(result.displacement, expected, atol=1e-8 * scale)
    # Supports carry the overhang.
    without = simulate(mesh, Process(material=STEEL, inherent_strain=STRAIN, release=release))
    assert without.mesh.supports is None
    assert np.abs(result.displacement - without.displacement).max() > 0.05 * scale


def test_plastic_build_without_yielding_is_the_elastic_one():
    process = Process(material=STEEL, inherent_strain=(-1e-5,) * 3, supports=True, release=True)
    elastic = simulate(table(), process, tolerance=1e-10)
    plastic = Process(**{**vars(process), "plasticity": True})
    result = simulate(table(), plastic, tolerance=1e-10)
    assert result.equivalent_plastic_strain is not None
    assert (result.equivalent_plastic_strain == 0).all()
    atol = 1e-5 * np.abs(elastic.displacement).max()
    np.testing.assert_allclose(result.displacement, elastic.displacement, atol=atol)


@pytest.mark.parametrize("order", REMOVALS)
def test_orders_of_the_release(order, tmp_path):
    """The last state of an elastic part does not depend on the order."""
    mesh, supports = table(), Supports(order=order)
    process = Process(material=STEEL, inherent_strain=STRAIN, supports=supports, release=True)
    result = simulate(mesh, process, tolerance=1e-11, history=True)
    names = ["release", "supports off"] if order == "plate first" else ["supports off", "release"]
    assert [state.name for state in result.release] == names
    assert [state.name for state in result.history[-2:]] == names
    expected = reference(mesh, result.mesh.supports, 0.2, release=True)
    atol = 1e-8 * np.abs(expected).max()
    np.testing.assert_allclose(result.displacement, expected, atol=atol)
    between = result.release[0]
    assert not between.removed.any()
    assert between.on_plate.any() == (order == "supports first")
    assert np.abs(between.displacement - expected).max() > 0.01 * np.abs(expected).max()
    if order == "supports first":  # the part alone on the plate
        assert (between.displacement[mesh.points[:, 2] == 0] == 0).all()

    state = result.supports
    np.testing.assert_array_equal(state.mesh.mask, result.mesh.supports)
    whole = with_supports(result.mesh)
    shared = np.isin(state.mesh.nodes_in(whole), result.mesh.nodes_in(whole))
    number = {tuple(point): n for n, point in enumerate(mesh.points)}
    same = [number[tuple(point)] for point in state.mesh.points[shared]]
    np.testing.assert_array_equal(
        result.displacement_on_plate[same], state.displacement_on_plate[shared]
    )
    # Supports that are taken off first have moved no more.
    moved = np.abs(state.displacement - state.displacement_on_plate).max()
    assert (moved > 0) == (order == "plate first")

    result.save(tmp_path / "part.vtu")
    saved = read_mesh(tmp_path / "part.vtu")
    assert saved.num_nodes == whole.num_nodes
    assert (
        saved.cell_fields["is_support"].flatten().tolist()
        == [0] * mesh.num_cells + [1] * state.mesh.num_cells
    )
    np.testing.assert_allclose(
        saved.displacement[: mesh.num_nodes], result.displacement, rtol=1e-5, atol=1e-8
    )
    centres = saved.pos[saved.hexahedron[mesh.num_cells :]].mean(1).numpy()
    expected = state.mesh.points[state.mesh.cells].mean(axis=1)
    np.testing.assert_allclose(centres, expected, atol=1e-5)
    assert (saved.support_share[mesh.num_nodes :] == 1).all()


def test_cuts_that_leave_only_supports():
    cut = [{"box": [[-1.0, -1.0, -1.0], [9.0, 9.0, 9.0]]}]
    process = Process(material=STEEL, supports=True, release=cut)
    with pytest.raises(PartError, match="leaves nothing of the part"):
        simulate(table(), process)
    lost = [{"box": [[-1.0, -1.0, -1.0], [2.0, 9.0, 9.0]]}, {"box": [[0, 0, 2.0], [9.0, 9.0, 9.0]]}]
    with pytest.raises(PartError, match="the cuts leave nothing but supports"):
        simulate(table(), Process(material=STEEL, supports=True, release=lost))


@pytest.mark.parametrize("plasticity", [False, True])
def test_mirrored_part(plasticity):
    process = Process(
        material=STEEL, supports=Supports(angle=40.0), plasticity=plasticity, plastic_increments=1,
        release=True,
    )  # fmt: skip
    one, other = (simulate(table(side), process, tolerance=1e-11) for side in (False, True))
    order = np.lexsort((-one.points[:, 0], one.points[:, 1], one.points[:, 2]))
    scale = np.abs(one.displacement).max()
    mirrored = one.displacement[order] * [-1, 1, 1]
    atol = (1e-5 if plasticity else 1e-8) * scale
    np.testing.assert_allclose(other.displacement, mirrored, atol=atol)


@pytest.mark.slow
def test_homogeneous_supports_against_a_grid_of_walls():
    """Walls of one voxel at a distance of eight, as cells of the part that are cut away."""
    pitch, period, post, height, slab = 0.125, 8, 8, 16, 6
    size = (post + 4 * period, 3 * period, height + slab)
    mask, bodies = np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
    mask[:post] = mask[:, :, height:] = True
    bodies[post:, :, :height] = True
    i, j = np.indices(size[:2])
    walls = ((i - post) % period == period // 2) | (j % period == period // 2)
    fraction = 1 - (1 - 1 / period) ** 2
    assert walls[post:].mean() == pytest.approx(fraction)

    supports = Supports(generate=False, volume_fraction=fraction)
    process = Process(material=STEEL, supports=supports, release=True)
    found = simulate(HexMesh.from_mask(mask, pitch, supports=bodies), process)
    whole = HexMesh.from_mask(mask | (bodies & walls[:, :, None]), pitch)
    box = [[post * pitch, -1.0, -1.0], [9.0, 9.0, height * pitch]]
    cuts = Process(material=STEEL, release=[{"below": 0.0}, {"box": box}])
    expected = simulate(whole, cuts)
    nodes = found.mesh.nodes_in(whole)

    def error(one, other):
        return np.linalg.norm(one - other) / np.linalg.norm(other)

    assert error(found.displacement, expected.displacement[nodes]) < 0.05
    # On the plate, the lowest layer of the overhang sags between the walls; its top does not.
    top = found.points[:, 2] > (height + slab - 0.5) * pitch
    on_plate = expected.displacement_on_plate[nodes]
    assert error(found.displacement_on_plate[top], on_plate[top]) < 0.05
