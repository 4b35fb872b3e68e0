import pytest
import torch
from torch_geometric.data import Batch, Data

from flare_mesh import MeshData
from flare_mesh.data.transforms.reflect_cells import reflect_cells, reflected_order
from flare_mesh.mesh.cells import CELL_TYPES
from flare_mesh.mesh.geometry import cell_measures
from flare_mesh.testing.cells import mixed_mesh, unit_mesh


def test_orders_of_the_first_order():
    assert reflected_order("triangle") == (0, 2, 1)
    assert reflected_order("quad") == (0, 3, 2, 1)
    assert reflected_order("tetra") == (0, 2, 1, 3)
    assert reflected_order("hexahedron") == (0, 3, 2, 1, 4, 7, 6, 5)
    assert reflected_order("wedge") == (0, 2, 1, 3, 5, 4)
    assert reflected_order("pyramid") == (0, 3, 2, 1, 4)
    assert reflected_order("line3") == (1, 0, 2)
    assert reflected_order("vertex") == (0,)


@pytest.mark.parametrize("kind", CELL_TYPES)
def test_edges_and_faces_stay_and_faces_turn(kind):
    cell, order = CELL_TYPES[kind], reflected_order(kind)
    assert sorted(order) == list(range(cell.num_nodes))
    edges = {frozenset(edge) for edge in cell.edges}
    assert {frozenset(order[i] for i in edge) for edge in edges} == edges
    corners = {"line": 2, "line3": 2, "vertex": 1}

    def turns(faces):
        out = set()
        for name, nodes in faces:
            ring = nodes[: corners.get(name, 4 if "quad" in name else 3)]
            first = ring.index(min(ring))
            out.add(ring[first:] + ring[:first])
        return out

    if cell.dim > 1:
        new = turns((name, tuple(order[i] for i in nodes)) for name, nodes in cell.faces)
        assert new == {ring[:1] + ring[:0:-1] for ring in turns(cell.faces)}


@pytest.mark.parametrize("order", [1, 2])
def test_mirrored_cells_keep_their_measure(order):
    pos, cells = mixed_mesh(order)
    data = MeshData(pos=pos * torch.tensor([-1.0, 1.0, 1.0]), **cells)
    reflect_cells(data)
    before, after = cell_measures(pos, cells), cell_measures(data.pos, data.cells)
    assert list(after) == list(before)
    for kind in before:
        torch.testing.assert_close(after[kind], before[kind])


def test_twice_is_not_at_all_and_cell_fields_stay():
    pos, cells = mixed_mesh()
    data = MeshData(pos=pos, **cells)
    data.cell_number = torch.arange(4)
    index = data.cell_index
    reflect_cells(data)
    assert not torch.equal(data.cell_index, index)
    reflect_cells(data)
    assert torch.equal(data.cell_index, index)
    assert data.cell_number.tolist() == [0, 1, 2, 3]


def test_batches_and_faces():
    pos, cells = unit_mesh("tetra")
    data = MeshData(pos=pos * -1, **cells)
    batch = Batch.from_data_list([data, data])
    reflect_cells(batch)
    reflect_cells(data)
    assert torch.equal(batch.to_data_list()[1].cell_index, data.cell_index)
    plain = Data(pos=torch.zeros(3, 3), face=torch.tensor([[0], [1], [2]]))
    reflect_cells(plain)
    assert plain.face.T.tolist() == [[0, 2, 1]]
