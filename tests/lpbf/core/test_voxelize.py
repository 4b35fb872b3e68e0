import numpy as np
import pytest
import trimesh

from lpbf import IslandError, PartError, PartWarning, voxelize


def volume(mesh):
    return mesh.num_cells * np.prod(mesh.spacing)


def test_box_is_exact_and_rests_on_the_plate():
    box = trimesh.creation.box((4.0, 6.0, 3.0))
    box.apply_translation((100.0, -50.0, 7.0))
    mesh = voxelize(box, (1.0, 2.0, 0.5))
    assert mesh.mask.shape == (4, 3, 6)
    assert mesh.mask.all()
    np.testing.assert_allclose(mesh.points.min(axis=0), [-2, -3, 0])
    np.testing.assert_allclose(mesh.points.max(axis=0), [2, 3, 3])


def test_sphere_against_its_equation():
    sphere = trimesh.creation.icosphere(subdivisions=5, radius=10.0)
    mesh = voxelize(sphere, 0.8, islands="drop")
    index = np.indices(mesh.mask.shape).reshape(3, -1).T
    centers = (index + 0.5) * 0.8 + np.array(mesh.origin) - [0, 0, 10.0]
    radius = np.linalg.norm(centers, axis=1)
    clear = np.abs(radius - 10.0) > 0.05
    np.testing.assert_array_equal(mesh.mask.ravel()[clear], (radius < 10.0)[clear])


@pytest.mark.parametrize("turn", range(6))
def test_grid_lines_through_vertices_and_edges(turn):
    """Centres that fall on edges and vertices of the surface must not leak or split."""
    octahedron = trimesh.Trimesh(
        [[5, 0, 0], [-5, 0, 0], [0, 5, 0], [0, -5, 0], [0, 0, 5], [0, 0, -5]],
        [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]],
    )
    box = trimesh.creation.box((9.0, 9.0, 9.0))
    part = trimesh.boolean.union(
        [octahedron, box.apply_translation((0, 0, -5.0))], engine="manifold"
    )
    part.faces = np.roll(part.faces, turn, axis=1)[:: 1 if turn % 2 else -1]
    with pytest.warns(PartWarning, match="lies on the centres of voxels along x and y, so that"):
        mesh = voxelize(part, 1.0)
    assert mesh.mask[:, :, :9].sum() == volume_below(mesh)
    assert abs(volume(mesh) - part.volume) < 0.08 * part.volume


def volume_below(mesh):
    """Voxels below the highest one of each column: the part has no cavities."""
    return int((np.maximum.accumulate(mesh.mask[:, :, ::-1], axis=2)[:, :, ::-1])[:, :, :9].sum())


def test_overlapping_bodies_are_united_and_inner_shells_are_cavities():
    a = trimesh.creation.box((4.0, 4.0, 4.0))
    b = a.copy().apply_translation((2.0, 0.0, 0.0))
    with pytest.warns(PartWarning, match="part: has 2 bodies; check the voxels"):
        both = voxelize(trimesh.util.concatenate([a, b]), 0.5)
    assert volume(both) == pytest.approx(6 * 4 * 4)

    hole = trimesh.creation.box((2.0, 2.0, 2.0))
    hole.invert()
    with pytest.warns(PartWarning):
        hollow = voxelize(trimesh.util.concatenate([a, hole]), 0.5)
    assert volume(hollow) == pytest.approx(64 - 8)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("sides", [1, 2])
def test_an_open_surface_is_filled_from_three_sides(axis, sides):
    box = trimesh.creation.box((8.0, 8.0, 8.0))
    center = box.triangles_center[:, axis]
    box.update_faces((center < 3.9) & ((sides == 1) | (center > -3.9)))
    assert not box.is_watertight
    with pytest.warns(PartWarning, match="part: is not watertight; check the voxels"):
        mesh = voxelize(box, 1.0)
    assert volume(mesh) == pytest.approx(512)


def test_a_surface_with_mixed_orientation():
    box = trimesh.creation.box((8.0, 8.0, 8.0)).subdivide()
    faces = box.faces.copy()
    faces[::3] = faces[::3, ::-1]
    mixed = trimesh.Trimesh(box.vertices, faces, process=False)
    with pytest.warns(PartWarning, match="neighbouring triangles of opposite winding"):
        assert volume(voxelize(mixed, 1.0)) == pytest.approx(512)


def test_one_flipped_triangle_makes_no_hole_where_bodies_overlap():
    boxes = [trimesh.creation.box((8.0, 8.0, 8.0)) for _ in range(2)]
    boxes[1].apply_translation((4.0, 0.0, 0.0))
    both = trimesh.util.concatenate(boxes)
    both.faces[0] = both.faces[0, ::-1]
    with pytest.warns(PartWarning):
        assert volume(voxelize(both, 1.0)) == pytest.approx(768)


def test_threaded_nut():
    pyvista_examples = pytest.importorskip("pyvista.examples")
    part = trimesh.load_mesh(pyvista_examples.nutfile)
    mesh = voxelize(pyvista_examples.nutfile, 1.0)
    assert volume(mesh) == pytest.approx(part.volume, rel=0.01)


def islands_part():
    post = trimesh.creation.box((2.0, 2.0, 10.0))
    arm = trimesh.creation.box((8.0, 2.0, 2.0)).apply_translation((3.0, 0.0, 4.0))
    hook = trimesh.creation.box((2.0, 2.0, 6.0)).apply_translation((6.0, 0.0, 2.0))
    part = trimesh.boolean.union([post, arm, hook], engine="manifold")
    part.metadata["file_path"] = "hook.stl"
    return part


def test_islands_are_dropped_refused_or_left_to_powder():
    with pytest.warns(
        PartWarning,
        match=r"dropped 4 islands .* built, 20 % of its voxels: 4 voxels at layer 4 around",
    ):
        mesh = voxelize(islands_part(), 1.0)
    assert volume(mesh) == pytest.approx(2 * 2 * 10 + 6 * 2 * 2)
    with pytest.raises(IslandError, match=r"hook.stl: 4 islands .* add supports, or choose"):
        voxelize(islands_part(), 1.0, islands="refuse")
    kept = voxelize(islands_part(), 1.0, islands="powder")
    assert volume(kept) == pytest.approx(islands_part().volume)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"pitch": 0.0}, ValueError, "expected the pitch as one or three lengths > 0 mm"),
        ({"pitch": float("nan")}, ValueError, "expected the pitch as one or three lengths"),
        ({"pitch": (1.0, 2.0)}, ValueError, "expected the pitch as one or three lengths"),
        ({"pitch": 1e-110}, PartError, "over the limit of 4,000,000; use"),
        (
            {"pitch": 0.01},
            PartError,
            r"grid of 64,000,000 voxels, over the limit of 4,000,000; use",
        ),
        (
            {"pitch": 1.0, "build_volume": (3, 9, 9)},
            PartError,
            "larger than the build volume of 3 x",
        ),
        ({"pitch": 1.0, "islands": "float"}, ValueError, "unknown islands 'float'"),
    ],
)
def test_bad_options(options, error, message):
    box = trimesh.creation.box((4.0, 4.0, 4.0))
    with pytest.raises(error, match=message):
        voxelize(box, **options)


def test_the_proposed_pitch_fits():
    box = trimesh.creation.box((40.0, 40.0, 40.0))
    with pytest.raises(PartError) as error:
        voxelize(box, 1.0, max_voxels=3000)
    proposed = float(str(error.value).rsplit("at least ", 1)[1].split()[0])
    with pytest.warns(PartWarning, match="its voxels hold 94 % of its volume; use a finer pitch"):
        assert voxelize(box, proposed, max_voxels=3000).num_cells > 1500


def test_a_pitch_that_is_refused_is_not_proposed():
    """Rounding to whole voxels gives more of them than the volume of the part has."""
    box = trimesh.creation.box((10.05, 10.05, 10.05))
    limit = 160 * 160 * 160 - 1
    with pytest.raises(PartError, match="a pitch of 0.063 x 0.063 x 0.063 mm gives") as error:
        voxelize(box, 0.063, max_voxels=limit)
    proposed = float(str(error.value).rsplit("at least ", 1)[1].split()[0])
    assert proposed > 0.063
    assert voxelize(box, proposed, max_voxels=limit).mask.size <= limit


def test_walls_thinner_than_the_pitch():
    outer = trimesh.creation.box((10.0, 10.0, 10.0))
    inner = trimesh.creation.box((9.8, 9.8, 12.0))
    frame = trimesh.boolean.difference([outer, inner], engine="manifold")
    with pytest.raises(PartError, match="use a pitch below its wall thickness"):
        voxelize(frame, 2.0)
