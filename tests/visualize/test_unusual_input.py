"""Fields and meshes that cannot be drawn as they are: a caption or an error says so."""

import numpy as np
import pytest
import pyvista
import torch
from matplotlib.figure import Figure
from PIL import Image

from flare_mesh import MeshData
from flare_mesh.visualize import (
    plot_comparison,
    plot_distortion,
    plot_field,
    plot_gallery,
    plot_parity,
)
from lpbf import HexMesh


def block():
    """4 x 3 x 2 voxels with a vector and a scalar."""
    voxels = HexMesh.from_mask(np.ones((4, 3, 2)), 1.0)
    pos = torch.from_numpy(voxels.points).float()
    mesh = MeshData(pos, hexahedron=torch.from_numpy(voxels.cells))
    mesh.u = torch.stack([0 * pos[:, 0], 3 * pos[:, 0], 4 * pos[:, 0]], 1)
    mesh.stress = pos[:, 0].clone()
    return mesh


def with_holes():
    mesh = block()
    mesh.stress[:7] = torch.nan
    mesh.u[:7] = torch.nan
    return mesh


def without_places():
    """Coordinates that are missing, in a mesh that no reader has checked."""
    grid = block().to_pyvista()
    grid.points[[3, 5], [0, 1]] = np.nan, np.inf
    return grid


def constant():
    mesh = block()
    mesh.stress[:] = 3.25
    return mesh


def empty():
    return MeshData(torch.zeros(0, 3), u=torch.zeros(0, 3), stress=torch.zeros(0))


def huge():
    return pyvista.Sphere(theta_resolution=60, phi_resolution=60)


def cloud():
    return MeshData(torch.rand(900, 3))


def field(mesh, path, name="stress", **options):
    return plot_field(mesh, name, size=(200, 160), **options)


def comparison(mesh, path, name="stress"):
    return plot_comparison(mesh, name, mesh[name], size=(480, 160))


def distortion(mesh, path):
    return plot_distortion(mesh, mesh.u, path=path)


def gallery(mesh, path):
    return plot_gallery({"part": (mesh, mesh.u)}, path=path, panel=160)


@pytest.mark.parametrize(
    ("draw", "mesh", "options", "caption"),
    [
        (field, with_holes, {}, "no value at 7 of 60 nodes (pink)"),
        (comparison, with_holes, {}, "no value at 7 of 60 nodes (pink)"),
        (field, with_holes, {"warp": "u"}, "no displacement at 7 of 60 nodes (taken as zero)"),
        (field, with_holes, {"glyphs": "u"}, "no vector at 7 of 60 nodes (taken as zero)"),
        (field, constant, {}, "stress: 3.25 everywhere"),
        (comparison, constant, {}, "stress: 3.25 everywhere"),
        (field, huge, {"name": None, "max_faces": 500}, "6,960 faces, reduced to "),
        (field, cloud, {"name": None, "max_faces": 400}, "every 3th of 900 points"),
        (field, block, {"name": "u"}, "norm of u"),
        (field, block, {"name": "u", "threshold": 10}, "norm of u"),
        (field, block, {"name": "u", "contours": [10.0]}, "norm of u"),
        (comparison, block, {"name": "u"}, "norm of u"),
    ],
)
def test_a_caption_says_what_is_shown(draw, mesh, options, caption, tmp_path):
    plotter = draw(mesh(), tmp_path / "a.png", **options)
    actors = [actor for one in plotter.renderers for actor in one.actors.values()]
    lines = [actor.input for actor in actors if isinstance(actor, pyvista.Text)]
    assert any(line.startswith(caption) for line in lines), lines
    plotter.close()


@pytest.mark.parametrize(
    ("draw", "mesh", "options", "message"),
    [
        (
            field,
            block,
            {"name": "stres"},
            "no field 'stres'; did you mean 'stress'? The fields are",
        ),
        (field, block, {"name": "heat"}, "no field 'heat'; choose from stress, u"),
        (
            field,
            without_places,
            {},
            "UnstructuredGrid: expected finite coordinates (got NaN or infinite ones at 2 of 60 "
            "nodes, the first is node 3); remove these nodes and their cells",
        ),
        (field, empty, {}, "expected a mesh with points (got none)"),
        (comparison, empty, {}, "expected a mesh with points (got none)"),
        (distortion, empty, {}, "expected a mesh with points (got none)"),
        (gallery, empty, {}, "'part': expected a mesh with points (got none)"),
    ],
)
def test_one_line_says_what_is_wrong(draw, mesh, options, message, tmp_path):
    with pytest.raises(ValueError) as error:
        draw(mesh(), tmp_path / "a.png", **options)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("draw", [distortion, gallery])
def test_missing_displacements_leave_the_rest(draw, tmp_path):
    """Pink nodes at their undeformed places; range and scale are those of the other nodes."""
    factor = draw(with_holes(), tmp_path / "holes.png")
    assert factor == draw(block(), tmp_path / "whole.png")
    pictures = [
        np.asarray(Image.open(tmp_path / name).convert("RGB"), dtype=int)
        for name in ("holes.png", "whole.png")
    ]
    pink = [
        ((one[..., 0] > 150) & (one[..., 1] < 90) & (one[..., 2] > 130)).sum() for one in pictures
    ]
    assert pink[0] > 50 > pink[1]


def test_charts_need_no_opengl(monkeypatch, tmp_path):
    def no_library(name):
        raise OSError(name)

    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("VTK_DEFAULT_OPENGL_WINDOW", raising=False)
    monkeypatch.setattr("flare_mesh.visualize.picture.ctypes.CDLL", no_library)
    monkeypatch.setattr("flare_mesh.visualize.picture.sys.platform", "linux")
    for draw in (field, comparison, distortion, gallery):
        with pytest.raises(ImportError, match="need OpenGL .*apt-get install libegl1"):
            draw(block(), tmp_path / "a.png")
    ax = plot_parity(block().stress + 1, block().stress, ax=Figure().subplots())
    assert len(ax.collections[0].get_offsets()) == 60
