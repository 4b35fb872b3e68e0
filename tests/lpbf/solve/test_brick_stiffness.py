import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lpbf import HexMesh
from lpbf.solve import brick_stiffness, kernels_numba, kernels_torch
from lpbf.solve.brick_modes import LEXICOGRAPHIC, to_lexicographic
from lpbf.solve.brick_stiffness import BrickStiffness
from lpbf.solve.grid import Grid

CPU = torch.device("cpu")


@pytest.fixture(params=["compiled", "torch"])
def kernels(request, monkeypatch):
    if request.param == "torch":
        monkeypatch.setattr(brick_stiffness, "kernels_numba", kernels_torch)


def product(bricks, u, size=None):
    """K u of all nodes [N, 3]; checks that nodes beyond ``size`` do not change."""
    size = len(u) if size is None else size
    inward = torch.zeros(3, len(u) + 1, dtype=torch.float64)
    inward[:, :-1] = torch.from_numpy(u.T)
    out = torch.full_like(inward, 7.0)
    bricks.multiply(inward, out, size)
    assert (out[:, size:] == 7.0).all()
    return out[:, :size].T.numpy()


def test_to_lexicographic(stiffness):
    matrix = to_lexicographic(stiffness)
    for a in range(8):
        for b in range(8):
            np.testing.assert_array_equal(
                matrix[3 * a : 3 * a + 3, 3 * b : 3 * b + 3],
                stiffness.reshape(8, 3, 8, 3)[LEXICOGRAPHIC[a], :, LEXICOGRAPHIC[b]],
            )


@pytest.mark.parametrize("with_factor", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 2), (5, 7, 3), (9, 5, 2), (63, 1, 3)])
def test_product_equals_that_of_the_assembled_matrix(
    kernels, stiffness, assembled, shape, with_factor
):
    rng = np.random.default_rng(0)
    mesh = HexMesh.from_mask(np.ones(shape), 1.0)
    factor = rng.uniform(1e-4, 3.0, mesh.num_cells) if with_factor else None
    bricks = BrickStiffness(Grid.from_cells(mesh.cell_index), stiffness, factor, CPU)
    bricks.activate(mesh.num_cells)
    u = rng.normal(size=(mesh.num_nodes, 3))
    expected = assembled(mesh.cells, stiffness, mesh.num_nodes, factor) @ u.ravel()
    scale = np.abs(expected).max()
    np.testing.assert_allclose(product(bricks, u).ravel(), expected, atol=1e-13 * scale)
    again = product(bricks, u)
    np.testing.assert_array_equal(again, product(bricks, u))


def test_cells_of_two_kinds(kernels, two_stiffnesses, assembled):
    rng = np.random.default_rng(2)
    mesh = HexMesh.from_mask(rng.random((9, 8, 3)) < 0.8, 1.0)
    kind = rng.integers(0, 2, mesh.num_cells).astype(np.int8)
    factor = rng.uniform(0.1, 2.0, mesh.num_cells)
    bricks = BrickStiffness(Grid.from_cells(mesh.cell_index), two_stiffnesses, factor, CPU, kind)
    for top in (1, 2):
        count = int((mesh.cell_index[:, 2] <= top).sum())
        size = int(mesh.cells[:count].max()) + 1
        bricks.activate(count)
        u = rng.normal(size=(mesh.num_nodes, 3))
        matrices = two_stiffnesses[kind[:count]]
        matrix = assembled(mesh.cells[:count], matrices, mesh.num_nodes, factor[:count])
        expected = (matrix @ u.ravel()).reshape(-1, 3)[:size]
        atol = 1e-13 * np.abs(expected).max()
        np.testing.assert_allclose(product(bricks, u, size), expected, atol=atol)


@settings(deadline=None, max_examples=20)
@given(st.data())
def test_leading_rows_of_any_shape(stiffness, assembled, masks, data):
    mesh = HexMesh.from_mask(data.draw(masks()), 1.0)
    rng = np.random.default_rng(1)
    factor = rng.uniform(0.1, 2.0, mesh.num_cells)
    bricks = BrickStiffness(Grid.from_cells(mesh.cell_index), stiffness, factor, CPU)
    u = rng.normal(size=(mesh.num_nodes, 3))
    plane = np.rint(mesh.points[:, 2])
    for top in np.unique(mesh.cell_index[:, 2]):
        count = int((mesh.cell_index[:, 2] <= top).sum())
        size = int((plane <= top + 1).sum())
        bricks.activate(count)
        matrix = assembled(mesh.cells[:count], stiffness, mesh.num_nodes, factor[:count])
        expected = (matrix @ u.ravel()).reshape(-1, 3)[:size]
        np.testing.assert_allclose(
            product(bricks, u, size), expected, atol=1e-12 * np.abs(expected).max()
        )


def big():
    """Several chunks for the threads, and rows of unequal length."""
    mask = np.random.default_rng(2).random((27, 25, 12)) < 0.7
    mask[0, 0] = True
    return HexMesh.from_mask(mask, 1.0)


def test_any_number_of_threads_gives_the_same_bits(stiffness, threads, monkeypatch):
    monkeypatch.setattr(kernels_numba, "FEW_CELLS", 0)
    mesh = big()
    rng = np.random.default_rng(3)
    factor = rng.uniform(0.1, 2.0, mesh.num_cells)
    bricks = BrickStiffness(Grid.from_cells(mesh.cell_index), stiffness, factor, CPU)
    bricks.activate(mesh.num_cells)
    u = rng.normal(size=(mesh.num_nodes, 3))
    found = []
    for count in (1, 2, 3):
        threads(count)
        found += [product(bricks, u), product(bricks, u)]
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def test_chunks_of_any_size_cover_all_cells(stiffness, assembled, monkeypatch):
    mesh = big()
    u = np.random.default_rng(4).normal(size=(mesh.num_nodes, 3))
    expected = (assembled(mesh.cells, stiffness, mesh.num_nodes) @ u.ravel()).reshape(-1, 3)
    for chunk in (1, 1500):
        monkeypatch.setattr(brick_stiffness, "_CHUNK", chunk)
        bricks = BrickStiffness(Grid.from_cells(mesh.cell_index), stiffness, None, CPU)
        bricks.activate(mesh.num_cells)
        np.testing.assert_allclose(product(bricks, u), expected, atol=1e-9 * np.abs(expected).max())


def test_anisotropic_cells_are_refused(stiffness):
    grid = Grid.from_cells(np.zeros((1, 3), dtype=np.int64))
    with pytest.raises(ValueError, match="orthotropic"):
        BrickStiffness(grid, stiffness + np.diag(np.arange(24.0)), None, CPU)
