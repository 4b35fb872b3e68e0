import pytest
import torch
from torch_geometric.data import Data

from flare_mesh import MeshData
from flare_mesh.data.transforms import MeshEdges
from flare_mesh.testing.cells import mixed_mesh


def test_edges_of_a_voxel_mesh(tee, data_of):
    data = data_of(tee)
    expected = set(map(tuple, data.edge_index.T.tolist()))
    data.edge_index = None
    edges = MeshEdges()(data).edge_index
    assert set(map(tuple, edges.T.tolist())) == expected
    assert len(expected) == edges.shape[1]


def test_mixed_cells():
    pos, cells = mixed_mesh()
    edges = MeshEdges()(MeshData(pos=pos, **cells)).edge_index
    # 12 of the cube, 4 more of the pyramid, 5 of the wedge, 3 of the tetrahedron.
    assert edges.shape == (2, 2 * 24)


def test_data_without_cells():
    for data in (Data(pos=torch.zeros(2, 3)), MeshData(pos=torch.zeros(2, 3))):
        with pytest.raises(ValueError, match="MeshEdges: expected a MeshData with cells"):
            MeshEdges()(data)
