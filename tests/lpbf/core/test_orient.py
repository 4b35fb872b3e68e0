import numpy as np
import pytest
import trimesh

from lpbf.core.orient import find_orientation, rotation_down, support_volume


def tee(depth):
    """A tee on its stem: a stem of 10 x 20 below a bar of 30 x 5, in the plane xz."""
    stem = trimesh.creation.box((10.0, depth, 20.0)).apply_translation((0.0, 0.0, 10.0))
    bar = trimesh.creation.box((30.0, depth, 5.0)).apply_translation((0.0, 0.0, 22.5))
    return trimesh.boolean.union([stem, bar], engine="manifold")


DOWN = {
    "stem": ((0, 0, -1), 20 * 20 * 40),  # two arms of 10, 20 above the plate
    "bar": ((0, 0, 1), 0),
    "arm": ((1, 0, 0), 20 * 40 * 10),  # the stem's side, 10 above the plate
    "face": ((0, 1, 0), 0),
}


@pytest.mark.parametrize(("down", "volume"), DOWN.values(), ids=DOWN)
def test_support_volume_of_a_tee(down, volume):
    part = tee(40.0)
    assert support_volume(part, np.array(down, float)) == pytest.approx(volume)
    part.invert()
    assert support_volume(part, np.array(down, float)) == pytest.approx(volume)


@pytest.mark.parametrize("height", [1.0, 0.9])
def test_slopes_of_45_degrees_need_no_support(height):
    """A square frustum on its small side."""
    small = [[x, y, 0] for x in (-1, 1) for y in (-1, 1)]
    large = [[2 * x, 2 * y, height] for x in (-1, 1) for y in (-1, 1)]
    part = trimesh.convex.convex_hull(np.array([*small, *large], float))
    # The box around it minus the frustum.
    expected = 0.0 if height == 1.0 else 16 * height - height / 3 * (4 + 16 + 8)
    assert support_volume(part, np.array([0.0, 0.0, -1.0])) == pytest.approx(expected)


@pytest.mark.parametrize(("depth", "down"), [(40.0, (0, 0, 1)), (10.0, (0, -1, 0))])
@pytest.mark.parametrize("seed", [None, 0, 1])
def test_least_support_then_least_height(depth, down, seed):
    """Without support the tee stands on its bar, 25 high, or lies on a face, as high as deep."""
    part = tee(depth)
    turn = np.eye(4) if seed is None else trimesh.transformations.random_rotation_matrix(
        np.random.default_rng(seed).random(3)
    )  # fmt: skip
    part.apply_transform(turn)
    rotation = find_orientation(part)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-6)
    assert np.linalg.det(rotation) == pytest.approx(1)
    lowest = rotation @ turn[:3, :3] @ np.array(down, float)
    if down == (0, -1, 0) and seed is not None:
        lowest[2] = -abs(lowest[2])  # both faces are equal
    np.testing.assert_allclose(lowest, [0, 0, -1], atol=1e-5)
    height = np.ptp(part.vertices @ rotation[2])
    assert height == pytest.approx(min(25.0, depth), rel=1e-5)


def test_all_facets_of_a_hull_by_brute_force():
    rng = np.random.default_rng(3)
    part = trimesh.convex.convex_hull(rng.standard_normal((14, 3)) * [3.0, 2.0, 1.0])
    best = None
    for normal, triangle in zip(part.face_normals, part.triangles, strict=True):
        centre = part.center_mass - triangle[0]
        foot = part.center_mass - (centre @ normal) * normal
        sides = np.cross(np.roll(triangle, -1, axis=0) - triangle, foot - triangle) @ normal
        if (sides < 0).any():
            continue
        volume = 0.0
        for other, area, corners in zip(
            part.face_normals, part.area_faces, part.triangles, strict=True
        ):
            if other @ normal > np.cos(np.pi / 4):
                volume += area * (other @ normal) * ((triangle - corners) @ normal).mean()
        if best is None or volume < best[0]:
            best = volume, normal
    np.testing.assert_allclose(find_orientation(part) @ best[1], [0, 0, -1], atol=1e-5)


def test_a_part_that_would_tip_over():
    """Without support the leaning plate stands on its small side, but tips over."""
    corners = [(x, y, z) for x, z in ((0, 0), (4, 0), (24, 30), (20, 30)) for y in (0, 50)]
    lean = trimesh.convex.convex_hull(np.array(corners, float))
    down = np.linalg.inv(find_orientation(lean)) @ [0, 0, -1]
    assert support_volume(lean, np.array([0.0, 0.0, -1.0])) == 0
    assert abs(down[1]) == pytest.approx(1) or down[2] > -0.9


def test_an_upright_part_stays():
    flip = np.diag([1.0, -1.0, -1.0, 1.0])
    for part in (trimesh.creation.box((9, 9, 4)), tee(60.0).apply_transform(flip)):
        np.testing.assert_array_equal(find_orientation(part), np.eye(3))


def test_the_shortest_rotation():
    for down in ((0.0, 0.0, 1.0), (0.6, 0.0, 0.8), (0.0, -1.0, 0.0), (0.0, 0.0, -1.0)):
        rotation = rotation_down(down)
        np.testing.assert_allclose(rotation @ down, [0, 0, -1], atol=1e-12)
        np.testing.assert_allclose(np.trace(rotation), 1 - 2 * down[2], atol=1e-12)
