import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lpbf import HexMesh
from lpbf.solve.plane_elimination import PlaneElimination


@settings(deadline=None, max_examples=10)
@given(st.data())
def test_solution_after_each_layer_is_that_of_the_assembled_matrix(
    stiffness, assembled, supported_masks, data
):
    mesh = HexMesh.from_mask(data.draw(supported_masks(4, 3, 5)), 1.0)
    rng = np.random.default_rng(0)
    factor = rng.uniform(0.1, 2.0, mesh.num_cells)
    rows = data.draw(st.integers(1, 3))
    method = PlaneElimination(mesh.cell_index, stiffness, factor)
    z = mesh.cell_index[:, 2]
    for first in range(0, int(z[-1]) + 1, rows):
        start, stop = np.searchsorted(z, [first, first + rows]).tolist()
        method.activate(start, stop)
        active = np.unique(mesh.cells[:stop])
        assert method.size == active.max() + 1  # all columns rest on the plate
        free = np.zeros(mesh.num_nodes, dtype=bool)
        free[active] = True
        free[mesh.points[:, 2] == 0] = False
        np.testing.assert_array_equal(method.free, free[: method.size])

        force = rng.normal(size=(mesh.num_nodes, 3)) * free[:, None]
        if data.draw(st.booleans()):  # the load of a new layer
            force[mesh.points[:, 2] < first] = 0
        matrix = assembled(mesh.cells[:stop], stiffness, mesh.num_nodes, factor[:stop]).toarray()
        dofs = np.flatnonzero(np.repeat(free, 3))
        expected = np.zeros(force.size)
        expected[dofs] = np.linalg.solve(matrix[np.ix_(dofs, dofs)], force.flat[dofs])
        found = method.cycle(torch.from_numpy(np.pad(force.T, ((0, 0), (0, 1)))))
        np.testing.assert_allclose(
            found[:, :-1].T.ravel(), expected, atol=1e-10 * np.abs(expected).max(initial=1e-30)
        )


def test_cells_of_two_kinds(two_stiffnesses, assembled, table):
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 2, table.num_cells).astype(np.int8)
    factor = rng.uniform(0.1, 2.0, table.num_cells)
    method = PlaneElimination(table.cell_index, two_stiffnesses, factor, kind)
    method.activate(0, table.num_cells)
    matrix = assembled(table.cells, two_stiffnesses[kind], table.num_nodes, factor).toarray()
    dofs = np.flatnonzero(np.repeat(table.points[:, 2] > 0, 3))
    force, expected = rng.normal(size=(table.num_nodes, 3)), np.zeros(3 * table.num_nodes)
    expected[dofs] = np.linalg.solve(matrix[np.ix_(dofs, dofs)], force.flat[dofs])
    found = method.cycle(torch.from_numpy(np.pad(force.T, ((0, 0), (0, 1)))))
    atol = 1e-10 * np.abs(expected).max()
    np.testing.assert_allclose(found[:, :-1].T.ravel(), expected, atol=atol)


def test_number_of_threads(stiffness, table, threads):
    found = []
    for number in (1, 2):
        threads(number)
        method = PlaneElimination(table.cell_index, stiffness)
        method.activate(0, table.num_cells)
        found.append(method.cycle(torch.ones(3, table.num_nodes + 1, dtype=torch.float64)))
    assert torch.equal(*found)
