import numpy as np
import pytest
import torch

from flare_mesh.mesh.cells import CELL_TYPES
from flare_mesh.mesh.geometry import cell_centroids, cell_measures
from flare_mesh.mesh.transfer import cell_to_node, node_to_cell
from flare_mesh.testing import mixed_mesh, unit_mesh

KINDS = [kind for kind in CELL_TYPES if kind != "vertex"]


def stretched(kind):
    """An affine image of a mesh, in space."""
    pos, cells = unit_mesh(kind, pos_dim=3)
    matrix = torch.from_numpy(np.random.default_rng(1).normal(size=(3, 3)))
    return pos @ matrix + 1, cells


def test_one_type_after_the_other():
    pos = torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1], [2, 0], [3, 0]])
    cells = {"quad": torch.tensor([[0, 1, 2, 3]]), "line": torch.tensor([[4, 5]])}
    nodal = cell_to_node(torch.tensor([1.0, 2.0]), pos, cells)
    assert nodal.tolist() == [1.0, 1.0, 1.0, 1.0, 2.0, 2.0]
    with pytest.raises(ValueError, match=r"row for each of 2 cells \(got values of shape \[4\]\)"):
        cell_to_node(torch.ones(4), pos, cells)


@pytest.mark.parametrize("shape", [(), (2,), (2, 3)])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("kind", CELL_TYPES)
def test_constants(kind, dtype, shape):
    pos, cells = stretched(kind)
    value = torch.arange(1, 1 + int(np.prod(shape)), dtype=dtype).view(shape) / 3
    on_cells, on_nodes = value.expand(len(cells[kind]), *shape), value.expand(len(pos), *shape)
    torch.testing.assert_close(cell_to_node(on_cells, pos, cells), on_nodes)
    torch.testing.assert_close(node_to_cell(on_nodes, cells), on_cells)


@pytest.mark.parametrize("kind", KINDS)
def test_linear_fields_at_the_centroids_of_affine_cells(kind):
    pos, cells = stretched(kind)
    if kind.startswith("pyramid"):
        assert len(cells[kind]) == 6  # all of them affine images of the reference cell
    torch.testing.assert_close(node_to_cell(pos, cells), cell_centroids(pos, cells)[kind])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if CELL_TYPES[kind].order == 2])
def test_quadratic_fields_with_middle_nodes(kind):
    pos, cells = stretched(kind)
    field = pos[:, 0] * pos[:, 2] - pos[:, 1] ** 2
    at = cell_centroids(pos, cells)[kind]
    torch.testing.assert_close(node_to_cell(field, cells), at[:, 0] * at[:, 2] - at[:, 1] ** 2)


def test_mean_of_the_nodes():
    values = torch.tensor([1.0, 2.0, 4.0, 9.0])
    cells = {"quad": torch.tensor([[0, 1, 2, 3]]), "line": torch.tensor([[3, 0]])}
    assert node_to_cell(values, cells).tolist() == [4.0, 5.0]


def test_weighted_by_volume():
    pos = torch.tensor([[0.0], [1.0], [4.0]])
    cells = {"line": torch.tensor([[0, 1], [2, 1]])}  # orientation does not matter
    assert cell_to_node(torch.tensor([8.0, 4.0]), pos, cells).tolist() == [8.0, 5.0, 4.0]


def test_against_a_loop_over_a_mixed_mesh():
    pos, cells = mixed_mesh()
    values = torch.from_numpy(np.random.default_rng(0).normal(size=(4, 2)))
    volumes = torch.cat(list(cell_measures(pos, cells).values()))
    nodes = [set(row.tolist()) for table in cells.values() for row in table]
    expected = []
    for node in range(len(pos)):
        around = [i for i in range(4) if node in nodes[i]]
        expected.append((volumes[around, None] * values[around]).sum(0) / volumes[around].sum())
    torch.testing.assert_close(cell_to_node(values, pos, cells), torch.stack(expected))
    means = [pos[table].mean(1) for kind, table in cells.items() if kind != "pyramid"]
    ours = node_to_cell(pos, cells)
    torch.testing.assert_close(ours[[0, 2, 3]], torch.cat(means))
    torch.testing.assert_close(ours[1], cell_centroids(pos, cells)["pyramid"][0])


def test_the_highest_dimension_at_each_node():
    # A triangle with one side as a line, and a line that leads away from it.
    pos = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [3.0, 0.0], [9.0, 9.0]])
    cells = {"line": torch.tensor([[0, 1], [1, 3]]), "triangle": torch.tensor([[0, 1, 2]])}
    values = torch.tensor([10.0, 20.0, 30.0])
    result = cell_to_node(values, pos, cells)
    assert result[:4].tolist() == [30.0, 30.0, 30.0, 20.0]
    assert bool(result[4].isnan())
    assert cell_to_node(values, pos, cells, fill_value=-1.0)[4] == -1
    flat = cell_to_node(values, pos * 0, cells, fill_value=0.0)  # cells without a measure
    assert flat.tolist() == [0.0] * 5


def test_no_cells():
    assert cell_to_node(torch.zeros(0, 3), torch.zeros(2, 3), {}, fill_value=0.0).shape == (2, 3)
    assert node_to_cell(torch.zeros(2, 3), {}).shape == (0, 3)


def test_differentiable():
    pos, cells = unit_mesh("tetra")
    values = torch.rand(6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    values.requires_grad_()
    assert torch.autograd.gradcheck(lambda v: cell_to_node(v, pos, cells), values)
    assert torch.autograd.gradcheck(lambda p: node_to_cell(p, cells), pos.requires_grad_())


def test_errors():
    pos, cells = unit_mesh("tetra")
    with pytest.raises(ValueError, match=r"real values \[rows, ...\] \(got \[6\] of torch.int64"):
        cell_to_node(torch.arange(6), pos, cells)
    with pytest.raises(ValueError, match="row for each of 6 cells"):
        cell_to_node(torch.zeros(8), pos, cells)
    with pytest.raises(ValueError, match="from 0 to 5 in 'tetra'"):
        node_to_cell(torch.zeros(6), cells)
