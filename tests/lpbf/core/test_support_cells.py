import numpy as np
import pytest

from lpbf import HexMesh, PartError, Supports, add_supports, find_unsupported
from lpbf.core.support_cells import contact_area, find_overhangs, support_mesh, support_share


def bracket():
    """A post with a table of 5 voxels on its right, and an island below the table."""
    mask = np.zeros((8, 2, 7), dtype=bool)
    mask[:2] = True
    mask[:7, :, 5] = True
    mask[5:7, :, 3] = True
    return mask


def slope(angle, length=30, pitch=1.0):
    """Voxels whose centres lie above a plane through the plate that rises along x."""
    x, z = np.meshgrid(np.arange(length) + 0.5, np.arange(length) + 0.5, indexing="ij")
    mask = z * pitch + 1e-6 >= np.tan(np.radians(angle)) * (x - 3.0) * pitch
    return np.repeat(mask[:, None], 2, axis=1)


def overhangs_of(mask, angle, spacing=1.0):
    return find_overhangs(HexMesh.from_mask(mask, spacing), angle)


@pytest.mark.parametrize("critical", [30.0, 45.0, 60.0, 75.0])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 1.0, 0.5), (0.5, 0.8, 1.0)])
def test_slopes_above_the_critical_angle_do_not_overhang(critical, spacing):
    steepness = np.tan(np.radians(critical + 1.0)) * spacing[0] / spacing[2]
    mask = slope(np.degrees(np.arctan(steepness)))
    assert not overhangs_of(mask, critical, spacing).any()
    flatter = np.tan(np.radians(critical - 5.0)) * spacing[0] / spacing[2]
    mask = slope(np.degrees(np.arctan(flatter)))
    assert overhangs_of(mask, critical, spacing).any()


def test_a_flat_overhang_begins_one_voxel_from_the_wall():
    mask = np.zeros((6, 1, 3), dtype=bool)
    mask[0] = mask[:, :, 2] = True
    assert overhangs_of(mask, 45.0)[:, 0, 2].tolist() == [False, False, True, True, True, True]
    assert overhangs_of(mask, 30.0)[:, 0, 2].tolist() == [False, False, False, True, True, True]


def test_columns_go_down_to_the_part_and_to_the_plate():
    mesh = add_supports(HexMesh.from_mask(bracket(), 1.0), Supports())
    expected = np.zeros_like(mesh.mask)
    expected[5:7, :, :3] = True  # under the island
    expected[5:7, :, 4] = True  # between the island and the table
    expected[3:5, :, :5] = True  # under the table
    np.testing.assert_array_equal(mesh.supports, expected)
    assert not find_unsupported(mesh)[0].any()
    whole = support_mesh(mesh)
    np.testing.assert_array_equal(whole.mask, expected)
    # Two islands' bottoms and tops, four tables' bottoms, and the island's left side.
    assert contact_area(mesh) == 2 * (2 + 2 + 4 + 1)


def test_offset_keeps_the_supports_off_walls_but_not_from_islands():
    mesh = HexMesh.from_mask(bracket(), 1.0)
    near = add_supports(mesh, Supports(offset=1.0)).supports
    # The column at x = 3 is one voxel from the wall, that at 4 is next to the island.
    expected = np.zeros_like(mesh.mask)
    expected[5:7, :, :3] = expected[3, :, :5] = True
    expected[5:7, :, 4] = True
    np.testing.assert_array_equal(near, expected)
    far = add_supports(mesh, Supports(offset=1.5)).supports
    assert not far[3].any()


def test_share_of_supports_around_the_nodes():
    mask, supports = np.ones((2, 1, 2), dtype=bool), np.zeros((2, 1, 2), dtype=bool)
    mask[1, 0, 0], supports[1, 0, 0] = False, True
    mesh = HexMesh.from_mask(mask, (1.0, 2.0, 0.5), (3.0, 0.0, 1.0), supports=supports)
    share = dict(zip(map(tuple, mesh.points.tolist()), support_share(mesh), strict=True))
    assert share[3.0, 0.0, 1.0] == 0
    assert share[4.0, 0.0, 1.0] == 0.5
    assert share[4.0, 2.0, 1.5] == pytest.approx(1 / 4)
    assert share[5.0, 0.0, 1.5] == 0.5
    assert share[5.0, 0.0, 2.0] == 0
    assert contact_area(mesh) == 1.0 * 2.0 + 2.0 * 0.5


def test_mirrored_parts_have_mirrored_supports():
    rng = np.random.default_rng(3)
    mask = rng.random((7, 6, 8)) < 0.5
    mask[:, :, 0] = True
    supports = add_supports(HexMesh.from_mask(mask, 1.0), Supports(angle=50.0, offset=0.5)).supports
    turned = HexMesh.from_mask(np.rot90(mask[::-1]), 1.0)
    other = add_supports(turned, Supports(angle=50.0, offset=0.5)).supports
    np.testing.assert_array_equal(other, np.rot90(supports[::-1]))


def with_bodies(supports):
    mask = np.zeros((4, 1, 5), dtype=bool)
    mask[0] = mask[:, :, 4] = True
    bodies = np.zeros_like(mask)
    bodies[supports] = True
    return HexMesh.from_mask(mask, 1.0, supports=bodies)


def test_given_bodies():
    mesh = with_bodies(np.s_[2:, :, :])
    assert mesh.supports is not None
    assert not mesh.supports[:, :, 4].any()  # the part's own
    assert add_supports(mesh, Supports(generate=False)) is mesh
    both = add_supports(with_bodies(np.s_[3:, :, :]), Supports())
    # The voxels between the wall and the body are next to one of them.
    np.testing.assert_array_equal(both.supports, with_bodies(np.s_[3:, :, :]).supports)


def test_bodies_that_cannot_be_used():
    generate = Supports(generate=False)
    with pytest.raises(PartError, match=r"1 support bodies touch no voxel .*1 voxels from \(2, 0"):
        add_supports(with_bodies(np.s_[2:3, :, :1]), generate)
    with pytest.raises(PartError, match="support bodies touch no voxel .*no voxels outside it"):
        add_supports(with_bodies(np.s_[:1, :, :1]), generate)
    with pytest.raises(PartError, match="hang in the air when they are built: 2 voxels"):
        add_supports(with_bodies(np.s_[2:3, :, 2:4]), generate)
    with pytest.raises(ValueError, match="has support bodies, but the process has no supports"):
        add_supports(with_bodies(np.s_[2:, :, :]), None)
    with pytest.raises(ValueError, match="generates no supports"):
        add_supports(HexMesh.from_mask(np.ones((1, 1, 1)), 1.0), generate)
    with pytest.raises(ValueError, match=r"supports of the mask's shape \[1, 1, 1\]"):
        HexMesh.from_mask(np.ones((1, 1, 1)), 1.0, supports=np.ones((1, 1, 2)))
