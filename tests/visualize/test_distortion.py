import numpy as np
import pytest
import torch

from flare_mesh import MeshData
from flare_mesh.visualize import plot_distortion
from lpbf import HexMesh


@pytest.fixture
def mesh():
    block = HexMesh.from_mask(np.ones((4, 3, 2)), 1.0)
    return MeshData(
        pos=torch.from_numpy(block.points).float(), hexahedron=torch.from_numpy(block.cells)
    )


def pixels(path):
    from matplotlib.image import imread

    return imread(path)[..., :3]


def test_three_panels_show_what_they_claim(mesh, tmp_path):
    truth = torch.zeros_like(mesh.pos)
    truth[:, 2] = mesh.pos[:, 0] * 0.01
    factor = plot_distortion(mesh, truth.clone(), truth, path=tmp_path / "same.png")
    assert factor == 7.0  # 5 % of the diagonal of 29**0.5 mm over 0.04 mm, with one digit
    same = pixels(tmp_path / "same.png")
    assert same.shape == (640, 1920, 3)
    # Only the part, without texts and colour bars: equal truth and prediction look the same.
    body = slice(120, 500)
    # (Single pixels on edges may differ by rounding.)
    assert np.abs(same[body, 40:600] - same[body, 680:1240]).mean() < 1e-4
    assert same[body, 40:600].std() > 0.1

    plot_distortion(mesh, 2 * truth, truth, path=tmp_path / "double.png", exaggeration=factor)
    double = pixels(tmp_path / "double.png")
    assert np.abs(double[body, 40:600] - double[body, 680:1240]).mean() > 0.01


def test_prediction_alone(mesh, tmp_path):
    plot_distortion(mesh, torch.zeros_like(mesh.pos), path=tmp_path / "p.png", title="zero")
    assert pixels(tmp_path / "p.png").shape == (640, 640, 3)


def test_a_band_is_one_more_panel_on_the_scale_of_the_error(mesh, tmp_path):
    truth = torch.zeros_like(mesh.pos)
    truth[:, 2] = mesh.pos[:, 0] * 0.01
    # The band is the error at each node, on the same shape: the panels look the same.
    lift = 0.002 * mesh.pos[:, :1]
    predicted = truth + lift * torch.tensor([0.0, 0.0, 1.0])
    path = tmp_path / "band.png"
    plot_distortion(mesh, predicted, truth, path=path, exaggeration=0.0, band=lift, note="unlike")
    shown = pixels(path)
    assert shown.shape == (640, 2560, 3)
    body = slice(120, 500)
    assert np.abs(shown[body, 1320:1880] - shown[body, 1960:2520]).mean() < 1e-4
    # The warning is red, and only in the first panel.
    red = (shown[..., 0] > 0.75) & (shown[..., 1] < 0.1) & (shown[..., 2] < 0.1)
    assert red[:120, :640].any()
    assert not red[:120, 640:].any()


def test_bad_shape(mesh, tmp_path):
    with pytest.raises(ValueError, match=r"'simulated' of shape \[60, 3\] \(got \[60, 1\]\)"):
        plot_distortion(mesh, torch.zeros(60, 3), torch.zeros(60, 1), path=tmp_path / "p.png")
    with pytest.raises(ValueError, match=r"the band of shape \[60, 1\] \(got \[60\]\)"):
        plot_distortion(mesh, torch.zeros(60, 3), band=torch.zeros(60), path=tmp_path / "p.png")
    assert not list(tmp_path.iterdir())
