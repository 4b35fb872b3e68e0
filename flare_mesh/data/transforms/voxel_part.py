"""Nodes and voxels of a part, and features that are appended at its nodes."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Data

from flare_mesh.data.transforms.checks import check_single


def read_voxels(data: Data, name: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Coordinates [N, 3] and hexahedra [E, 8] of a part.

    Raises:
        ValueError: If the data is a batch, or has no hexahedra.
    """
    check_single(data, name)
    pos = data.pos
    assert isinstance(pos, Tensor)
    if "hexahedron" not in data:
        raise ValueError(f"{name}: expected a part of hexahedra (got none)")
    return pos.detach().double().numpy(), data["hexahedron"].numpy()


def append_features(data: Data, values: NDArray[np.float64]) -> Data:
    """The data, with values [N, C] after the other columns of ``x``."""
    assert isinstance(data.pos, Tensor)
    found = torch.from_numpy(values).to(data.pos.dtype)
    data.x = found if data.x is None else torch.cat([data.x, found.to(data.x.dtype)], dim=1)
    return data
