import itertools

import numpy as np
import pytest

from flare_mesh.datasets.car_nodes import Car, merge_surface_and_volume, vertex_normals

vtk = pytest.importorskip("vtk")


@pytest.fixture(scope="module")
def case():
    """A box in a grid of hexahedra; some of its vertices are not in the grid, two in no quad."""
    grid = np.stack(np.meshgrid(*[np.arange(5.0)] * 3, indexing="ij"), axis=-1)
    points = grid.reshape(-1, 3).astype(np.float32)
    node = np.arange(125).reshape(5, 5, 5)
    corners = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)]
    corners += [(x, y, 1) for x, y, _ in corners]
    inside = {1, 2}
    hexahedra = np.array(
        [
            [node[i + a, j + b, k + c] for a, b, c in corners]
            for i, j, k in itertools.product(range(4), repeat=3)
            if not {i, j, k} <= inside
        ]
    )
    sides = []
    for axis, level in itertools.product(range(3), (1, 3)):
        plane = np.moveaxis(node, axis, 0)[level]
        for i, j in itertools.product((1, 2), repeat=2):
            sides.append([plane[i, j], plane[i + 1, j], plane[i + 1, j + 1], plane[i, j + 1]])
    sides = np.array(sides)
    rng = np.random.default_rng(0)
    for quad in sides[rng.random(len(sides)) < 0.5]:
        quad[:] = quad[::-1]  # the orientation of the file means nothing
    used, quads = np.unique(sides, return_inverse=True)
    order = rng.permutation(len(used) + 2)
    surface = np.concatenate([points[used], [[9, 9, 9], [1, 1, 1]]]).astype(np.float32)[order]
    quads = np.argsort(order)[quads.reshape(-1, 4)]
    surface[order == 5] *= np.float32(1.01)
    pressure = rng.random(len(surface)).astype(np.float32)
    return Car(surface, quads, pressure), points, hexahedra, rng.random((125, 3))


def vtk_normals(car):
    """Transolver's pipeline, filter by filter."""
    grid = vtk.vtkUnstructuredGrid()
    points = vtk.vtkPoints()
    for point in car.points.tolist():
        points.InsertNextPoint(point)
    grid.SetPoints(points)
    for quad in car.quads.tolist():
        grid.InsertNextCell(vtk.VTK_QUAD, 4, quad)
    surface = vtk.vtkDataSetSurfaceFilter()
    surface.SetInputData(grid)
    normals = vtk.vtkPolyDataNormals()
    normals.SetInputConnection(surface.GetOutputPort())
    normals.AutoOrientNormalsOn()
    normals.ConsistencyOn()
    normals.ComputeCellNormalsOn()
    normals.ComputePointNormalsOff()
    normals.Update()
    grid.GetCellData().SetNormals(normals.GetOutput().GetCellData().GetNormals())
    to_points = vtk.vtkCellDataToPointData()
    to_points.SetInputData(grid)
    to_points.Update()
    array = to_points.GetOutput().GetPointData().GetNormals()
    values = np.array([array.GetTuple(i) for i in range(len(car.points))])
    values /= np.abs(values).max(axis=1, keepdims=True) + 1e-8
    return values / (np.linalg.norm(values, axis=1, keepdims=True) + 1e-8)


def test_normals_as_transolver_has_them(case):
    car = case[0]
    normals = vertex_normals(car)
    np.testing.assert_allclose(normals, vtk_normals(car), atol=1e-6)
    used = np.zeros(len(car.points), bool)
    used[car.quads] = True
    # Outwards from the middle of the box; nothing where no quad is.
    assert ((car.points - 2) * normals).sum(axis=1)[used].min() > 0.9
    assert not normals[~used].any()


def test_nodes_as_transolver_has_them(case):
    car, points, hexahedra, velocity = case
    nodes = merge_surface_and_volume(car, points, hexahedra, velocity)
    surface = {tuple(p) for p in car.points.tolist()}
    of_volume = {tuple(p): v for p, v in zip(points.tolist(), velocity, strict=True)}
    outside = [i for i, p in enumerate(points.tolist()) if tuple(p) not in surface]
    count = len(outside)
    assert nodes["surf"].tolist() == [0] * count + [1] * len(car.points)
    np.testing.assert_array_equal(nodes["pos"], [*points[outside], *car.points])
    for row, i in enumerate(outside):
        away = points[i] - car.points.astype(float)
        distance = np.linalg.norm(away, axis=1)
        assert nodes["sdf"][row] == pytest.approx(distance.min())
        # Several vertices may be the nearest.
        directions = away[distance < distance.min() + 1e-6] / distance.min()
        assert np.abs(directions - nodes["normals"][row]).max(axis=1).min() < 1e-6
    assert not nodes["sdf"][count:].any()
    np.testing.assert_allclose(nodes["normals"][count:], vertex_normals(car), atol=1e-6)
    expected = [of_volume.get(tuple(p), np.zeros(3)) for p in car.points.tolist()]
    np.testing.assert_allclose(nodes["velocity"], [*velocity[outside], *expected], rtol=1e-6)
    assert sum(not v.any() for v in expected) == 2  # the moved vertex and the one far away
    np.testing.assert_array_equal(nodes["pressure"], [*np.zeros(count), *car.pressure])


def test_cells_keep_their_corners(case):
    car, points, hexahedra, velocity = case
    nodes = merge_surface_and_volume(car, points, hexahedra, velocity)
    # The grid's node that the moved vertex left is a node off the surface.
    np.testing.assert_array_equal(nodes["pos"][nodes["hexahedron"]], points[hexahedra])
    np.testing.assert_array_equal(nodes["pos"][nodes["quad"]], car.points[car.quads])
    shared = np.intersect1d(nodes["quad"], nodes["hexahedron"])
    assert len(shared) == len(np.unique(car.quads)) - 1
