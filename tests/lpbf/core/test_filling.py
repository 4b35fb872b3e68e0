import re
import warnings

import numpy as np
import pytest
import trimesh

from lpbf import PartWarning, voxelize


def filled(part, pitch):
    """Voxels, and the only warning."""
    with pytest.warns(PartWarning) as told:
        mesh = voxelize(part, pitch)
    (warning,) = told
    return mesh, str(warning.message)


@pytest.mark.parametrize(
    ("size", "pitch", "percent", "remedy"),
    [
        ((60.0, 40.0, 1.0), 1.5, 152, "a pitch of 1 mm gives 100 % of the volume"),
        ((40.0, 30.0, 5.0), 2.0, 80, None),
        ((60.0, 40.0, 1.0), (1.5, 1.5, 0.7), 71, None),
    ],
)
def test_a_plate_of_another_thickness_than_its_voxels(size, pitch, percent, remedy):
    """The voxels are 40 x 27 x 1, 20 x 15 x 2 and 40 x 27 x 1 again."""
    part = trimesh.creation.box(size)
    mesh, text = filled(part, pitch)
    expected = 100 * mesh.num_cells * mesh.spacing[0] * mesh.spacing[1] * mesh.spacing[2]
    assert round(expected / part.volume) == percent
    assert text.startswith(f"part: its voxels hold {percent} % of its volume; a pitch of ")
    assert remedy is None or text.endswith(remedy)


def test_the_proposed_pitch_helps():
    outer = trimesh.creation.box((60.0, 40.0, 15.0))
    inner = trimesh.creation.box((58.0, 38.0, 15.0)).apply_translation((0.0, 0.0, 1.0))
    tray = trimesh.boolean.difference([outer, inner], engine="manifold")
    _, text = filled(tray, 1.5)
    assert text.startswith("part: its voxels hold 1")
    proposed = float(re.findall(r"a pitch of (\S+) mm gives", text)[0])
    with warnings.catch_warnings(action="error"):
        mesh = voxelize(tray, proposed)
    assert mesh.num_cells * proposed**3 == pytest.approx(tray.volume, rel=0.05)


def channel():
    """A channel of 20 x 12 x 8 mm with walls of 1.5 mm and a bottom of 2 mm."""
    outer = trimesh.creation.box((20.0, 12.0, 8.0))
    inner = trimesh.creation.box((30.0, 9.0, 8.0)).apply_translation((0.0, 0.0, 2.0))
    return trimesh.boolean.difference([outer, inner], engine="manifold")


def test_walls_that_end_on_the_centres_of_voxels():
    mesh, text = filled(channel(), 1.0)
    walls = mesh.mask[10, :, 5]
    assert (walls != walls[::-1]).any()
    assert "part: its surface lies on the centres of voxels along y, so that rounding" in text
    proposed = float(re.findall(r"a pitch of (\S+) mm gives", text)[0])
    with warnings.catch_warnings(action="error"):
        mesh = voxelize(channel(), proposed)
    walls = mesh.mask[4, :, mesh.mask.shape[2] // 2]
    assert (walls == walls[::-1]).all()


def test_a_lost_feature():
    """A blade of 40 mm that tapers from 1.9 mm to nothing; the voxels' centres are at 0.5 mm."""
    corners = [[-5, -6, 0], [5, -6, 0], [5, 6, 0], [-5, 6, 0], [0, -6, 40], [0, 6, 40]]
    blade = trimesh.convex.convex_hull(corners).apply_scale((0.19, 1.0, 1.0))
    mesh, text = filled(blade, 1.0)
    lost = 40 - int(mesh.mask.any(axis=(0, 1)).sum())
    assert lost == round(40 * 0.5 / 0.95)
    assert f"{lost} of its 40 mm along z are thinner than the voxels and lost" in text
    assert mesh.filling.lost[2] == lost


def test_how_the_voxels_fill_the_part():
    mesh = voxelize(trimesh.creation.box((20.0, 10.0, 4.0)), 1.0)
    assert mesh.filling.volume == pytest.approx(1.0)
    assert mesh.filling.lost == (0.0, 0.0, 0.0)
    np.testing.assert_allclose(mesh.filling.extents, (20.0, 10.0, 4.0))
    assert mesh.filling.wall == pytest.approx(2 * 800 / 640)
    assert mesh.filling.reasons() == []


def test_nothing_is_said_of_a_part_that_fits():
    with warnings.catch_warnings(action="error"):
        voxelize(channel(), 0.5)
        voxelize(trimesh.creation.icosphere(subdivisions=4, radius=10.0), 0.5, islands="powder")


def test_overlapping_bodies_do_not_look_too_small():
    """Two cubes of 4 mm that overlap by half are 96 mm^3, while their volumes add up to 128."""
    cubes = [trimesh.creation.box((4.0, 4.0, 4.0)) for _ in range(2)]
    cubes[1].apply_translation((2.0, 0.0, 0.0))
    with pytest.warns(PartWarning) as told:
        assert voxelize(trimesh.util.concatenate(cubes), 0.5).num_cells == 96 * 8
    assert len(told) == 1
    assert "has 2 bodies" in str(told[0].message)
