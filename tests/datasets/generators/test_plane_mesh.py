import numpy as np
import pytest

from flare_mesh.datasets.generators.plane_mesh import mesh_plane
from flare_mesh.datasets.generators.plane_region import Ellipse, PlaneRegion, draw_holes


def test_ellipse():
    ellipse = Ellipse((1.0, 2.0), (3.0, 1.5), np.pi / 6)
    ring = ellipse.outline(400)
    np.testing.assert_allclose(ellipse.distance(ring), 0, atol=1e-12)
    x, y = ring.T
    area = abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2
    assert area == pytest.approx(np.pi * 3 * 1.5, rel=1e-3)
    tip = np.array([np.cos(np.pi / 6), np.sin(np.pi / 6)])
    points = np.array([[1.0, 2.0] + 3.1 * tip, [1.0, 2.0] + 2.9 * tip])
    np.testing.assert_allclose(ellipse.distance(points), [0.1, -0.1], rtol=0.05)


def test_mesh_of_a_plate_with_holes():
    rng = np.random.default_rng(2)
    holes = draw_holes(rng, 3, box=(0, 0, 100, 60), sizes=(6, 10), gap=4, slenderness=2.0)
    assert len(holes) == 3
    centers = np.array([hole.center for hole in holes])
    for i, hole in enumerate(holes):
        others = np.delete(centers, i, axis=0)
        reach = [hole.axes[0] + other.axes[0] + 4 for j, other in enumerate(holes) if j != i]
        assert (np.hypot(*(others - hole.center).T) > reach).all()
    mesh = mesh_plane(PlaneRegion(100.0, 60.0, holes), 400, rng)
    assert 350 < len(mesh.points) < 520
    angles = mesh.angles()
    assert angles.min() > 20
    np.testing.assert_allclose(angles.sum(axis=1), 180)
    a, b, c = mesh.points[mesh.triangles].transpose(1, 0, 2)
    area = ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
    assert (area > 0).all()
    void = sum(np.pi * np.prod(hole.axes) for hole in holes)
    assert area.sum() == pytest.approx(6000 - void, rel=3e-3)
    edge = np.sqrt(area)
    near = np.abs(holes[0].distance((a + b + c) / 3)) < 1
    assert edge[near].mean() < 0.7 * edge.max()
    assert np.unique(mesh.triangles).tolist() == list(range(len(mesh.points)))


def test_too_few_nodes_for_a_narrow_gap():
    region = PlaneRegion(100.0, 60.0, (Ellipse((50.0, 15.0), (14.9, 14.9)),))
    with pytest.raises(RuntimeError, match="no mesh of about 60 nodes follows the boundary"):
        mesh_plane(region, 60, np.random.default_rng(0))
