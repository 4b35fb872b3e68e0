"""Thinnest walls of bodies whose walls are known."""

import math
import warnings

import numpy as np
import pytest
import trimesh

from lpbf import PartWarning, voxelize
from lpbf.core.walls import find_walls


def box(size, at=(0.0, 0.0, 0.0)):
    return trimesh.creation.box(size).apply_translation(at)


def thinnest(part):
    return find_walls(np.asarray(part.triangles)).thinnest()


def two_walls():
    """Walls of 1.2 and 3 mm on a bottom of 4 mm."""
    bodies = box((40, 1.2, 30), (0, 5, 15)), box((40, 3, 30), (0, -5, 15)), box((40, 20, 4))
    return trimesh.boolean.union(bodies, engine="manifold")


def test_shell_of_a_box():
    tray = trimesh.boolean.difference(
        [box((60, 40, 15)), box((58, 38, 15), (0, 0, 1.5))], engine="manifold"
    )
    wall = thinnest(tray)
    assert wall.thickness == pytest.approx(1.0)
    x, y, _ = np.abs(wall.place)
    assert x == pytest.approx(29.5) or y == pytest.approx(19.5)


@pytest.mark.parametrize("angle", [0.0, 0.6])
def test_the_thinner_of_two_walls_in_any_orientation(angle):
    turn = trimesh.transformations.rotation_matrix(angle, [1, 2, 0.5])
    wall = thinnest(two_walls().apply_transform(turn))
    assert wall.thickness == pytest.approx(1.2, rel=1e-5)
    inside = turn[:3, :3].T @ wall.place
    assert inside[1] == pytest.approx(5.0, abs=1e-4)
    assert 2 < inside[2] < 30


def test_a_tapered_blade():
    """One percent of the surface is on both sides of the thinnest end."""
    half = np.array([[-1.0, 0.0], [1.0, 0.0], [0.25, 40.0], [-0.25, 40.0]])
    blade = trimesh.convex.convex_hull([(x, y, z) for x, z in half for y in (-6, 6)])
    face = 12 * math.hypot(0.75, 40)
    expected = 0.5 + 1.5 * 0.01 * blade.area / (2 * face)
    wall = thinnest(blade)
    assert wall.thickness == pytest.approx(expected, abs=1.5 / 64)
    assert wall.place[2] > 39


def test_a_tube_and_a_block_with_chamfers():
    assert thinnest(trimesh.creation.annulus(9, 10, 20, sections=96)).thickness == pytest.approx(
        1.0, rel=0.02
    )
    corners = np.array([[x, y] for x, y in ((8, 5), (5, 8), (-5, 8), (-8, 5))])
    outline = np.concatenate([corners, -corners])
    block = trimesh.convex.convex_hull([(x, y, z) for x, y in outline for z in (0, 12)])
    assert thinnest(block).thickness == pytest.approx(12.0)
    assert thinnest(trimesh.creation.cone(5, 10)) is None


def fin(at):
    """A fin of 0.4 mm at x = ``at`` and a tower on a block, in a file of other coordinates."""
    bodies = box((16, 16, 8)), box((0.4, 16, 16), (at, 0, 4)), box((4, 16, 16), (-6, 0, 4))
    part = trimesh.boolean.union(bodies, engine="manifold")
    return part.apply_translation((100.0, 50.0, 7.0))


def test_a_wall_between_the_centres_of_voxels_is_lost():
    with pytest.warns(PartWarning) as told:
        mesh = voxelize(fin(0.0), 1.0)
    (warning,) = told
    text = str(warning.message)
    # Both faces of the fin are 16 x 8 mm.
    share = 2 * 16 * 8 / fin(0.0).area
    assert f"part: {100 * share:.2g} % of its surface is on walls that no voxel fills" in text
    assert "the thinnest of 0.4 mm at (100, 5" in text
    assert mesh.filling.lost_surface == pytest.approx(share, rel=0.05)
    assert mesh.filling.thinnest.thickness == pytest.approx(0.4, rel=1e-5)
    assert 11 < mesh.filling.thinnest.place[2] < 19
    # On the centres of a row of voxels it is there, if too thick.
    with warnings.catch_warnings(action="ignore"):
        assert voxelize(fin(0.5), 1.0).filling.lost_wall is None


@pytest.mark.parametrize(
    ("thickness", "at", "remedy"),
    [
        (0.2, 0.31, "; use a finer pitch, as its thinnest wall is 0.2 mm thick"),
        (0.3, 0.1, "; a pitch of 0.3 mm gives"),
        (0.45, 0.5, "; a pitch of 0.45 mm gives"),
    ],
)
def test_no_proposed_pitch_is_coarser_than_the_thinnest_wall(thickness, at, remedy):
    bodies = box((20, 20, 10)), box((thickness, 20, 10), (at, 0, 9))
    part = trimesh.boolean.union(bodies, engine="manifold")
    with pytest.warns(PartWarning) as told:
        mesh = voxelize(part, 1.0)
    (warning,) = told
    text, filling = str(warning.message), mesh.filling
    share = 2 * 20 * 9 / part.area
    lost, thickened = (share, 0.0) if at < 0.5 else (0.0, share)
    assert filling.lost_surface == pytest.approx(lost, rel=0.05)
    assert filling.thickened_surface == pytest.approx(thickened, rel=0.05)
    assert (
        "on walls under half a voxel that become a voxel thick, the thinnest of 0.45 mm at" in text
    ) == (thickness == 0.45)
    assert remedy in text


def test_an_inclined_wall_is_not_lost():
    plate = box((30, 12, 1.1)).apply_transform(
        trimesh.transformations.rotation_matrix(0.7, [0, 1, 0])
    )
    with warnings.catch_warnings(action="ignore"):
        filling = voxelize(plate, 1.0, islands="powder").filling
    assert filling.thinnest.thickness == pytest.approx(1.1, rel=1e-5)
    assert filling.lost_wall is None
