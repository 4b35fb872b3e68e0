"""Pictures against stored ones; ``python tests/visualize/test_references.py`` writes them again."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from flare_mesh import MeshData
from flare_mesh.visualize import plot_comparison, plot_field

REFERENCES = Path(__file__).with_name("references")
# Machines draw edges and texts differently by a pixel, so means over squares are compared.
SQUARE, MEAN, LARGEST = 10, 2.0, 30.0


def solid():
    """A bar of 6 x 2 x 2 hexahedra that is bent upwards."""
    x, y, z = torch.meshgrid(torch.arange(7), torch.arange(3), torch.arange(3), indexing="ij")
    node = torch.arange(63).view(7, 3, 3)
    steps = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)]
    corners = [node[i : i + 6, j : j + 2, k : k + 2].flatten() for i, j, k in steps]
    mesh = MeshData(
        torch.stack([x, y, z], -1).view(-1, 3).double(), hexahedron=torch.stack(corners, 1)
    )
    mesh.u = torch.stack([0 * mesh.pos[:, 0], 0 * mesh.pos[:, 0], 0.01 * mesh.pos[:, 0] ** 2], 1)
    mesh.predicted_u = mesh.u * 1.2
    mesh.stress = (mesh.pos[:, 0] - 6) * (mesh.pos[:, 2] - 1)
    mesh.units = {"u": "mm", "stress": "MPa"}
    return mesh


def draw(name, path):
    mesh = solid()
    if name == "deformed":
        plot_field(mesh, "stress", warp="u", factor=5, title="bar", path=path, size=(240, 200))
    elif name == "sliced":
        mesh.stress[3] = torch.nan
        plot_field(mesh, "stress", slice=["x", "y"], glyphs="u", path=path, size=(240, 200))
    else:
        plot_comparison(mesh, "u", warp="u", path=path, size=(480, 200))


@pytest.mark.parametrize("name", ["deformed", "sliced", "comparison"])
def test_pictures_are_as_before(name, tmp_path):
    draw(name, tmp_path / "now.png")
    now, before = (squares(path) for path in (tmp_path / "now.png", REFERENCES / f"{name}.png"))
    assert now.shape == before.shape
    difference = np.abs(now - before)
    assert difference.mean() < MEAN
    assert difference.max() < LARGEST


def squares(path):
    """Mean colours of the squares of a picture."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"), dtype=float)
    height, width = (size // SQUARE for size in pixels.shape[:2])
    return pixels.reshape(height, SQUARE, width, SQUARE, 3).mean(axis=(1, 3))


if __name__ == "__main__":
    for name in ("deformed", "sliced", "comparison"):
        draw(name, REFERENCES / f"{name}.png")
