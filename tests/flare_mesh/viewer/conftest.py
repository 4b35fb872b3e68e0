import pytest
import pyvista
import torch

from flare_mesh import MeshData
from flare_mesh.prediction import Prediction


@pytest.fixture
def prediction():
    """A cube of 8 hexahedra with a displacement and a stress, predicted and true, and a band."""
    mesh = MeshData.from_pyvista(pyvista.ImageData(dimensions=(3, 3, 3)))
    x, y, z = mesh.pos.T
    truth = torch.stack([0.1 * x, 0 * y, 0.2 * z], dim=1)
    predicted = truth + torch.tensor([0.0, 0.03, 0.04])
    return Prediction(
        "cube",
        mesh,
        {"displacement": predicted, "stress": (10 * x + 5)[:, None]},
        {"displacement": truth, "stress": (10 * x)[:, None]},
        {"displacement": "mm", "stress": "MPa"},
        band={"stress": torch.full((27, 1), 2.0)},
        coverage=0.9,
    )
