import pytest
import pyvista
import torch
from torch_geometric.data import Batch, Data

from flare_mesh import MeshData
from flare_mesh.data.transforms import NodeWeights


def test_weights_integrate():
    data = NodeWeights()(MeshData.from_pyvista(pyvista.ImageData(dimensions=(3, 4, 5))))
    assert float(data.weight.sum()) == pytest.approx(2 * 3 * 4)
    assert float(data.weight @ data.pos[:, 0]) == pytest.approx(2 * 3 * 4 * 1.0)
    batch = NodeWeights("share")(Batch.from_data_list([data, data]))
    assert torch.equal(batch.share, data.weight.repeat(2))


def test_without_cells():
    with pytest.raises(ValueError, match=r"expected a MeshData with cells \(got Data\)"):
        NodeWeights()(Data(pos=torch.zeros(3, 3)))
    with pytest.raises(ValueError, match="expected a mesh with cells"):
        NodeWeights()(MeshData(torch.zeros(3, 3)))
