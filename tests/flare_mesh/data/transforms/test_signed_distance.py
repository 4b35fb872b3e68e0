import numpy as np
import pytest
import pyvista
import torch
import trimesh
from torch_geometric.data import Batch, Data

from flare_mesh import MeshData
from flare_mesh.data.transforms import SignedDistance
from flare_mesh.testing.cells import mixed_mesh, unit_mesh
from lpbf import HexMesh

SIZES = np.array([1.0, 2.0, 3.0])


def points(count=2000, reach=2.5, seed=0):
    return np.random.default_rng(seed).uniform(-reach, reach, (count, 3))


def distance_to_box(points, sizes=SIZES, middle=(0.0, 0.0, 0.0)):
    beyond = np.abs(points - np.asarray(middle)) - sizes / 2
    outside = np.linalg.norm(np.maximum(beyond, 0), axis=1)
    return outside + np.minimum(beyond.max(axis=1), 0)


def sdf(surface, at):
    return SignedDistance(surface)(Data(pos=torch.from_numpy(at))).sdf[:, 0].numpy()


def test_box():
    surface = trimesh.creation.box(SIZES)
    at = points()
    np.testing.assert_allclose(sdf(surface, at), distance_to_box(at), atol=1e-12)
    # On a grid through the corners and edges, where several faces are equally near.
    grid = np.stack(np.meshgrid(*[np.linspace(-2, 2, 9)] * 3), axis=-1).reshape(-1, 3)
    np.testing.assert_allclose(sdf(surface, grid), distance_to_box(grid), atol=1e-12)


def test_sphere():
    surface = trimesh.creation.icosphere(subdivisions=4, radius=2.0)
    at = points(3000)
    # The facets lie inside the sphere by up to (1 - cos) of half their angle.
    sagitta = 2 - np.linalg.norm(surface.triangles_center, axis=1).min()
    error = np.linalg.norm(at, axis=1) - 2 - sdf(surface, at)
    assert error.max() < 1e-7
    assert error.min() > -1.01 * sagitta
    assert sagitta < 0.005


@pytest.mark.parametrize(
    "surface",
    [
        pyvista.Cube(x_length=1.0, y_length=2.0, z_length=3.0),  # quads, normals by face
        trimesh.creation.box(SIZES).subdivide(),
        trimesh.Trimesh(
            trimesh.creation.box(SIZES).triangles.reshape(-1, 3),
            np.arange(36).reshape(-1, 3),
            process=False,
        ),  # as an STL file has it: three points for each triangle
        lambda data: trimesh.creation.box(SIZES),
    ],
)
def test_kinds_of_surfaces(surface):
    at = points(300)
    np.testing.assert_allclose(sdf(surface, at), distance_to_box(at), atol=1e-6)


def test_an_inward_surface_is_reversed():
    surface = trimesh.creation.box(SIZES)
    surface.invert()
    at = points(300)
    np.testing.assert_allclose(sdf(surface, at), distance_to_box(at), atol=1e-12)
    assert surface.volume < 0


def test_cavities_and_several_parts():
    outer, inner = trimesh.creation.box((4.0, 4, 4)), trimesh.creation.box((2.0, 2, 2))
    inner.invert()
    far = trimesh.creation.box((1.0, 1, 1)).apply_translation((5.0, 0, 0))
    at = points(1000, reach=6.0)
    hollow = np.maximum(distance_to_box(at, np.full(3, 4.0)), -distance_to_box(at, np.full(3, 2.0)))
    other = distance_to_box(at, np.ones(3), (5.0, 0, 0))
    exact = np.where(np.abs(hollow) < np.abs(other), hollow, other)
    found = sdf(outer + inner + far, at)
    # Inside the cavity the exact distance is that to the inner box, from within.
    np.testing.assert_allclose(found, exact, atol=1e-12)


def test_parts_that_touch_along_an_edge():
    one = trimesh.creation.box((1.0, 1, 1))
    both = one.copy().apply_translation((0.5, 0.5, 0)) + one.apply_translation((-0.5, -0.5, 0))
    at = points(1000, reach=1.5)
    a = distance_to_box(at, np.ones(3), (0.5, 0.5, 0))
    b = distance_to_box(at, np.ones(3), (-0.5, -0.5, 0))
    np.testing.assert_allclose(sdf(both, at), np.minimum(a, b), atol=1e-12)


def test_surfaces_that_have_no_inside():
    box = trimesh.creation.box(SIZES)
    at = points(5)
    opened = trimesh.Trimesh(box.vertices, box.faces[1:])
    with pytest.raises(ValueError, match="SignedDistance: expected a closed .* 3 of 18 edges"):
        sdf(opened, at)
    faces = box.faces.copy()
    faces[0] = faces[0, ::-1]
    with pytest.raises(ValueError, match="consistently oriented"):
        sdf(trimesh.Trimesh(box.vertices, faces, process=False), at)
    with pytest.raises(ValueError, match=r"surface of triangles \(got none\)"):
        sdf(trimesh.Trimesh(), at)
    with pytest.raises(ValueError, match="expected a trimesh.Trimesh or a pyvista.PolyData"):
        sdf("part.stl", at)


def test_precision_name_and_bad_data():
    surface = trimesh.creation.box(SIZES)
    data = Data(pos=torch.from_numpy(points(9)).float())
    out = SignedDistance(surface, name="wall")(data)
    assert (out.wall.shape, out.wall.dtype) == ((9, 1), torch.float32)
    assert "wall" not in data
    with pytest.raises(ValueError, match="SignedDistance: expected a single mesh"):
        SignedDistance(surface)(Batch.from_data_list([data, data]))
    with pytest.raises(ValueError, match=r"'pos' of shape \[N, 2\] or \[N, 3\] \(got \[9, 1\]\)"):
        SignedDistance(surface)(Data(pos=data.pos[:, :1]))


def test_the_boundary_of_the_mesh_itself():
    mesh = HexMesh.from_mask(np.ones((4, 5, 6)), 0.5, origin=(-1.0, -1.25, -1.5))
    data = MeshData(pos=torch.from_numpy(mesh.points), hexahedron=torch.from_numpy(mesh.cells))
    exact = distance_to_box(mesh.points, np.array([2.0, 2.5, 3.0]))
    np.testing.assert_allclose(SignedDistance()(data).sdf[:, 0], exact, atol=1e-12)
    assert exact.min() == -1.0


@pytest.mark.parametrize(
    "kind", ["tetra10", "pyramid13", "wedge18", "hexahedron20", "hexahedron27"]
)
def test_boundaries_of_the_second_order(kind):
    pos, cells = unit_mesh(kind)
    middle = MeshData(pos=torch.cat([pos, torch.full((1, 3), 0.4)]), **cells)
    exact = distance_to_box(middle.pos.numpy(), np.ones(3), (0.5, 0.5, 0.5))
    np.testing.assert_allclose(SignedDistance()(middle).sdf[:, 0], exact, atol=1e-12)


def test_surfaces_as_meshes():
    box = trimesh.creation.box(SIZES)
    at = points(20)
    data = MeshData(
        pos=torch.from_numpy(np.concatenate([box.vertices, at])),
        triangle=torch.from_numpy(np.array(box.faces)),
    )
    np.testing.assert_allclose(
        SignedDistance()(data).sdf[:, 0], distance_to_box(data.pos.numpy()), atol=1e-12
    )
    pos, cells = mixed_mesh()
    assert float(SignedDistance()(MeshData(pos=pos, **cells)).sdf.abs().max()) < 1e-12


def test_data_without_a_surface():
    for data in (Data(pos=torch.zeros(2, 3)), MeshData(pos=torch.zeros(2, 3))):
        with pytest.raises(ValueError, match="SignedDistance: expected a MeshData with cells"):
            SignedDistance()(data)


@pytest.mark.parametrize("seed", range(5))
def test_boundaries_that_touch_themselves(seed):
    """Random voxels meet at edges and corners, and leave cavities."""
    rng = np.random.default_rng(seed)
    mask = rng.random((4, 3, 3)) < 0.5
    mesh = HexMesh.from_mask(mask, 1.0)
    at = rng.uniform(-1, 5, (400, 3))
    data = MeshData(
        pos=torch.from_numpy(np.concatenate([mesh.points, at])),
        hexahedron=torch.from_numpy(mesh.cells),
    )
    found = SignedDistance()(data).sdf[len(mesh.points) :, 0].numpy()

    def to_voxels(chosen, offset=0):
        middles = np.argwhere(chosen) - offset + 0.5
        beyond = np.maximum(np.abs(at[:, None] - middles) - 0.5, 0)
        return np.linalg.norm(beyond, axis=2).min(axis=1)

    exact = to_voxels(mask) - to_voxels(~np.pad(mask, 3), 3)
    np.testing.assert_allclose(found, exact, atol=1e-12)


def test_the_side_is_that_of_the_winding_number():
    """A jagged star, many of whose nearest points are edges and tips."""
    rng = np.random.default_rng(0)
    star = trimesh.creation.icosphere(subdivisions=2)
    star.vertices *= rng.uniform(0.15, 1.5, (len(star.vertices), 1))
    at = points(1000, reach=1.2)
    # Solid angles of the triangles (Van Oosterom and Strackee).
    a, b, c = (star.vertices[corner] - at[:, None] for corner in star.faces.T)
    la, lb, lc = (np.linalg.norm(x, axis=2) for x in (a, b, c))
    volume = np.einsum("ijk,ijk->ij", a, np.cross(b, c))
    cosines = (a * b).sum(2) * lc + (b * c).sum(2) * la + (c * a).sum(2) * lb
    winding = np.arctan2(volume, la * lb * lc + cosines).sum(axis=1) / (2 * np.pi)
    assert 100 < int((winding > 0.5).sum()) < 900
    np.testing.assert_array_equal(sdf(star, at) < 0, winding > 0.5)


def ring(corners):
    """The closed curve through corners [S, 2], as PyVista's lines."""
    points = np.pad(corners, ((0, 0), (0, 1)), constant_values=0.25)
    return pyvista.PolyData(points, lines=[len(points) + 1, *range(len(points)), 0])


RECTANGLE = np.array([[-0.5, -1.0], [0.5, -1.0], [0.5, 1.0], [-0.5, 1.0]])


def test_a_rectangle_in_the_plane():
    # On the grid rays pass through corners and along sides.
    grid = np.stack(np.meshgrid(*[np.linspace(-2, 2, 17)] * 2), axis=-1).reshape(-1, 2)
    for at in (points()[:, :2], grid):
        for corners in (RECTANGLE, RECTANGLE[::-1], np.roll(RECTANGLE, 1, axis=0)):
            np.testing.assert_allclose(
                sdf(ring(corners), at), distance_to_box(at, SIZES[:2], np.zeros(2)), atol=1e-7
            )


@pytest.mark.parametrize("count", [3, 8, 500])
def test_a_regular_polygon(count):
    at = points(500)[:, :2]
    sector = 2 * np.pi / count
    angles = sector * np.arange(count)
    found = sdf(ring(2 * np.stack([np.cos(angles), np.sin(angles)], axis=1)), at)
    # In the sector of one side: x across it, y along it from its middle.
    radius, angle = np.hypot(*at.T), np.arctan2(at[:, 1], at[:, 0]) % sector - sector / 2
    across = radius * np.cos(angle) - 2 * np.cos(sector / 2)
    beyond = np.maximum(np.abs(radius * np.sin(angle)) - 2 * np.sin(sector / 2), 0)
    exact = np.copysign(np.hypot(across, beyond), across)
    np.testing.assert_allclose(found, exact, atol=1e-6)


@pytest.mark.parametrize("kind", ["triangle", "triangle6", "quad", "quad9"])
def test_the_boundary_of_a_flat_mesh(kind):
    pos, cells = unit_mesh(kind)
    at = torch.from_numpy(points(200)[:, :2])
    found = SignedDistance()(MeshData(pos=torch.cat([pos, at]), **cells)).sdf[:, 0].numpy()
    exact = distance_to_box(np.concatenate([pos, at]), np.ones(2), (0.5, 0.5))
    np.testing.assert_allclose(found, exact, atol=1e-12)


def test_lines_as_a_mesh_with_a_hole_and_float32():
    corners = np.concatenate([4 * RECTANGLE, RECTANGLE])
    lines = [(0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4)]
    at = points(300)[:, :2]
    data = MeshData(pos=torch.from_numpy(np.concatenate([corners, at])), line=torch.tensor(lines))
    boxes = [distance_to_box(data.pos.numpy(), s * SIZES[:2], np.zeros(2)) for s in (4, 1)]
    exact = np.maximum(boxes[0], -boxes[1])
    np.testing.assert_allclose(SignedDistance()(data).sdf[:, 0], exact, atol=1e-12)
    data.pos = data.pos.float()
    assert SignedDistance()(data).sdf.dtype == torch.float32


def test_curves_that_have_no_inside():
    at = points(5)[:, :2]
    opened = pyvista.PolyData(ring(RECTANGLE).points, lines=[4, 0, 1, 2, 3])
    with pytest.raises(ValueError, match=r"SignedDistance: expected a closed curve \(got 2 loose"):
        sdf(opened, at)
    with pytest.raises(ValueError, match=r"expected a curve of lines \(got none\)"):
        sdf(pyvista.PolyData(), at)
    with pytest.raises(ValueError, match="a pyvista.PolyData of lines as the surface of a flat"):
        sdf(trimesh.creation.box(SIZES), at)
    with pytest.raises(ValueError, match="expected a curve in a plane z = const"):
        sdf(pyvista.Line((0, 0, 0), (0, 0, 1)), at)
