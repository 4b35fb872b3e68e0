import numpy as np
import pytest

from flare_mesh.datasets.generators.plane_mesh import mesh_plane
from flare_mesh.datasets.generators.plane_region import Ellipse, PlaneRegion
from flare_mesh.datasets.generators.stokes_flow import solve_stokes


def test_an_empty_channel_has_the_flow_of_poiseuille():
    length, height, speed, viscosity = 40.0, 20.0, 3.0, 1.4
    mesh = mesh_plane(PlaneRegion(length, height), 150, np.random.default_rng(0))
    velocity, pressure = solve_stokes(mesh, length, height, speed, viscosity)
    x, y = mesh.points.T
    exact = np.stack([6 * speed * y * (height - y) / height**2, 0 * y], axis=1)
    np.testing.assert_allclose(velocity, exact, atol=1e-10)
    drop = 12 * viscosity * speed / height**2
    np.testing.assert_allclose(pressure, drop * (length - x), atol=1e-9)


def test_an_obstacle_keeps_the_flux_and_the_symmetry():
    region = PlaneRegion(60.0, 20.0, (Ellipse((30.0, 10.0), (5.0, 5.0)),))
    mesh = mesh_plane(region, 350, np.random.default_rng(1))
    velocity, pressure = solve_stokes(mesh, 60.0, 20.0, 2.0, 1.0)
    on_obstacle = np.isclose(np.hypot(*(mesh.points - [30, 10]).T), 5, atol=1e-3)
    assert on_obstacle.sum() > 10
    assert np.abs(velocity[on_obstacle]).max() == 0
    outlet = np.isclose(mesh.points[:, 0], 60)
    place = np.argsort(mesh.points[outlet, 1])
    flux = np.trapezoid(velocity[outlet, 0][place], mesh.points[outlet, 1][place])
    assert flux == pytest.approx(2.0 * 20, rel=0.03)  # trapezia cut the parabola's top
    # The gap of 5 mm above and below has the whole flux: 4 times the mean speed, parabolic.
    fastest = velocity[:, 0].max()
    assert 1.4 * 2 * 2 < fastest < 1.6 * 2 * 2
    empty = 12 * 1.0 * 2 / 20**2 * 60
    assert pressure.max() > 2 * empty
