import numpy as np
import pytest

from flare_mesh.datasets.drivaerml_surface import polygon_geometry

pyvista = pytest.importorskip("pyvista")


@pytest.fixture(scope="module")
def mixed():
    """A surface of triangles, and one of quads."""
    triangles = pyvista.Sphere(theta_resolution=12, phi_resolution=9)
    quads = pyvista.Disc(inner=0.2, r_res=4, c_res=7)
    return triangles, quads


def test_against_vtk(mixed):
    for mesh, corners in zip(mixed, (3, 4), strict=True):
        mesh = mesh.compute_cell_sizes().compute_normals(
            point_normals=False, consistent_normals=False
        )
        faces = mesh.regular_faces
        ends = corners * np.arange(1, len(faces) + 1)
        cells = polygon_geometry(mesh.points, faces.ravel(), ends, chunk=10)
        np.testing.assert_allclose(cells[:, :3], mesh.cell_centers().points, atol=1e-6)
        np.testing.assert_allclose(cells[:, 3:6], mesh.cell_data["Normals"], atol=1e-5)
        np.testing.assert_allclose(cells[:, 6], mesh.cell_data["Area"], rtol=1e-5)


def test_polygons_of_all_sizes():
    # Regular n-gons: area n/2 sin(2 pi / n), far from the origin and in clockwise order.
    sizes = [3, 8, 4, 5, 3, 6]
    points, ends = [], np.cumsum(sizes)
    for n in sizes:
        angle = -2 * np.pi * np.arange(n) / n
        points.append(np.stack([np.cos(angle), np.full(n, 0.0), np.sin(angle)], axis=1) + 1000)
    points = np.concatenate(points)
    cells = polygon_geometry(points, np.arange(len(points)), ends, chunk=4)
    expected = [n / 2 * np.sin(2 * np.pi / n) for n in sizes]
    np.testing.assert_allclose(cells[:, 6], expected, rtol=1e-6)
    np.testing.assert_allclose(cells[:, 3:6], [[0, 1, 0]] * 6, atol=1e-6)
    np.testing.assert_allclose(cells[:, :3], 1000, rtol=1e-6)


def test_degenerate():
    points = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0.0]])
    cells = polygon_geometry(points, np.array([0, 1, 2]), np.array([3]))
    assert cells.tolist() == [[1, 0, 0, 0, 0, 0, 0]]
    with pytest.raises(ValueError, match="polygon 1 has 2 vertices"):
        polygon_geometry(points, np.array([0, 1, 2, 0, 1]), np.array([3, 5]))
    assert polygon_geometry(points, np.zeros(0, int), np.zeros(0, int)).shape == (0, 7)
