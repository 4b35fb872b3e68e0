import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lpbf import HexMesh
from lpbf.solve import kernels_torch, node_stencil
from lpbf.solve.brick_modes import LEXICOGRAPHIC
from lpbf.solve.grid import Grid
from lpbf.solve.node_stencil import NodeStencil

CPU = torch.device("cpu")
DOFS = (3 * LEXICOGRAPHIC[:, None] + np.arange(3)).ravel()  # lexicographic -> VTK


@pytest.fixture(params=["compiled", "torch"])
def kernels(request, monkeypatch):
    if request.param == "torch":
        monkeypatch.setattr(node_stencil, "kernels_numba", kernels_torch)


def symmetric(rng, count):
    matrices = rng.normal(size=(count, 24, 24))
    return matrices + matrices.transpose(0, 2, 1)


def summed(cells, matrices, num_nodes):
    """Dense sum of matrices [n, 24, 24] in VTK's order."""
    out = np.zeros((3 * num_nodes, 3 * num_nodes))
    for nodes, matrix in zip(cells, matrices, strict=True):
        dofs = (3 * nodes[:, None] + np.arange(3)).ravel()
        out[np.ix_(dofs, dofs)] += matrix
    return out


def to_lexicographic(matrices):
    return torch.from_numpy(matrices[:, DOFS][:, :, DOFS])


def check(stencil, expected, size, rng):
    """Check dense matrix, diagonal and product of the leading nodes."""
    expected = expected[: 3 * size, : 3 * size]
    np.testing.assert_allclose(stencil.dense(size).numpy(), expected, atol=1e-12)
    blocks = expected.reshape(size, 3, size, 3)[np.arange(size), :, np.arange(size)]
    np.testing.assert_allclose(stencil.diagonal(slice(0, size)).numpy(), blocks, atol=1e-12)
    count = stencil.values.shape[0]
    u = torch.zeros(3, count + 1, dtype=torch.float64)
    u[:, :size] = torch.from_numpy(rng.normal(size=(3, size)))
    out = torch.full_like(u, 7.0)
    stencil.multiply(u, out, size)
    image = expected @ u[:, :size].T.numpy().ravel()
    np.testing.assert_allclose(out[:, :size].T.numpy().ravel(), image, atol=1e-10)
    assert (out[:, size:] == 7.0).all()


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 4, 2), (3, 2, 5)])
def test_sum_of_any_matrices(kernels, shape):
    rng = np.random.default_rng(0)
    mesh = HexMesh.from_mask(np.ones(shape), 1.0)
    stencil = NodeStencil(Grid.from_cells(mesh.cell_index), CPU)
    assert (stencil.values == 0).all()
    matrices = symmetric(rng, mesh.num_cells)
    stencil.add_cells(torch.arange(mesh.num_cells), to_lexicographic(matrices))
    check(stencil, summed(mesh.cells, matrices, mesh.num_nodes), mesh.num_nodes, rng)


@settings(deadline=None, max_examples=20)
@given(st.data())
def test_cells_are_added_upwards_and_in_parts(masks, data):
    """A coarse cell gets contributions of two rows; its upper nodes are active with the first."""
    mesh = HexMesh.from_mask(data.draw(masks(3, 2, 4)), 1.0)
    rng = np.random.default_rng(1)
    stencil = NodeStencil(Grid.from_cells(mesh.cell_index), CPU)
    total = np.zeros((mesh.num_cells, 24, 24))
    for top in np.unique(mesh.cell_index[:, 2]):
        cells = np.flatnonzero(mesh.cell_index[:, 2] == top)
        for _ in range(2):
            share = symmetric(rng, len(cells))
            total[cells] += share
            stencil.add_cells(torch.from_numpy(cells), to_lexicographic(share))
        size = int((mesh.points[:, 2] <= top + 1.5).sum())
        check(stencil, summed(mesh.cells, total, mesh.num_nodes), size, rng)


def test_both_kernels_and_any_number_of_threads_agree(threads):
    mesh = HexMesh.from_mask(np.ones((24, 22, 18)), 1.0)  # several chunks
    stencil = NodeStencil(Grid.from_cells(mesh.cell_index), CPU)
    generator = torch.Generator().manual_seed(2)
    stencil.values[:] = torch.rand(stencil.values.shape, generator=generator, dtype=torch.float64)
    u = torch.rand(3, mesh.num_nodes + 1, generator=generator, dtype=torch.float64)
    u[:, -1] = 0
    found = []
    for count in (1, 2):
        threads(count)
        out = torch.zeros_like(u)
        stencil.multiply(u, out, mesh.num_nodes)
        found.append(out)
    assert torch.equal(found[0], found[1])
    other = torch.zeros_like(u)
    stencil.kernels = kernels_torch
    stencil.multiply(u, other, mesh.num_nodes)
    torch.testing.assert_close(other, found[0], rtol=1e-12, atol=0)
