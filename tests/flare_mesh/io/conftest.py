"""A mesh for each format."""

import pytest
import torch

from flare_mesh import MeshData


@pytest.fixture
def mesh_for():
    return _mesh_for


def _mesh_for(suffix):
    """Two types of cells where the format holds them, with fields where it holds those."""
    pos = torch.tensor([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [2, 0, 0.5]]).float()
    cells = {"triangle": torch.tensor([[1, 4, 2]])}
    if suffix != ".stl":
        cells["quad"] = torch.tensor([[0, 1, 2, 3]])
    data = MeshData(pos, **cells)
    if suffix not in (".stl", ".inp", ".msh"):
        data["height"] = data.pos[:, 2].clone()
    if suffix not in (".stl", ".inp", ".msh", ".ply"):
        data["wind"] = 2 * data.pos
        data["cell_pressure"] = torch.arange(float(data.num_cells))
    return data
