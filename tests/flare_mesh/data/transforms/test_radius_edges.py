import pytest
import torch
from torch_geometric.data import Data

from flare_mesh.data.transforms import RadiusEdges


def edges_of(data):
    return set(map(tuple, data.edge_index.T.tolist()))


def test_all_within_the_radius():
    torch.manual_seed(0)
    pos = torch.rand(60, 3)
    distances = torch.cdist(pos.double(), pos.double()).fill_diagonal_(torch.inf)
    target, source = (distances <= 0.4).nonzero().T
    expected = set(zip(source.tolist(), target.tolist(), strict=True))
    assert edges_of(RadiusEdges(0.4, max_neighbors=None)(Data(pos=pos))) == expected
    few = RadiusEdges(0.4, max_neighbors=2)(Data(pos=pos))
    assert edges_of(few) < expected
    nearest = distances.topk(2, largest=False).indices
    assert edges_of(few) == {
        (int(j), i) for i, row in enumerate(nearest) for j in row if distances[i, j] <= 0.4
    }


def test_no_neighbours_and_no_nodes():
    assert RadiusEdges(0.1)(Data(pos=torch.eye(3))).edge_index.shape == (2, 0)
    empty = Data(pos=torch.empty(0, 3))
    assert RadiusEdges(0.1, max_neighbors=None)(empty).edge_index.shape == (2, 0)


def test_bad_options():
    with pytest.raises(ValueError, match="radius > 0"):
        RadiusEdges(0.0)
    with pytest.raises(ValueError, match="max_neighbors >= 1"):
        RadiusEdges(1.0, max_neighbors=0)
