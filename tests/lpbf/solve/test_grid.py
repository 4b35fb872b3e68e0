import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lpbf import HexMesh
from lpbf.solve.brick_modes import LEXICOGRAPHIC
from lpbf.solve.grid import Grid


def some_grid(masks, data):
    mesh = HexMesh.from_mask(data.draw(masks()), 1.0)
    return mesh, Grid.from_cells(mesh.cell_index)


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_numbering_is_that_of_the_mesh(masks, data):
    mesh, grid = some_grid(masks, data)
    assert grid.num_nodes == mesh.num_nodes
    np.testing.assert_array_equal(grid.node_index, mesh.points)
    np.testing.assert_array_equal(grid.corners, mesh.cells[:, LEXICOGRAPHIC])
    offsets = grid.node_index[grid.corners] - grid.cell_index[:, None]
    bits = (offsets * [1, 2, 4]).sum(axis=-1)
    np.testing.assert_array_equal(bits, np.tile(np.arange(8), (mesh.num_cells, 1)))


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_a_coarser_grid_has_the_cells_that_have_children(masks, data):
    mesh, grid = some_grid(masks, data)
    coarse, parent, place = grid.coarsen()
    padded = np.pad(mesh.mask, [(0, n % 2) for n in mesh.mask.shape])
    x, y, z = (n // 2 for n in padded.shape)
    expected = padded.reshape(x, 2, y, 2, z, 2).any(axis=(1, 3, 5))
    np.testing.assert_array_equal(coarse.cell_index, HexMesh.from_mask(expected, 1.0).cell_index)
    bits = np.stack([place & 1, place >> 1 & 1, place >> 2 & 1], axis=1)
    np.testing.assert_array_equal(2 * coarse.cell_index[parent] + bits, grid.cell_index)


def interpolation(grid, coarse):
    """Interpolation matrix [N, Nc] from the parents."""
    matrix = np.zeros((grid.num_nodes, coarse.num_nodes))
    parents = grid.parents(coarse)
    for column in range(8):
        np.add.at(matrix, (np.arange(grid.num_nodes), parents[:, column]), 1 / 8)
    return matrix


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_interpolation_is_trilinear(masks, data):
    """It reproduces 1, x, y, z, xy, yz, xz and xyz on any shape."""
    _, grid = some_grid(masks, data)
    coarse = grid.coarsen()[0]
    matrix = interpolation(grid, coarse)
    for function in (
        lambda x, y, z: np.ones(len(x)),
        lambda x, y, z: x - 2 * y + 3 * z,
    ):
        fine = function(*(grid.node_index / 2).T)
        np.testing.assert_allclose(matrix @ function(*coarse.node_index.T), fine, atol=1e-12)
    # Products are trilinear in each coarse cell, including its edges.
    x, y, z = coarse.node_index.T
    middle = np.floor(grid.node_index / 2)
    t = grid.node_index / 2 - middle
    for function in (lambda i, j, k: i * j * k, lambda i, j, k: i**2 * j):
        expected = sum(
            np.prod(np.where(bits, t, 1 - t), axis=1) * function(*(middle + bits).T)
            for bits in np.ndindex(2, 2, 2)
        )
        np.testing.assert_allclose(matrix @ function(x, y, z), expected, atol=1e-12)


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_children_are_the_inverse_of_parents(masks, data):
    _, grid = some_grid(masks, data)
    coarse = grid.coarsen()[0]
    children = grid.children(coarse)
    restriction = np.zeros((coarse.num_nodes, grid.num_nodes + 1))
    for n, offset in enumerate(np.ndindex(3, 3, 3)):  # z, y, x
        weight = np.prod([0.5 ** abs(i - 1) for i in offset])
        np.add.at(restriction, (np.arange(coarse.num_nodes), children[:, n]), weight)
    np.testing.assert_array_equal(restriction[:, :-1], interpolation(grid, coarse).T)


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_neighbours(masks, data):
    _, grid = some_grid(masks, data)
    neighbors, count = grid.neighbours(), grid.num_nodes
    np.testing.assert_array_equal(neighbors[:, 13], np.arange(count))
    known = {tuple(index): number for number, index in enumerate(grid.node_index.tolist())}
    for node, index in enumerate(grid.node_index):
        for n, (k, j, i) in enumerate(np.ndindex(3, 3, 3)):
            at = index + np.array([i - 1, j - 1, k - 1])
            expected = known.get(tuple(at.tolist()), count)
            assert neighbors[node, n] == expected


def test_nodes_outside_the_grid_and_far_from_zero():
    index = np.array([[0, 0, 0], [900_000, 3, 5]])
    grid = Grid.from_cells(index)
    np.testing.assert_array_equal(grid.cell_index, index)
    wanted = [[-1, 0, 0], [0, -1, 0], [0, 0, -1], [2, 0, 0], [900_001, 4, 6], [900_002, 4, 6]]
    assert grid.find_nodes(np.array(wanted)).tolist() == [16, 16, 16, 16, 15, 16]
