import pytest
import trimesh

from lpbf.core.default_pitch import default_pitch


def tray(wall):
    outer = trimesh.creation.box((60.0, 40.0, 15.0))
    inner = trimesh.creation.box((60.0 - 2 * wall, 40.0 - 2 * wall, 15.0))
    inner.apply_translation((0.0, 0.0, wall))
    return trimesh.boolean.difference([outer, inner], engine="manifold")


def test_walls_have_two_voxels():
    assert default_pitch([trimesh.creation.box((40.0, 30.0, 20.0))]) == 1.0  # a fortieth
    assert default_pitch([tray(1.0)]) == pytest.approx(0.5, rel=0.1)
    assert default_pitch([trimesh.creation.box((400.0, 300.0, 2.0))]) == pytest.approx(1.2)
    both = [trimesh.creation.box((40.0, 30.0, 20.0)), tray(1.0)]
    assert default_pitch(both) == default_pitch([tray(1.0)])


def test_an_open_surface_has_no_wall():
    sheet = trimesh.creation.box((40.0, 30.0, 1.0))
    sheet.update_faces([False] + [True] * 11)
    assert default_pitch([sheet]) == 1.0
