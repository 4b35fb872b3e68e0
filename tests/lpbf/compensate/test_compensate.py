import warnings

import numpy as np
import pytest
import trimesh
from numpy.testing import assert_allclose

from lpbf import (
    PartError,
    PartWarning,
    Process,
    Supports,
    compensate,
    find_unsupported,
    simulate,
    voxelize,
)
from lpbf.compensate.surface_field import SurfaceField
from lpbf.core.placement import part_offset

STRETCH = np.array([0.02, -0.03, 0.01])


def stretch(mesh):
    return mesh.points * STRETCH


def box(extents=(12.0, 8.0, 10.0), at=(0.0, 0.0, 0.0)):
    part = trimesh.creation.box(extents)
    part.apply_translation(at)
    part.apply_translation([0, 0, extents[2] / 2])
    return part


def bracket():
    """An L of two plates, 12 mm high."""
    foot, wall = box((16.0, 6.0, 4.0)), box((4.0, 6.0, 12.0), at=(-6.0, 0.0, 0.0))
    return trimesh.boolean.union([foot, wall], engine="manifold")


@pytest.mark.parametrize("at", [(0.0, 0.0, 0.0), (70.0, -31.0, 55.0)])
def test_a_stretch_is_undone_in_closed_form(at):
    """v (1 + e) = x about the middle of the part on the plate, wherever it lies in the file."""
    result = compensate(
        box(at=at), pitch=2.0, tolerance=1e-9, max_iterations=12, displacement=stretch
    )
    assert result.converged
    wanted = (result.nominal.vertices - at) / (1 + STRETCH) + at
    assert_allclose(result.surface.vertices, wanted, atol=1e-8)
    assert result.best == len(result.iterations) - 1


def test_a_free_block_that_shrinks_is_scaled_up():
    """A uniform shrinkage e is compensated by the factor 1 / (1 + e), on any voxels."""
    strain = -0.004

    def shrink(mesh):
        return strain * mesh.points

    result = compensate(box(), pitch=2.0, tolerance=1e-12, displacement=shrink, check_pitch=1.3)
    assert_allclose(result.surface.vertices * (1 + strain), result.nominal.vertices, atol=1e-10)
    check = result.check
    assert check.pitch == (1.3, 1.3, 1.3)
    assert check.before.vertices.max == pytest.approx(-strain * np.linalg.norm([6, 4, 10]))
    assert check.after.vertices.max < 1e-10
    assert check.disagreement.surface.max < 1e-12


def test_coarse_voxels_of_a_check_are_a_warning():
    with pytest.warns(PartWarning, match="its voxels hold 338 % of its volume"):
        compensate(box(), pitch=2.0, displacement=stretch, check_pitch=(18.0, 18.0, 10.0))


@pytest.mark.parametrize("degrees", [0.0, 37.0])
def test_points_on_the_plate_are_found_on_a_rotated_part_in_single_precision(degrees):
    """A base that curls up is the error of the plate, not one that no correction reduces."""

    def curl(mesh):
        x, y, _ = mesh.points.T
        return np.stack([0 * x, 0 * y, 1e-3 * (x**2 + y**2)], axis=1)

    long = box(extents=(24.0, 8.0, 4.0))
    turn = trimesh.transformations.rotation_matrix(np.radians(degrees), [1.0, 2.0, 0.5])
    long.apply_transform(turn)
    part = trimesh.Trimesh(long.vertices.astype(np.float32), long.faces, process=False)
    result = compensate(part, pitch=2.0, displacement=curl, place="orient")
    assert result.converged
    assert result.iterations[0].plate_error == pytest.approx(0.16, rel=0.1)


def test_the_error_falls_by_the_stretch_in_each_iteration():
    result = compensate(box(), pitch=2.0, tolerance=1e-9, displacement=stretch)
    corners = np.abs(np.array([6.0, 4.0, 10.0]) * STRETCH)
    assert result.iterations[0].deviation.vertices.max == pytest.approx(np.linalg.norm(corners))
    middles = result.nominal.triangles_center.copy()
    middles[(result.nominal.triangles[..., 2] == 0).any(axis=1), 2] = 0.0  # the plate's error
    for k, iteration in enumerate(result.iterations):
        falls = np.abs(STRETCH) ** (k + 1)
        vertices, surface = iteration.deviation.vertices, iteration.deviation.surface
        errors = np.linalg.norm(result.nominal.vertices * falls, axis=1)
        assert vertices.max == pytest.approx(errors.max(), rel=1e-6)
        assert vertices.rms == pytest.approx(np.sqrt((errors**2).mean()), rel=1e-6)
        p95 = np.quantile(errors, 0.95, method="inverted_cdf")
        assert vertices.p95 == pytest.approx(p95, rel=1e-6)
        errors, area = np.linalg.norm(middles * falls, axis=1), result.nominal.area_faces
        assert surface.max == pytest.approx(errors.max(), rel=1e-6)
        rms = np.sqrt((area * errors**2).sum() / area.sum())
        assert surface.rms == pytest.approx(rms, rel=1e-6)


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_rigid_parts(shift):
    """A rigid shift is compensated exactly; a part that does not move is unchanged."""
    result = compensate(
        box(),
        pitch=2.0,
        tolerance=1e-6,
        displacement=lambda mesh: np.tile([shift, 0.0, 0.0], (mesh.num_nodes, 1)),
    )
    assert result.converged
    assert len(result.iterations) == (1 if shift == 0 else 2)
    assert_allclose(result.surface.vertices, result.nominal.vertices - [shift, 0, 0], atol=1e-12)


def test_a_surface_does_not_go_below_its_plate():
    lift = 0.4

    def rise(mesh):
        return np.tile([0.0, 0.0, lift], (mesh.num_nodes, 1))

    result = compensate(box(), pitch=2.0, tolerance=0.5, displacement=rise)
    first = result.iterations[0]
    assert first.plate_error == pytest.approx(lift)
    assert first.deviation.vertices.max == pytest.approx(lift)
    result = compensate(box(), pitch=2.0, tolerance=1e-3, displacement=rise)
    assert result.converged
    assert result.iterations[-1].plate_error == pytest.approx(lift)
    on_plate = result.nominal.vertices[:, 2] == 0
    assert_allclose(result.surface.vertices[on_plate, 2], 0.0)
    above = result.surface.vertices[~on_plate] - result.nominal.vertices[~on_plate]
    assert_allclose(above, np.tile([0, 0, -lift], (len(above), 1)), atol=1e-12)


@pytest.mark.filterwarnings("ignore:.*degenerate triangles")
def test_vertices_that_stop_at_the_plate_end_the_iteration():
    """A foot 0.2 mm above the plate, which rises by 0.5 mm, cannot be printed 0.3 mm below it."""
    foot = box((4.0, 8.0, 2.0), at=(10.0, 0.0, 0.2))
    beam = box((24.0, 8.0, 4.0), at=(0.0, 0.0, 2.0))
    leg = box((4.0, 8.0, 2.0), at=(-10.0, 0.0, 0.0))
    part = trimesh.boolean.union([foot, beam, leg], engine="manifold")

    def rise(mesh):
        return np.tile([0.0, 0.0, 0.5], (mesh.num_nodes, 1))

    result = compensate(part, pitch=2.0, displacement=rise)
    assert not result.converged
    assert len(result.iterations) == 2
    assert result.iterations[1].deviation.vertices.max == pytest.approx(0.3)
    height = result.nominal.vertices[:, 2]
    lowest = np.isclose(height, 0.2)
    below = (height > 0) & (height < 0.499)
    assert result.stopped == (
        f"{below.sum()} vertices would have to be printed below the plate, and stop at it; cut "
        f"off what rises from the plate"
    )
    assert_allclose(result.surface.vertices[lowest, 2], 0.0)
    assert result.to_dict()["stopped"] == result.stopped


def test_a_tolerance_below_rounding_ends_the_iteration():
    result = compensate(box(), pitch=2.0, tolerance=1e-30, max_iterations=40, displacement=stretch)
    assert len(result.iterations) < 15
    assert "below the rounding of the coordinates" in result.stopped


def test_a_simulated_part_comes_out_as_designed():
    reported = []
    part = bracket()
    process = Process(scan_rotation=67.0)
    result = compensate(
        part,
        process,
        pitch=(2.0, 2.0, 2.0),
        tolerance=1e-5,
        check_pitch=1.0,
        on_iteration=reported.append,
    )
    assert tuple(reported) == result.iterations
    assert result.converged
    first, best = result.iterations[0], result.iterations[result.best]
    assert first.deviation.vertices.max > 0.03
    assert best.deviation.vertices.max < 1e-5
    assert best.deviation.surface.max < 0.006
    assert result.surface.is_watertight
    assert result.surface.is_winding_consistent
    assert_allclose(result.surface.bounds[0, 2], part.bounds[0, 2], atol=1e-12)
    # On finer voxels the error falls to about the difference between the two pitches.
    check = result.check
    assert check.pitch == (1.0, 1.0, 1.0)
    assert check.after.vertices.rms < 0.3 * check.before.vertices.rms
    assert check.after.vertices.max < 1.1 * check.disagreement.vertices.max
    # The compensated surface, simulated by hand, at the corners, which the nodes nearly meet.
    mesh = voxelize(result.surface, 2.0)
    low, high = result.surface.bounds
    points = mesh.points + np.array([*(low + high)[:2] / 2, low[2]])
    shift = simulate(mesh, process).displacement
    corners = part.vertices[part.vertices[:, 2] > 0]
    vertex = [np.linalg.norm(result.nominal.vertices - c, axis=1).argmin() for c in corners]
    node = [np.linalg.norm(points - c, axis=1).argmin() for c in corners]
    assert np.linalg.norm(shift[node], axis=1).min() > 0.01
    assert_allclose(result.surface.vertices[vertex] + shift[node], corners, atol=1e-3)


def test_bottom_rows_without_voxels_do_not_shift_the_interpolation():
    """A spike below the part has no voxel; the part above it then rests on the plate."""
    part = box((8.0, 8.0, 8.0), at=(5.0, 0.0, 0.0))
    tip = trimesh.Trimesh(
        [[4.9, -0.1, 0.0], [5.1, -0.1, 0.0], [5.0, 0.1, 0.0], [5.0, 0.0, -4.0]],
        [[0, 1, 2], [1, 0, 3], [2, 1, 3], [0, 2, 3]],
    )
    part = trimesh.util.concatenate([part, tip])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mesh = voxelize(part, 2.0)
        field = SurfaceField(mesh, part_offset(part, mesh), lambda mesh: (mesh.points, None))
        field.warn_of_far_points(part)
    assert mesh.mask.shape == (4, 4, 4)
    vertices = part.vertices.view(np.ndarray)
    assert not field.is_lost(vertices).any()
    assert_allclose(field.at(vertices)[:8], vertices[:8] - [5.0, 0, 0], atol=1e-12)
    messages = [str(w.message) for w in caught if issubclass(w.category, PartWarning)]
    assert any("1 of 12 surface points are up to 2 voxels away" in m for m in messages)


def test_points_on_removed_voxels_move_with_the_voxels_that_are_left():
    part = box((8.0, 8.0, 8.0))

    def simulator(mesh):
        values = stretch(mesh)
        values[mesh.points[:, 2] < 2] = 99.0  # from before the cut
        return values, mesh.cell_index[:, 2] == 0

    mesh = voxelize(part, 2.0)
    field = SurfaceField(mesh, part_offset(part, mesh), simulator)
    vertices = part.vertices.view(np.ndarray)
    assert_allclose(field.at(vertices), vertices * STRETCH, atol=1e-12)
    np.testing.assert_array_equal(field.is_lost(vertices), vertices[:, 2] == 0)


def test_removed_voxels_count_in_no_error():
    process = Process(release=[{"box": [[-9, -9, 6], [9, 9, 11]]}])
    result = compensate(box(), process, pitch=(2.0, 2.0, 2.0), tolerance=10.0)
    simulated = simulate(voxelize(box(), 2.0), process)
    length = np.linalg.norm(simulated.displacement, axis=1)
    largest = length[simulated.remaining_nodes].max()
    assert length.max() > 1.05 * largest
    assert 0.8 * largest < result.iterations[0].deviation.vertices.max <= largest


def test_the_cuts_of_a_check_stay_where_they_are_in_the_part():
    """The box of a stretched part has another middle, but its mesh keeps the coordinates."""
    (removal,) = Process(release=[{"box": [[-9, -9, 0], [-5.0, 9, 20]]}]).release
    ends = []

    def grow(mesh):
        ends.append(mesh.points[mesh.cells[removal.removed(mesh)]][..., 0].max())
        values = np.zeros_like(mesh.points)
        values[:, 0] = -0.5 * np.clip(mesh.points[:, 0], 0, 3)
        return values

    part = box(at=(40.0, 0.0, 0.0))
    result = compensate(part, pitch=1.0, check_pitch=0.5, displacement=grow)
    # The middle has moved by 0.75 mm, the cut in the part by less than half a voxel.
    assert_allclose(result.surface.bounds[:, 0], [34.0, 47.5], atol=1e-2)
    assert_allclose(ends, -5.0, atol=0.26)


@pytest.mark.filterwarnings("ignore:.*mm; if it is in metres")
def test_a_file_with_supported_islands_and_cuts(tmp_path):
    hook = trimesh.util.concatenate([box((2.0, 6.0, 6.0)), box((2.0, 6.0, 6.0), at=(4.0, 0, 2))])
    top = box((6.0, 6.0, 2.0), at=(2.0, 0.0, 6.0))
    part = trimesh.boolean.union([*hook.split(), top], engine="manifold")
    process = Process(supports=True, release=[{"below": 2.0}])
    mesh = voxelize(part, 2.0, islands="powder")
    assert find_unsupported(mesh)[0].any()
    simulate(mesh, process).save(tmp_path / "field.vtu")
    with warnings.catch_warnings():
        warnings.simplefilter("error", PartWarning)
        read = compensate(part, pitch=2.0, displacement=tmp_path / "field.vtu")
        full = compensate(part, process, pitch=(2.0, 2.0, 2.0))
    assert full.best >= 1
    assert_allclose(read.surface.vertices, full.surface.vertices, atol=1e-6)


def test_without_a_fixed_point_the_best_surface_is_returned():
    """A displacement that folds the part: its gradient along x is 1.5."""
    result = compensate(
        box(), pitch=2.0, max_iterations=4, displacement=lambda mesh: mesh.points * [1.5, 0, 0]
    )
    assert not result.converged
    assert len(result.iterations) == 5
    largest = [i.deviation.vertices.max for i in result.iterations]
    assert largest[result.best] == min(largest)


def test_a_process_with_powder_keeps_islands():
    table = trimesh.creation.box((12.0, 4.0, 2.0))
    table.apply_translation([0, 0, 9])
    leg = trimesh.creation.box((2.0, 4.0, 8.0))
    leg.apply_translation([-5, 0, 4])
    hook = trimesh.creation.box((2.0, 4.0, 4.0))
    hook.apply_translation([5, 0, 6])
    part = trimesh.boolean.union([table, leg, hook], engine="manifold")
    seen = []

    def still(mesh):
        seen.append(mesh.num_cells)
        return np.zeros((mesh.num_nodes, 3))

    options = {"pitch": 2.0, "tolerance": 0.1, "displacement": still}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        compensate(part, **options)
    messages = [str(w.message) for w in caught]
    assert len(messages) == 2
    assert "dropped 2 islands" in messages[0]
    assert "19 of 306 surface points are up to 2 voxels away" in messages[1]
    compensate(part, Process(islands="powder"), **options)
    assert seen == [seen[1] - 4, seen[1]]
    compensate(part, Process(supports=True), **options)
    assert seen[2] == seen[1]


def test_given_supports_hold_the_part():
    table = trimesh.creation.box((12.0, 4.0, 2.0)).apply_translation([0, 0, 9])
    leg = trimesh.creation.box((2.0, 4.0, 8.0)).apply_translation([-5, 0, 4])
    part = trimesh.boolean.union([table, leg], engine="manifold")
    body = trimesh.creation.box((2.0, 4.0, 8.0)).apply_translation([3, 0, 4])
    process = Process(supports=Supports(generate=False), inherent_strain=(-0.01,) * 3)
    options = {"pitch": (2.0, 2.0, 2.0), "tolerance": 1e-6, "max_iterations": 1}
    supported = compensate(part, process, supports=[body], **options)
    alone = compensate(part, Process(inherent_strain=(-0.01,) * 3), **options)
    with_body, without = (r.iterations[0].deviation.vertices.max for r in (supported, alone))
    assert with_body < 0.8 * without
    with pytest.raises(ValueError, match="has support bodies, but the process has no supports"):
        compensate(part, supports=[body], **options)


def test_bad_input(tmp_path):
    good = {"pitch": 2.0, "tolerance": 0.1, "displacement": stretch}
    for wrong, message in (
        ({"tolerance": 0.0}, "expected a tolerance > 0 mm"),
        ({"tolerance": float("nan")}, "expected a tolerance > 0 mm"),
        ({"max_iterations": 0}, "expected max_iterations >= 1"),
        ({"check_pitch": -1.0}, "expected check_pitch as one or three lengths > 0 mm"),
        ({"pitch": 0.0}, "expected the pitch as one or three lengths > 0 mm"),
        ({"pitch": (1.0, 2.0)}, "expected the pitch as one or three lengths > 0 mm"),
        ({"displacement": lambda mesh: np.zeros(3)}, r"expected finite values of shape \[\d+, 3\]"),
        (
            {"displacement": lambda mesh: np.full((mesh.num_nodes, 3), np.nan)},
            r"\d+ not finite",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            compensate(box(), **{**good, **wrong})
    with pytest.raises(FileNotFoundError, match=r"none.stl: no such file"):
        compensate(tmp_path / "none.stl", **good)
    with pytest.raises(PartError, match="larger than the build volume"):
        compensate(box((300.0, 300.0, 300.0)), **{**good, "pitch": 50.0})


def test_an_oriented_part_is_returned_in_the_orientation_of_its_file():
    """The same part, rotated in its file, has the same compensation."""
    lying = trimesh.creation.box((12.0, 8.0, 4.0)).apply_translation((20.0, 0.0, 0.0))
    quarter = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    standing = lying.copy().apply_transform(quarter)
    options = {"pitch": 2.0, "tolerance": 1e-6, "max_iterations": 1}
    one = compensate(lying, **options)
    other = compensate(standing, **options, place="orient")
    np.testing.assert_allclose(np.abs(other.rotation @ quarter[:3, :3]), np.eye(3), atol=1e-12)
    shift = one.surface.vertices - one.nominal.vertices
    turned = other.surface.vertices - other.nominal.vertices
    np.testing.assert_allclose(other.nominal.vertices, one.nominal.vertices @ quarter[:3, :3].T)
    assert np.abs(shift).max() > 0.01
    np.testing.assert_allclose(
        np.sort(np.abs(turned[:, [0, 2, 1]]), axis=0), np.sort(np.abs(shift), axis=0), atol=1e-6
    )
    np.testing.assert_allclose(
        np.linalg.norm(turned, axis=1).max(), np.linalg.norm(shift, axis=1).max(), atol=1e-6
    )
    with pytest.raises(ValueError, match="place 'drop' of a part with given supports"):
        compensate(lying, **options, place="orient", supports=[lying])
