import pytest
import pyvista
import torch
from torch_geometric.data import Batch, Data

from flare_mesh import MeshData
from flare_mesh.data.transforms import QuadratureWeights


def test_weights_integrate():
    data = QuadratureWeights()(MeshData.from_pyvista(pyvista.ImageData(dimensions=(3, 4, 5))))
    assert float(data.weight.sum()) == pytest.approx(2 * 3 * 4)
    assert float(data.weight @ data.pos[:, 0]) == pytest.approx(2 * 3 * 4 * 1.0)
    batch = QuadratureWeights("share")(Batch.from_data_list([data, data]))
    assert torch.equal(batch.share, data.weight.repeat(2))


def test_without_cells():
    with pytest.raises(ValueError, match=r"expected a MeshData with cells \(got Data\)"):
        QuadratureWeights()(Data(pos=torch.zeros(3, 3)))
    with pytest.raises(ValueError, match="expected a mesh with cells"):
        QuadratureWeights()(MeshData(torch.zeros(3, 3)))
