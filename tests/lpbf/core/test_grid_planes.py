import warnings

import numpy as np
import pytest
import trimesh

from lpbf import voxelize
from lpbf.core.grid_planes import align_planes
from lpbf.core.part_families import FAMILIES
from lpbf.core.part_shapes import box, combine
from lpbf.core.procedural_part import procedural_part


def levels(part, axis):
    """Heights of the flat faces above the lowest point along an axis, mm."""
    heights = np.asarray(part.triangles)[:, :, axis] - part.bounds[0, axis]
    flat = np.ptp(heights, axis=1) < 1e-5
    return np.unique(np.round(heights[flat], 4)).tolist()


def test_walls_become_whole_voxels():
    """An L of 30.4 x 9.2 x 20.6 mm with a base of 3.3 and a back of 4.9 mm."""
    shape = combine([box((0, 30.4), (0, 9.2), (0, 3.3)), box((0, 4.9), (0, 9.2), (0, 20.6))])
    shape.metadata["family"] = "L"
    part = align_planes(shape, 2.0)
    assert levels(part, 0) == [0, 4, 30]
    assert levels(part, 1) == [0, 10]
    assert levels(part, 2) == [0, 4, 20]
    assert part.metadata == {"family": "L"}
    np.testing.assert_allclose(part.bounds, [[-15, -5, 0], [15, 5, 20]])
    mesh = voxelize(part, 2.0)
    assert mesh.num_cells == 15 * 5 * 2 + 2 * 5 * 8
    assert mesh.filling.volume == pytest.approx(1.0, abs=1e-6)


def test_thin_walls_come_first_and_wide_gaps_take_the_rest():
    """Walls of 1.2 and 1.3 mm around a gap of 7.4 mm: 1, 8 and 1 voxel, in place of 1, 7 and 2."""
    walls = [box((0, 1.2), (0, 5), (0, 5)), box((8.6, 9.9), (0, 5), (0, 5))]
    part = combine([*walls, box((0, 9.9), (0, 5), (0, 1))])
    assert levels(align_planes(part, 1.0), 0) == [0, 1, 9, 10]


def test_steps_below_an_edge_follow_their_neighbours():
    """A step of 0.5 mm is no plane of its own, and does not vanish."""
    part = combine([box((0, 12.6), (0, 8), (0, 8)), box((0, 13.1), (0, 3), (0, 3))])
    found = levels(align_planes(part, 2.0), 0)
    assert found == pytest.approx([0, 14 * 12.6 / 13.1, 14], abs=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_voxels_hold_the_volume_of_procedural_parts(family):
    part = procedural_part(7, family)
    aligned = align_planes(part, 2.0)
    assert aligned.is_watertight
    assert len(aligned.faces) == len(part.faces)
    assert np.abs(aligned.extents - part.extents).max() <= 2.0
    np.testing.assert_allclose(aligned.extents / 2, np.rint(aligned.extents / 2), atol=1e-9)
    turned = aligned.copy().apply_transform(
        trimesh.transformations.rotation_matrix(np.pi / 2, [0, 1, 0])
    )
    with warnings.catch_warnings(action="ignore"):
        for one in (aligned, turned):
            filling = voxelize(one, (2.0, 2.0, 0.4), islands="powder").filling
            assert filling.volume == pytest.approx(1.0, abs=0.05)
