"""Pictures of fields; one module, since the first picture of a process takes a second."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import pyvista
import torch
from PIL import Image
from torch_geometric.data import Data

from flare_mesh import MeshData
from flare_mesh.io import write_mesh
from flare_mesh.visualize import plot_comparison, plot_field
from flare_mesh.visualize.arrows import ARROWS, streamlines
from flare_mesh.visualize.colours import Colours
from flare_mesh.visualize.cut import SHOWN
from lpbf import HexMesh

SMALL = {"size": (200, 160)}


@pytest.fixture
def block():
    """4 x 3 x 2 voxels of 1 mm with a displacement and other fields."""
    voxels = HexMesh.from_mask(np.ones((4, 3, 2)), 1.0)
    mesh = MeshData(
        torch.from_numpy(voxels.points),
        hexahedron=torch.from_numpy(voxels.cells),
        units={"displacement": "mm", "von_mises": "MPa"},
    )
    x = mesh.pos[:, 0]
    mesh.displacement = torch.stack([0 * x, 0 * x, 0.01 * x**2], 1)
    mesh.von_mises = 10.0 * x
    mesh.cell_layer = torch.arange(24.0)
    return mesh


def coloured(plotter, view=0):
    """The mapper and the data set of the body of a view."""
    found = [
        actor.mapper
        for actor in plotter.renderers[view].actors.values()
        if getattr(actor, "mapper", None) is not None and actor.mapper.scalar_visibility
    ]
    return found[0], found[0].dataset


def texts(plotter, view=0):
    actors = plotter.renderers[view].actors.values()
    return [actor.input for actor in actors if isinstance(actor, pyvista.Text)]


def test_values_range_and_units_reach_the_picture(block):
    plotter = plot_field(block, "von_mises", title="block", **SMALL)
    mapper, body = coloured(plotter)
    assert mapper.scalar_range == (0.0, 40.0)
    assert body.n_cells == 52  # quadrilaterals of the surface
    assert np.allclose(body.point_data[SHOWN], 10 * body.points[:, 0])
    assert texts(plotter) == ["block", "von_mises [MPa]"]
    plotter.close()


def test_a_vector_is_shown_by_its_norm_or_one_component(block):
    plotter = plot_field(block, "displacement", **SMALL)
    assert "norm of displacement [mm]" in texts(plotter)
    assert coloured(plotter)[0].scalar_range == pytest.approx((0.0, 0.16))
    plotter.close()
    plotter = plot_field(block, -block.displacement, component="z", **SMALL)
    assert "field, z" in texts(plotter)
    assert coloured(plotter)[0].scalar_range == pytest.approx((-0.16, 0.0))
    plotter.close()


def test_deformation_leaves_the_mesh_as_it_was(block):
    before = block.pos.clone()
    plotter = plot_field(block, "von_mises", warp="displacement", factor=10.0, **SMALL)
    body = coloured(plotter)[1]
    assert body.bounds[5] == pytest.approx(2 + 10 * 0.16)
    assert "deformation x 10" in texts(plotter)
    assert torch.equal(block.pos, before)
    plotter.close()
    # 5 % of the diagonal of 29**0.5 mm, with one digit.
    plotter = plot_field(block, warp="displacement", **SMALL)
    assert "deformation x 2" in texts(plotter)
    plotter.close()


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"clip": "x<1"}, [1, 3, 2]),
        ({"clip": "x>1"}, [3, 3, 2]),
        ({"clip": ["x>1", "z<1"]}, [3, 3, 1]),
        ({"clip": "y=1"}, [4, 2, 2]),  # away from the viewer, who is at small y
        ({"clip": "x+2z>6"}, [2, 3, 1]),
        ({"clip": " - 0.5*X - 1e0 z > -1"}, [2, 3, 1]),
        ({"slice": "z"}, [4, 3, 0]),
        ({"slice": "x-z"}, [2, 3, 2]),  # x - z = 1 at the centre
        ({"slice": ((1, 0, 0), (0.5, 0, 0))}, [0, 3, 2]),
        ({"threshold": 30}, [2, 3, 2]),
        ({"threshold": (None, 5)}, [1, 3, 2]),
        ({"contours": [15.0]}, [0, 3, 2]),
    ],
)
def test_what_is_cut_away(block, options, size):
    plotter = plot_field(block, "von_mises", **options, **SMALL)
    mapper, body = coloured(plotter)
    assert np.allclose(np.ptp(np.reshape(body.bounds, (3, 2)), axis=1), size)
    assert np.allclose(body.point_data[SHOWN], 10 * body.points[:, 0])
    assert mapper.scalar_range == (0.0, 40.0)  # of the whole field
    plotter.close()


def test_comparison_has_linked_cameras_and_two_ranges(block, tmp_path):
    block.predicted_von_mises = block.von_mises + 2.0 * block.pos[:, 1]
    plotter = plot_comparison(block, "von_mises", size=(600, 200))
    ranges = [coloured(plotter, view)[0].scalar_range for view in range(3)]
    assert ranges == [(0.0, 46.0), (0.0, 46.0), (0.0, 6.0)]
    cameras = [renderer.GetActiveCamera() for renderer in plotter.renderers[:3]]
    assert cameras[0] == cameras[1] == cameras[2]
    # The sums of y**2 and x**2 over the nodes are 3 * 5 * 14 and 3 * 4 * 30.
    assert f"error (relative L2 {0.2 * (210 / 360) ** 0.5:.3g})" in texts(plotter, 2)
    assert "error of von_mises [MPa]" in texts(plotter, 2)
    plotter.close()
    # The prediction in another file, by the same name.
    other = MeshData(block.pos, hexahedron=block.hexahedron)
    other.von_mises = block.predicted_von_mises
    write_mesh(tmp_path / "other.vtu", other)
    other = tmp_path / "other.vtu"
    plotter = plot_comparison(block, "von_mises", other, label="stress [MPa]", size=(600, 200))
    assert coloured(plotter, 2)[0].scalar_range == pytest.approx((0.0, 6.0))
    assert "stress [MPa]" in texts(plotter, 1)
    assert "error of stress [MPa]" in texts(plotter, 2)
    plotter.close()


def test_each_view_is_deformed_by_its_own_displacement(block):
    predicted = 2 * block.displacement
    plotter = plot_comparison(block, "displacement", predicted, warp="displacement", factor=10.0)
    heights = [coloured(plotter, view)[1].bounds[5] for view in range(3)]
    assert heights == pytest.approx([3.6, 5.2, 3.6])
    plotter.close()


def test_missing_values_are_counted_and_have_their_own_colour(block, tmp_path):
    block.von_mises[:6] = torch.nan
    path = tmp_path / "missing.png"
    plotter = plot_field(block, "von_mises", **SMALL)
    assert "no value at 6 of 60 nodes (pink)" in texts(plotter)
    plotter.close()
    assert plot_field(block, "von_mises", path=path, **SMALL) is None
    image = np.asarray(Image.open(path))
    assert image.shape[:2] == (160, 200)
    pink = (image[..., 0] > 150) & (image[..., 1] < 80) & (image[..., 2] > 150)
    assert pink.sum() > 50


def test_arrows_have_the_colours_of_a_cell_field(block):
    plotter = plot_field(block, "layer", glyphs="displacement", **SMALL)
    assert "cell values averaged at the nodes" in texts(plotter)
    assert coloured(plotter)[0].scalar_range == (0.0, 23.0)
    plotter.close()


def test_infinite_values_are_missing_values(block):
    block.von_mises[:6] = torch.inf
    plotter = plot_field(block, "von_mises", **SMALL)
    mapper, body = coloured(plotter)
    assert mapper.scalar_range == (0.0, 40.0)
    # Six nodes of the bottom, of 60: all of them are on the surface.
    assert np.isnan(body.point_data[SHOWN]).sum() == 6
    assert not np.isinf(body.point_data[SHOWN]).any()
    plotter.close()


def test_a_constant_field_is_written_without_a_bar(block):
    plotter = plot_field(block, torch.full((60,), 3.25), **SMALL)
    assert texts(plotter) == ["field: 3.25 everywhere"]
    assert not plotter.scalar_bars
    plotter.close()
    # A range that the user gives has a bar, and its centre is not the value.
    plotter = plot_field(block, torch.full((60,), 3.25), clim=(0, 10), **SMALL)
    assert texts(plotter) == ["field"]
    assert coloured(plotter)[0].scalar_range == (0.0, 10.0)
    plotter.close()
    rounded = torch.full((60,), 3.25)
    rounded[7] = torch.nextafter(rounded[7], torch.tensor(4.0))
    plotter = plot_field(block, rounded, **SMALL)
    assert texts(plotter) == ["field: 3.25 everywhere"]
    plotter.close()
    plotter = plot_field(block, torch.full((60,), torch.nan), **SMALL)
    assert texts(plotter) == ["no value at 60 of 60 nodes (pink)"]
    plotter.close()


def test_streamlines_of_a_vortex_with_its_centre_at_rest():
    plane = pyvista.ImageData(dimensions=(11, 11, 1), origin=(-5, -5, 0))
    x, y, _ = plane.points.T
    plane[ARROWS] = np.stack([-y, x, x + 7], axis=1)  # the part out of the plane is left out
    lines = streamlines(plane.cast_to_unstructured_grid(), flat=2, diagonal=14.0)
    # They are circles: along each the radius stays the same.
    radii = [np.linalg.norm(line.points, axis=1) for line in lines.cell]
    assert max(np.ptp(one) for one in radii) < 0.5
    assert max(one.max() for one in radii) > 4.5


def test_streamlines_on_a_curved_surface():
    """Around the axis of a sphere with an outflow: circles of latitude on the sphere."""
    sphere = pyvista.Sphere(radius=1.0, theta_resolution=20, phi_resolution=20)
    x, y, z = sphere.points.T
    sphere[ARROWS] = np.stack([-y, x, 0 * z], axis=1) + 3 * sphere.points
    lines = streamlines(sphere.cast_to_unstructured_grid(), flat=None, diagonal=3.4)
    assert lines.n_cells > 60
    assert np.abs(np.linalg.norm(lines.points, axis=1) - 1).max() < 0.03
    assert np.median([np.ptp(line.points[:, 2]) for line in lines.cell]) < 0.1
    assert np.median([np.ptp(line.points[:, 0]) for line in lines.cell]) > 1.0


def test_points_planes_and_files(block, tmp_path):
    cloud = MeshData(block.pos, load=block.pos[:, 0])
    plotter = plot_field(cloud, "load", **SMALL)
    assert coloured(plotter)[1].n_points == 60
    plotter.close()
    flat = MeshData(
        block.pos[:, :2], triangle=torch.tensor([[0, 1, 5], [1, 6, 5]]), u=block.pos[:, 0]
    )
    plotter = plot_field(flat, "u", glyphs=torch.ones(60, 2), **SMALL)
    direction = np.subtract(plotter.camera.position, plotter.camera.focal_point)
    assert plotter.camera.parallel_projection
    assert np.allclose(direction[:2], 0)
    plotter.close()
    plot_field(block, "layer", path=tmp_path / "a.svg", **SMALL)
    assert [file.name for file in tmp_path.iterdir()] == ["a.svg"]
    assert "layer" in (tmp_path / "a.svg").read_text()


@pytest.mark.parametrize(
    ("field", "options", "message"),
    [
        ("von_mise", {}, "no field 'von_mise'; did you mean 'von_mises'.*displacement, layer, von"),
        ("von_mises", {"clip": "x<-3"}, "'x<-3' leaves nothing of the mesh; x is from 0 to 4"),
        ("von_mises", {"slice": "z=9"}, "'z=9' does not meet the mesh"),
        ("von_mises", {"slice": "w=9"}, "slice: expected a plane such as 'z=10'"),
        ("von_mises", {"slice": "x2y=9"}, "slice: expected a plane .*'x2y=9'"),
        ("von_mises", {"clip": "x-x<1"}, "clip: expected a plane .*'x-x<1'"),
        ("von_mises", {"clip": "x<1e999"}, "clip: expected a plane .*'x<1e999'"),
        ("von_mises", {"threshold": 50}, "no cell from 50; the values are from 0 to 40"),
        ("von_mises", {"threshold": (50, 60)}, "no cell from 50 to 60; the values are"),
        ("von_mises", {"cmap": "virids"}, "cmap: unknown colour map 'virids'; did you mean 'viri"),
        ("von_mises", {"size": (0, 0)}, "size: expected a width and a height from 16"),
        ("von_mises", {"contours": [99]}, "none at 99; the values are from 0 to 40"),
        ("von_mises", {"warp": "von_mises"}, "'von_mises': expected a vector of 2 or 3"),
        ("von_mises", {"factor": 3.0}, "factor: expected a displacement to scale"),
        ("von_mises", {"view": "top"}, "unknown view 'top'"),
        ("von_mises", {"clim": (2, 1)}, "expected clim as two ascending"),
        ("von_mises", {"path": "a.jpg"}, "a.jpg: expected the name of a picture"),
        (np.zeros(7), {}, r"at the 60 nodes or in the 24 cells \(got \[7\]\)"),
        (np.zeros((60, 6)), {}, "expected one of its 6 components.*xx, yy"),
        (np.zeros((60, 6)), {"component": "ww"}, "no component 'ww'"),
        (None, {"threshold": 1}, "threshold: expected a field"),
    ],
)
def test_bad_input(block, field, options, message):
    with pytest.raises(ValueError, match=message):
        plot_field(block, field, **options)


def test_comparison_refuses_nodes_at_other_places(block):
    shuffled = MeshData(block.pos.flip(0), von_mises=block.von_mises)
    with pytest.raises(
        ValueError, match=r"prediction: .* same order \(got a node that is 5.39 away"
    ):
        plot_comparison(block, "von_mises", shuffled)
    fewer = MeshData(block.pos[:7], von_mises=block.von_mises[:7])
    with pytest.raises(ValueError, match=r"the 60 nodes of the true mesh \(got 7\)"):
        plot_comparison(block, "von_mises", fewer)
    with pytest.raises(ValueError, match="prediction: no field 'displacement'"):
        plot_comparison(block, "displacement", fewer)


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (300.0, 300.4, ["300.0", "300.1", "300.2", "300.3", "300.4"]),
        (1000.0, 1000.4, ["1000.0", "1000.1", "1000.2", "1000.3", "1000.4"]),
        (0.0, 2000.0, ["0", "500", "1000", "1500", "2000"]),
        (0.0, 1.0, ["0", "0.25", "0.5", "0.75", "1"]),
        (-1e-7, 1e-7, ["-1e-07", "-5e-08", "0", "5e-08", "1e-07"]),
        (0.0, 5e-324, None),
        (-1.7e308, 1.7e308, None),
    ],
)
def test_numbers_at_the_bar_differ(low, high, labels):
    colours = Colours("viridis", low, high)
    found = [colours.number_format % (low + n * (high / 4 - low / 4)) for n in range(5)]
    if labels is not None:
        assert [float(label) for label in found] == pytest.approx([float(one) for one in labels])
        assert len(set(found)) == 5


def test_bad_meshes():
    with pytest.raises(ValueError, match=r"slice: expected a mesh with cells \(got points alone\)"):
        plot_field(MeshData(torch.rand(5, 3)), slice="x")
    with pytest.raises(ValueError, match=r"expected a mesh with points \(got none\)"):
        plot_field(MeshData(torch.zeros(0, 3)))
    with pytest.raises(ValueError, match=r"'pos' of shape \[N, 2\] or \[N, 3\] \(got \[9\]\)"):
        plot_field(Data(pos=torch.rand(9)))
    with pytest.raises(TypeError, match=r"a prediction or a result \(got int\)"):
        plot_field(3)
    with pytest.raises(FileNotFoundError):
        plot_field(Path("nowhere.vtu"))


def test_a_machine_without_opengl(block, monkeypatch):
    def no_library(name):
        raise OSError(name)

    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("VTK_DEFAULT_OPENGL_WINDOW", raising=False)
    monkeypatch.setattr("flare_mesh.visualize.picture.ctypes.CDLL", no_library)
    monkeypatch.setattr("flare_mesh.visualize.picture.sys.platform", "linux")
    with pytest.raises(ImportError, match="need OpenGL .*apt-get install libegl1"):
        plot_field(block, "von_mises", path="a.png")


def test_a_surface_of_many_faces_is_reduced(block):
    sphere = pyvista.Sphere(theta_resolution=60, phi_resolution=60)
    plotter = plot_field(sphere, sphere.points[:, 2], max_faces=1000, **SMALL)
    body = coloured(plotter)[1]
    assert 100 < body.n_cells <= 1000
    assert {*range(body.n_points)} == {*body.regular_faces.ravel()}  # no point is unused
    # Of the largest face, from corner to corner.
    assert np.abs(body.point_data[SHOWN] - body.points[:, 2]).max() < 0.05
    assert f"{sphere.n_cells:,} faces, reduced to {body.n_cells:,} for view" in texts(plotter)
    plotter.close()


def test_a_notebook_shows_the_plotter(block):
    plotter = plot_field(block, "von_mises", **SMALL)
    with Image.open(BytesIO(plotter._repr_png_())) as picture:
        assert picture.size == SMALL["size"]
    plotter.notebook = True  # as in a kernel
    shown = plotter.show(jupyter_backend="static", return_viewer=True)
    assert shown.size == SMALL["size"]
    assert np.asarray(shown).std() > 10
