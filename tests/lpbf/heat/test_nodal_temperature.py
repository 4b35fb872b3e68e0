import numpy as np
import torch

from lpbf import HexMesh
from lpbf.heat.nodal_temperature import nodal_temperature


def test_mean_of_the_cells_around_a_node():
    mask = np.ones((2, 1, 2), bool)
    mask[1, 0, 1] = False
    mesh = HexMesh.from_mask(mask, 1.0)
    temperature = torch.tensor([3.0, 6.0, 12.0], dtype=torch.float64)
    nodal = nodal_temperature(torch.from_numpy(mesh.cells), temperature)
    expected = [3, 4.5, 6] * 2 + [7.5, 7, 6] * 2 + [12, 12] * 2
    np.testing.assert_allclose(nodal, expected)
