import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lpbf import HexMesh, Process, simulate
from lpbf.mechanics.build import make_build
from lpbf.mechanics.equilibrium import Equilibrium
from lpbf.mechanics.zero_energy_modes import ZeroEnergyModes


def projector(mesh, fixed=None):
    """Orthogonal projector [3 N, 3 N] on the modes."""
    modes, size = ZeroEnergyModes(mesh, fixed), 3 * mesh.num_nodes
    left = [modes.remove(unit.reshape(-1, 3)).ravel() for unit in np.eye(size)]
    return np.eye(size) - np.array(left)


def blocks(*corners, shape=(6, 6, 6)):
    """Blocks of 2 x 2 x 2 voxels at these lower corners."""
    mask = np.zeros(shape, dtype=bool)
    for x, y, z in corners:
        mask[x : x + 2, y : y + 2, z : z + 2] = True
    return mask


@pytest.mark.parametrize(
    ("mask", "count"),
    [
        (blocks((0, 0, 0)), 6),
        (blocks((0, 0, 0), (2, 0, 0)), 6),
        (blocks((0, 0, 0), (3, 0, 0)), 12),
        (blocks((0, 0, 0), (2, 2, 0)), 7),  # an edge: a door
        (blocks((0, 0, 0), (2, 2, 2)), 9),  # a corner: a ball joint
        (blocks((0, 0, 0), (2, 2, 0), (4, 4, 0)), 8),
        (blocks((0, 2, 0), (2, 0, 0), (2, 4, 0), (4, 2, 0)), 7),  # four bars in a ring
        (blocks((0, 0, 0), (2, 2, 2), (2, 0, 4)), 10),
    ],
)
def test_modes_are_projected_out(mask, count):
    found = projector(HexMesh.from_mask(mask, (1.0, 1.3, 0.7)))
    np.testing.assert_allclose(found, found.T, atol=1e-12)
    np.testing.assert_allclose(found @ found, found, atol=1e-12)
    np.testing.assert_allclose(np.trace(found), count, atol=1e-10)


def at(mesh, *corners):
    """Nodes at these corners of the grid."""
    nodes = mesh.points / np.array(mesh.spacing)
    return np.array([np.isclose(nodes, c).all(axis=1) for c in corners]).any(axis=0)


@pytest.mark.parametrize(
    ("mask", "corners", "count"),
    [
        (blocks((0, 0, 0)), [(0, 0, 0)], 3),
        (blocks((0, 0, 0)), [(0, 0, 0), (2, 0, 0)], 1),
        (blocks((0, 0, 0)), [(0, 0, 0), (2, 0, 0), (0, 2, 0)], 0),
        (blocks((0, 0, 0), (2, 2, 0)), [(0, 0, 0), (2, 0, 0), (0, 2, 0)], 1),  # the hinge of a door
        (blocks((0, 0, 0), (2, 2, 0)), [(2, 2, 0)], 4),
        (blocks((0, 0, 0), (2, 2, 0)), [(2, 2, 0), (2, 2, 2)], 2),
    ],
)
def test_fixed_nodes_have_no_mode(mask, corners, count):
    mesh = HexMesh.from_mask(mask, (1.0, 1.3, 0.7))
    fixed = at(mesh, *corners)
    found = projector(mesh, fixed)
    np.testing.assert_allclose(np.trace(found), count, atol=1e-10)
    np.testing.assert_allclose(found[np.repeat(fixed, 3)], 0, atol=1e-12)


def test_a_component_without_fixed_nodes_is_free():
    mesh = HexMesh.from_mask(blocks((0, 0, 0), (3, 0, 0)), 1.0)
    found = projector(mesh, mesh.points[:, 0] == 0)
    np.testing.assert_allclose(np.trace(found), 6, atol=1e-10)
    np.testing.assert_allclose(found[np.repeat(mesh.points[:, 0] < 2.5, 3)], 0, atol=1e-12)


@settings(deadline=None, max_examples=15)
@given(st.data())
def test_modes_are_the_null_space_of_the_stiffness(masks, data):
    mesh = HexMesh.from_mask(data.draw(masks(4, 3, 3)), (1.0, 1.3, 0.7))
    build = make_build(mesh, Process(layer_height=0.7 * mesh.mask.shape[2], islands="powder"))
    if build.mesh is not mesh:
        return  # with powder
    equilibrium = Equilibrium(build, clamped=False)
    equilibrium.activate_layer(0)
    size = 3 * mesh.num_nodes
    unit = torch.eye(size, dtype=torch.float64).view(size, -1, 3)
    stiffness = torch.stack([equilibrium.apply(u).flatten() for u in unit]).numpy()
    values, vectors = np.linalg.eigh(stiffness)
    modes = vectors[:, values < 1e-9 * values[-1]]
    given = np.random.default_rng(0).normal(size=(mesh.num_nodes, 3))
    expected = given.ravel() - modes @ (modes.T @ given.ravel())
    np.testing.assert_allclose(ZeroEnergyModes(mesh).remove(given).ravel(), expected, atol=1e-7)


def lattice(size):
    """Walls of one voxel at 45 degrees: columns that share edges."""
    x, y = np.indices((size, size))
    return np.repeat((((x + y) % 6 == 0) | ((x - y) % 6 == 0))[:, :, None], 2, 2)


def test_a_lattice_of_hinges_against_dense_algebra():
    mesh = HexMesh.from_mask(lattice(7), (1.0, 1.3, 0.7))
    labels = np.arange(mesh.num_cells) // 2  # columns of two voxels
    cells = mesh.cells[np.lexsort(mesh.cell_index[:, ::-1].T)].reshape(-1, 16)
    constraints = []
    for body in range(labels.max() + 1):
        nodes = np.unique(cells[body])
        offset = mesh.points[nodes] - mesh.points[nodes].mean(axis=0)
        modes = np.zeros((3 * mesh.num_nodes, 6))
        for axis in range(3):
            modes[3 * nodes + axis, axis] = 1
            turn = np.cross(np.eye(3)[axis], offset)
            modes[(3 * nodes[:, None] + np.arange(3)).ravel(), 3 + axis] = turn.ravel()
        rows = (3 * nodes[:, None] + np.arange(3)).ravel()
        basis = np.linalg.qr(modes[rows])[0]
        own = np.zeros((len(rows), 3 * mesh.num_nodes))
        own[np.arange(len(rows)), rows] = 1
        constraints.append(own - basis @ (basis.T @ own))  # what is no rigid motion of this body
    _, values, vectors = np.linalg.svd(np.concatenate(constraints))
    modes = vectors[(values > 1e-9 * values[0]).sum() :]
    assert len(modes) > 12
    given = np.random.default_rng(0).normal(size=(mesh.num_nodes, 3))
    expected = given.ravel() - modes.T @ (modes @ given.ravel())
    found = ZeroEnergyModes(mesh).remove(given)
    np.testing.assert_allclose(found.ravel(), expected, atol=1e-10)


def test_hundreds_of_bodies():
    mesh = HexMesh.from_mask(lattice(43), 1.0)
    given = mesh.points[:, [1, 0, 2]] ** 2  # as symmetric as the lattice, about its diagonal
    modes = ZeroEnergyModes(mesh)
    found = modes.remove(given)
    np.testing.assert_allclose(modes.remove(found), found, atol=1e-9)
    order = np.lexsort(mesh.points[:, [0, 1, 2]].T)
    mirrored = np.lexsort(mesh.points[:, [1, 0, 2]].T)
    np.testing.assert_allclose(
        found[order], found[mirrored][:, [1, 0, 2]], atol=1e-8 * np.abs(found).max()
    )


@pytest.mark.parametrize("plasticity", [False, True])
def test_the_angle_of_a_hinge_does_not_depend_on_the_grid(plasticity):
    mask = np.zeros((6, 5, 4), dtype=bool)
    mask[:3, :2] = True
    mask[3:, 2:] = True
    mask[4, 3, 2] = False
    process = Process(
        inherent_strain=(-0.006, -0.002, -0.004),
        scan_rotation=30.0,
        plasticity=plasticity,
        release=True,
    )
    # Another grid for multigrid, whose solution has another share of the mechanism.
    moved = np.pad(mask, ((1, 0), (0, 0), (0, 0)))
    here, there = (simulate(HexMesh.from_mask(m, 1.0), process) for m in (mask, moved))
    largest = np.abs(here.displacement).max()
    assert np.abs(here.displacement - there.displacement).max() < 1e-5 * largest
