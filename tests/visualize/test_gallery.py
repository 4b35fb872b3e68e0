import numpy as np
import pytest
import torch

from flare_mesh import MeshData
from flare_mesh.visualize import plot_gallery
from lpbf import HexMesh


def pixels(path):
    from matplotlib.image import imread

    return imread(path)[..., :3]


def part(lift):
    block = HexMesh.from_mask(np.ones((4, 3, 2)), 1.0)
    mesh = MeshData(
        pos=torch.from_numpy(block.points).float(), hexahedron=torch.from_numpy(block.cells)
    )
    u = torch.zeros_like(mesh.pos)
    u[:, 2] = lift
    return mesh, u


def test_parts_share_one_scale(tmp_path):
    parts = {"up": part(0.1), "down": part(-0.1), "up again": part(0.1)}
    factor = plot_gallery(parts, path=tmp_path / "g.png", columns=2, panel=200)
    assert factor == pytest.approx(5.0)  # 0.13 of 4 mm, with one digit
    image = pixels(tmp_path / "g.png")
    assert image.shape == (448, 400, 3)
    # Below the texts, in the upper left, upper right and lower left.
    up, down = image[50:190, 10:190], image[50:190, 210:390]
    again = image[50 + 200 : 190 + 200, 10:190]
    assert np.abs(up - again).mean() < 0.01
    assert up[..., 0].sum() - up[..., 2].sum() > 1000  # red is the scale's upper end
    assert down[..., 2].sum() - down[..., 0].sum() > 200  # blue the lower
    assert image[250:390, 210:390].min() == 1.0  # no fourth part


def test_parts_without_displacement(tmp_path):
    zero = {"zero": part(0.0)}
    assert plot_gallery(zero, path=tmp_path / "g.png", exaggeration=3.0, panel=200) == 3.0
    assert pixels(tmp_path / "g.png").std() > 0.05


def test_bad_input(tmp_path):
    mesh, u = part(0.0)
    with pytest.raises(ValueError, match="at least one part"):
        plot_gallery({}, path=tmp_path / "g.png")
    with pytest.raises(ValueError, match=r"'box' of shape \[60, 3\] \(got \[60, 1\]\)"):
        plot_gallery({"box": (mesh, u[:, :1])}, path=tmp_path / "g.png")
    assert not list(tmp_path.iterdir())
