import numpy as np
import pytest
import torch

from flare_mesh import MeshData
from lpbf import HexMesh


@pytest.fixture
def tee():
    """A plate of 4 x 2 x 1 voxels with a post of 1 x 2 x 2 on one end, off centre."""
    mask = np.zeros((4, 2, 3), dtype=bool)
    mask[:, :, 0] = True
    mask[0, :, 1:] = True
    return HexMesh.from_mask(mask, 2.0, origin=(-4.0, -2.0, 0.0))


@pytest.fixture
def data_of():
    """Makes the data of a voxel mesh."""

    def make(mesh, displacement=None):
        data = MeshData(
            pos=torch.from_numpy(mesh.points).float(),
            edge_index=torch.from_numpy(mesh.edge_index),
            hexahedron=torch.from_numpy(mesh.cells),
        )
        if displacement is not None:
            data.y = torch.from_numpy(displacement).float()
        return data

    return make
