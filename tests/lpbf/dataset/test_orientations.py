import numpy as np
import pytest
import trimesh

from lpbf.dataset.orientations import ORIENTATIONS, Placement, draw_placement


def test_orientations_are_the_24_rotations_of_a_cube():
    assert len({matrix.tobytes() for matrix in ORIENTATIONS}) == 24
    assert np.array_equal(ORIENTATIONS[0], np.eye(3))
    for matrix in ORIENTATIONS:
        np.testing.assert_array_equal(matrix @ matrix.T, np.eye(3))
        assert np.linalg.det(matrix) == pytest.approx(1)


@pytest.mark.parametrize("key", [(0, 0), (0, 7), (3, 123456)])
def test_variants_of_a_part(key):
    drawn = [draw_placement(key, variant).orientation for variant in range(24)]
    assert drawn[0] == 0
    assert sorted(drawn) == list(range(24))
    sides = {tuple(ORIENTATIONS[i][2]) for i in drawn[:6]}
    assert len(sides) == 6, "the first six rest on different sides"
    assert drawn == [draw_placement(key, variant).orientation for variant in range(24)]


def test_parts_are_rotated_differently():
    drawn = [tuple(draw_placement((0, i), v).orientation for v in range(24)) for i in range(50)]
    assert len(set(drawn)) == 50


def test_each_variant_has_its_own_scale_within_the_range():
    drawn = [draw_placement((0, i), v, (0.8, 1.3)).scale for i in range(20) for v in range(3)]
    assert len(set(drawn)) == 60
    assert 0.8 <= min(drawn) < 0.85
    assert 1.25 < max(drawn) <= 1.3
    assert draw_placement((0, 1), 2).scale == 1.0


def test_a_part_is_rotated_and_scaled():
    box = trimesh.creation.box((1.0, 2.0, 3.0))
    box.metadata["family"] = "box"
    for index, matrix in enumerate(ORIENTATIONS):
        rotated = Placement(index, 2.0).apply(box)
        np.testing.assert_allclose(rotated.extents, 2 * np.abs(matrix) @ [1, 2, 3])
        assert rotated.volume == pytest.approx(48)  # not inside out
        assert rotated.metadata["family"] == "box"
    np.testing.assert_allclose(box.extents, [1, 2, 3])
