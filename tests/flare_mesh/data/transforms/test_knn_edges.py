import numpy as np
import pytest
import torch
from torch_geometric.data import Data
from torch_geometric.transforms import Cartesian, Compose, Distance

from flare_mesh.data.transforms import KNNEdges


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_nearest_send_to_each_node(dim):
    torch.manual_seed(0)
    pos = torch.randn(40, dim)
    data = KNNEdges(5)(Data(pos=pos))
    distances = torch.cdist(pos.double(), pos.double()).fill_diagonal_(torch.inf)
    nearest = distances.topk(5, largest=False).indices
    expected = {(int(j), i) for i, row in enumerate(nearest) for j in row}
    assert set(map(tuple, data.edge_index.T.tolist())) == expected
    assert data.edge_index.shape == (2, 200)


def test_small_meshes_and_coinciding_nodes():
    data = KNNEdges(5)(Data(pos=torch.randn(3, 3)))
    assert sorted(map(tuple, data.edge_index.T.tolist())) == [
        (i, j) for i in range(3) for j in range(3) if i != j
    ]
    assert KNNEdges(2)(Data(pos=torch.zeros(1, 3))).edge_index.shape == (2, 0)
    same = KNNEdges(2)(Data(pos=torch.zeros(6, 3))).edge_index
    assert bool((same[0] != same[1]).all())
    assert torch.equal(same[1].bincount(), torch.full((6,), 2))


def test_edges_do_not_depend_on_the_order_of_the_nodes():
    grid = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(-1, 3)
    pos = torch.from_numpy(grid)
    order = torch.randperm(len(pos), generator=torch.Generator().manual_seed(0))
    edges, again = (KNNEdges(5)(Data(pos=p)).edge_index for p in (pos, pos[order]))
    assert set(map(tuple, order[again].T.tolist())) == set(map(tuple, edges.T.tolist()))


def test_edge_attributes_by_pyg():
    transform = Compose([KNNEdges(3), Cartesian(norm=False), Distance(norm=False)])
    data = transform(Data(pos=torch.randn(9, 3)))
    source, target = data.edge_index
    offset = data.pos[source] - data.pos[target]
    expected = torch.cat([offset, offset.norm(dim=1, keepdim=True)], dim=1)
    torch.testing.assert_close(data.edge_attr, expected)


def test_bad_options():
    with pytest.raises(ValueError, match="k >= 1"):
        KNNEdges(0)
