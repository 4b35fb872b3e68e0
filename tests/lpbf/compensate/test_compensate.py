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
    find_unsupported,
    simulate,
    voxelize,
)
from lpbf.compensate import compensate, compensate_once
from lpbf.compensate.surface_displacement import surface_displacement

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


def test_the_error_falls_by_the_stretch_in_each_iteration():
    result = compensate(box(), pitch=2.0, tolerance=1e-9, displacement=stretch)
    corners = np.abs(np.array([6.0, 4.0, 10.0]) * STRETCH)
    assert result.iterations[0].max_error == pytest.approx(np.linalg.norm(corners))
    for k, iteration in enumerate(result.iterations):
        expected = np.linalg.norm(corners * np.abs(STRETCH) ** k)
        assert iteration.max_error == pytest.approx(expected, rel=1e-6)
        assert iteration.rms_error < iteration.max_error
        assert iteration.rms_error < iteration.p99_error <= iteration.max_error


def test_relaxation():
    result = compensate(
        box(), pitch=2.0, tolerance=1e-9, max_iterations=1, relaxation=0.5, displacement=stretch
    )
    assert not result.converged
    half = result.nominal.vertices * (1 - STRETCH / 2)
    assert_allclose(result.surface.vertices, half, atol=1e-12)


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_rigid_parts(shift):
    """A rigid shift is compensated exactly; a part that does not move is unchanged."""
    result = compensate(
        box(),
        pitch=(2.0, 2.0, 2.0),
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
    assert first.max_error == pytest.approx(lift)
    result = compensate(box(), pitch=2.0, tolerance=1e-3, displacement=rise)
    assert result.converged
    assert result.iterations[-1].plate_error == pytest.approx(lift)
    on_plate = result.nominal.vertices[:, 2] == 0
    assert_allclose(result.surface.vertices[on_plate, 2], 0.0)
    above = result.surface.vertices[~on_plate] - result.nominal.vertices[~on_plate]
    assert_allclose(above, np.tile([0, 0, -lift], (len(above), 1)), atol=1e-12)


def test_a_simulated_part_comes_out_as_designed():
    reported = []
    part = bracket()
    process = Process(scan_rotation=67.0)
    result = compensate(
        part, process, pitch=(2.0, 2.0, 2.0), tolerance=0.002, on_iteration=reported.append
    )
    assert tuple(reported) == result.iterations
    assert result.converged
    first, best = result.iterations[0], result.iterations[result.best]
    assert first.max_error > 0.03
    assert best.max_error < 0.002
    assert result.surface.is_watertight
    assert result.surface.is_winding_consistent
    assert_allclose(result.surface.bounds[0, 2], part.bounds[0, 2], atol=1e-12)
    # The same once more, by hand, at the corners, which the voxels' nodes nearly meet.
    mesh = voxelize(result.surface, 2.0)
    low, high = result.surface.bounds
    points = mesh.points + np.array([*(low + high)[:2] / 2, low[2]])
    shift = simulate(mesh, process).displacement
    corners = part.vertices[part.vertices[:, 2] > 0]
    vertex = [np.linalg.norm(result.nominal.vertices - c, axis=1).argmin() for c in corners]
    node = [np.linalg.norm(points - c, axis=1).argmin() for c in corners]
    assert np.linalg.norm(shift[node], axis=1).min() > 0.01
    assert_allclose(result.surface.vertices[vertex] + shift[node], corners, atol=0.002)


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
        moved = surface_displacement(part, 2.0, lambda mesh: (mesh.points, None))
    assert moved.mesh.mask.shape == (4, 4, 4)
    assert not moved.lost.any()
    assert_allclose(moved.shift[:8], part.vertices[:8] - [5.0, 0, 0], atol=1e-12)
    messages = [str(w.message) for w in caught if issubclass(w.category, PartWarning)]
    assert any("1 of 12 surface points are up to 2 voxels away" in m for m in messages)


def test_points_on_removed_voxels_move_with_the_voxels_that_are_left():
    part = box((8.0, 8.0, 8.0))

    def simulator(mesh):
        values = stretch(mesh)
        values[mesh.points[:, 2] < 2] = 99.0  # from before the cut
        return values, mesh.cell_index[:, 2] == 0

    moved = surface_displacement(part, 2.0, simulator)
    assert_allclose(moved.shift, part.vertices * STRETCH, atol=1e-12)
    np.testing.assert_array_equal(moved.lost, part.vertices[:, 2] == 0)


def test_removed_voxels_count_in_no_error():
    process = Process(release=[{"box": [[-9, -9, 6], [9, 9, 11]]}])
    result = compensate(box(), process, pitch=(2.0, 2.0, 2.0), tolerance=10.0)
    simulated = simulate(voxelize(box(), 2.0), process)
    length = np.linalg.norm(simulated.displacement, axis=1)
    largest = length[simulated.remaining_nodes].max()
    assert length.max() > 1.05 * largest
    assert 0.8 * largest < result.iterations[0].max_error <= largest


@pytest.mark.filterwarnings("ignore:.*mm; if it is in metres")
def test_once_with_supported_islands_and_cuts(tmp_path):
    hook = trimesh.util.concatenate([box((2.0, 6.0, 6.0)), box((2.0, 6.0, 6.0), at=(4.0, 0, 2))])
    top = box((6.0, 6.0, 2.0), at=(2.0, 0.0, 6.0))
    part = trimesh.boolean.union([*hook.split(), top], engine="manifold")
    process = Process(supports=True, release=[{"below": 2.0}])
    mesh = voxelize(part, 2.0, islands="powder")
    assert find_unsupported(mesh)[0].any()
    simulate(mesh, process).save(tmp_path / "field.vtu")
    with warnings.catch_warnings():
        warnings.simplefilter("error", PartWarning)
        once = compensate_once(part, tmp_path / "field.vtu", pitch=2.0)
        full = compensate(part, process, pitch=(2.0, 2.0, 2.0), tolerance=1e-9, max_iterations=1)
    assert full.best == 1
    assert_allclose(once.surface.vertices, full.surface.vertices, atol=1e-6)


def test_stalled_iterations_return_the_best_surface():
    """Voxels that appear and disappear limit the error: here the field jumps at each call."""
    calls = []

    def jump(mesh):
        calls.append(mesh)
        sign = -1.0 if len(calls) % 2 else 1.0
        return np.tile([0.1 * sign, 0.0, 0.0], (mesh.num_nodes, 1))

    result = compensate(box(), pitch=2.0, tolerance=0.01, max_iterations=40, displacement=jump)
    assert not result.converged
    assert len(result.iterations) < 15
    assert result.iterations[result.best].max_error == min(i.max_error for i in result.iterations)


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


def test_given_supports_are_in_each_shape():
    table = trimesh.creation.box((12.0, 4.0, 2.0)).apply_translation([0, 0, 9])
    leg = trimesh.creation.box((2.0, 4.0, 8.0)).apply_translation([-5, 0, 4])
    part = trimesh.boolean.union([table, leg], engine="manifold")
    body = trimesh.creation.box((2.0, 4.0, 8.0)).apply_translation([3, 0, 4])
    process = Process(supports=Supports(generate=False), inherent_strain=(-0.01,) * 3)
    options = {"pitch": (2.0, 2.0, 2.0), "tolerance": 1e-6, "max_iterations": 1}
    supported = compensate(part, process, supports=[body], **options)
    assert len(supported.iterations) == 2
    alone = compensate(part, Process(inherent_strain=(-0.01,) * 3), **options)
    assert supported.iterations[0].max_error < 0.8 * alone.iterations[0].max_error
    with pytest.raises(ValueError, match="has support bodies, but the process has no supports"):
        compensate(part, supports=[body], **options)


def test_bad_input(tmp_path):
    good = {"pitch": 2.0, "tolerance": 0.1, "displacement": stretch}
    for wrong, message in (
        ({"tolerance": 0.0}, "expected a tolerance > 0 mm"),
        ({"tolerance": float("nan")}, "expected a tolerance > 0 mm"),
        ({"max_iterations": 0}, "expected max_iterations >= 1"),
        ({"relaxation": 1.5}, "expected 0 < relaxation <= 1"),
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
