"""The mesh that is shown as a file."""

from pathlib import Path
from typing import Any

import torch

from flare_mesh.cases.prediction_mark import PREDICTION_MARK, predicted_field
from flare_mesh.io import write_mesh
from flare_mesh.mesh import MeshData
from flare_mesh.visualize.field_values import field_names


def write_fields(grid: Any, path: Path) -> None:
    """Write a mesh with its fields and units as ``.vtu``, marked if some are predicted."""
    mesh = MeshData.from_pyvista(grid)
    if any(predicted_field(name) for name in field_names(grid)):
        mesh[PREDICTION_MARK] = torch.ones(1, 1, dtype=torch.uint8)
    write_mesh(path, mesh)
