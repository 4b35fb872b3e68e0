import numpy as np
import pytest
import torch

from flare_mesh import MeshData
from flare_mesh.datasets.grid import grid_cells, grid_positions
from flare_mesh.visualize import plot_error_by_distance
from flare_mesh.visualize.charts.error_by_distance import boundary_distance, distance_quantiles


@pytest.fixture
def mesh():
    """A square of 13 x 13 nodes of distance 1."""
    axis = np.arange(13.0)
    return MeshData(grid_positions(axis, axis), **grid_cells((13, 13)))


def test_the_distance_is_that_from_the_nearest_side(mesh):
    x, y = mesh.pos.T
    expected = torch.stack([x, y, 12 - x, 12 - y]).amin(0)
    np.testing.assert_allclose(boundary_distance(mesh), expected, atol=1e-6)


def test_the_median_grows_as_the_error_does(mesh, ax):
    error = torch.from_numpy(boundary_distance(mesh)).float() + 1
    predicted = torch.stack([0 * error, error], dim=1)
    plot_error_by_distance(
        mesh, predicted, torch.zeros_like(predicted), field="u", length_unit="mm", ax=ax
    )
    (median,) = ax.lines
    x, y = median.get_data()
    assert x[0] == 0  # the nodes on the boundary
    np.testing.assert_allclose(y, x + 1, rtol=1e-6)
    assert ax.get_xlabel() == "distance from the boundary [mm]"
    assert ax.get_yscale() == "log"


def test_quantiles_of_groups():
    distance = np.repeat([0.0, 1.0, 2.0], 11)
    error = np.tile(np.arange(11.0), 3) + np.repeat([0.0, 100.0, 200.0], 11)
    centres, rows = distance_quantiles(distance, error)
    assert centres.tolist() == [0, 1, 2]
    assert rows.tolist() == [[1, 5, 9], [101, 105, 109], [201, 205, 209]]


def test_few_and_equal_nodes():
    centres, rows = distance_quantiles(np.zeros(2), np.array([1.0, 1.0]))
    assert (centres.tolist(), rows.tolist()) == ([0], [[1, 1, 1]])


def test_meshes_without_boundary(mesh, ax):
    points = MeshData(mesh.pos)
    with pytest.raises(ValueError, match="with cells for the distance"):
        plot_error_by_distance(points, points.pos, points.pos, ax=ax)
    points["vertex"] = torch.arange(len(points.pos))[:, None]
    with pytest.raises(ValueError, match="with cells for the distance"):
        plot_error_by_distance(points, points.pos, points.pos, ax=ax)
    corners = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    faces = torch.tensor([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])
    with pytest.raises(ValueError, match="closed surface"):
        plot_error_by_distance(MeshData(corners, triangle=faces), corners, corners, ax=ax)
    with pytest.raises(ValueError, match="values at the 169 nodes \\(got 4\\)"):
        plot_error_by_distance(mesh, corners, corners, ax=ax)
