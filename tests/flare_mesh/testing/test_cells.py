import pytest
import torch

from flare_mesh.mesh.cells import CELL_TYPES, edges_of_cells
from flare_mesh.testing import mixed_mesh, unit_mesh


@pytest.mark.parametrize("kind", CELL_TYPES)
def test_unit_mesh(kind):
    pos, cells = unit_mesh(kind)
    assert pos.shape[1] == max(CELL_TYPES[kind].dim, 1)
    assert pos.dtype == torch.float64
    assert len(pos.unique(dim=0)) == len(pos)  # neighbours share their middle nodes
    assert cells[kind].unique().tolist() == list(range(len(pos)))
    high, _ = unit_mesh(kind, pos_dim=3)
    assert torch.equal(high[:, : pos.shape[1]], pos)
    assert not high[:, pos.shape[1] :].any()


def test_middle_nodes_lie_in_the_middle():
    pos, cells = unit_mesh("hexahedron20")
    nodes = cells["hexahedron20"]
    torch.testing.assert_close(pos[nodes[:, 8]], pos[nodes[:, :2]].mean(1))
    torch.testing.assert_close(pos[nodes[:, 19]], pos[nodes[:, [3, 7]]].mean(1))


@pytest.mark.parametrize("order", [1, 2])
def test_mixed_mesh(order):
    pos, cells = mixed_mesh(order)
    assert {CELL_TYPES[kind].linear for kind in cells} == {
        "hexahedron",
        "pyramid",
        "wedge",
        "tetra",
    }
    assert {CELL_TYPES[kind].order for kind in cells} == {order}
    tables = {kind: nodes.numpy() for kind, nodes in cells.items()}
    lines = 12 + 4 + 5 + 3  # of each cell, those it does not share with the one before
    assert edges_of_cells(tables, len(pos)).shape[1] == 2 * order * lines


def test_too_few_dimensions():
    with pytest.raises(ValueError, match="'pos_dim' >= 3 for 'tetra'"):
        unit_mesh("tetra", pos_dim=2)
