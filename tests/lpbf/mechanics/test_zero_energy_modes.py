import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lpbf import HexMesh, Process, simulate
from lpbf.mechanics.build import make_build
from lpbf.mechanics.equilibrium import Equilibrium
from lpbf.mechanics.zero_energy_modes import zero_energy_modes


def blocks(*corners, shape=(6, 6, 6)):
    """Blocks of 2 x 2 x 2 voxels at these lower corners."""
    mask = np.zeros(shape, dtype=bool)
    for x, y, z in corners:
        mask[x : x + 2, y : y + 2, z : z + 2] = True
    return mask


@pytest.mark.parametrize(
    ("mask", "counts"),
    [
        (blocks((0, 0, 0)), [6]),
        (blocks((0, 0, 0), (2, 0, 0)), [6]),
        (blocks((0, 0, 0), (3, 0, 0)), [6, 6]),
        (blocks((0, 0, 0), (2, 2, 0)), [7]),  # an edge: a door
        (blocks((0, 0, 0), (2, 2, 2)), [9]),  # a corner: a ball joint
        (blocks((0, 0, 0), (2, 2, 0), (4, 4, 0)), [8]),
        (blocks((0, 2, 0), (2, 0, 0), (2, 4, 0), (4, 2, 0)), [7]),  # four bars in a ring
        (blocks((0, 0, 0), (2, 2, 2), (2, 0, 4)), [10]),
    ],
)
def test_number_of_modes(mask, counts):
    found = zero_energy_modes(HexMesh.from_mask(mask, (1.0, 1.3, 0.7)))
    assert sorted(modes.shape[1] for _, modes in found) == counts
    for nodes, modes in found:
        assert modes.shape[0] == 3 * len(nodes)
        np.testing.assert_allclose(modes.T @ modes, np.eye(modes.shape[1]), atol=1e-12)


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
    ((nodes, modes),) = zero_energy_modes(mesh, fixed)
    assert modes.shape == (3 * len(nodes), count)
    np.testing.assert_allclose(modes.reshape(len(nodes), 3, -1)[fixed[nodes]], 0, atol=1e-12)


def test_a_component_without_fixed_nodes_is_free():
    mesh = HexMesh.from_mask(blocks((0, 0, 0), (3, 0, 0)), 1.0)
    found = zero_energy_modes(mesh, mesh.points[:, 0] == 0)
    assert sorted(modes.shape[1] for _, modes in found) == [0, 6]


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
    components = zero_energy_modes(mesh)
    for nodes, modes in components:
        field = np.zeros((mesh.num_nodes, 3, modes.shape[1]))
        field[nodes] = modes.reshape(len(nodes), 3, -1)
        forces = stiffness @ field.reshape(size, -1)
        assert np.abs(forces).max() <= 1e-9 * np.abs(stiffness).max()
    values = np.linalg.eigvalsh(stiffness)
    assert (values < 1e-9 * values[-1]).sum() == sum(m.shape[1] for _, m in components)
    assert sorted(np.concatenate([n for n, _ in components])) == list(range(mesh.num_nodes))


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
