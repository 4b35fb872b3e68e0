import numpy as np
import pytest
import trimesh

from lpbf import PartWarning, voxelize
from lpbf.core.fill import fill as fill_grid


def cube(size, at=(0.0, 0.0, 0.0), inverted=False):
    box = trimesh.creation.box((size, size, size)).apply_translation(at)
    if inverted:
        box.invert()
    return box


def fill(*bodies):
    """Filled volume, and the warnings beside that about the number of bodies."""
    with pytest.warns(PartWarning) as told:
        mesh = voxelize(trimesh.util.concatenate(bodies), 1.0, islands="powder")
    texts = [str(w.message) for w in told]
    assert f"part: has {len(bodies)} bodies; check the voxels that fill it" in texts
    return mesh.num_cells, [text for text in texts if "bodies" not in text]


@pytest.mark.parametrize("inverted", [(False, True), (True, False)])
def test_overlapping_bodies_one_of_which_is_inside_out(inverted):
    """Two cubes of 1,000 mm^3 that share 500 mm^3."""
    bodies = [cube(10.0, (5.0 * i, 0, 0), turned) for i, turned in enumerate(inverted)]
    volume, notes = fill(*bodies)
    assert volume == 1500
    (note,) = notes
    x = -2.5 if inverted[0] else 2.5
    assert note.startswith(f"part: a body of 10 x 10 x 10 mm around ({x}, 0, 5) mm on the plate is")


def test_a_part_that_is_inside_out_as_a_whole():
    volume, notes = fill(cube(20.0, inverted=True), cube(10.0))
    assert volume == 8000 - 1000
    assert notes == []


def test_a_body_inside_out_beside_a_cavity():
    """The cavity stays one."""
    bodies = cube(20.0), cube(10.0, inverted=True), cube(20.0, (10.0, 0, 0), inverted=True)
    volume, notes = fill(bodies[0], bodies[1], bodies[2].apply_translation((10.0, 0, 0)))
    assert volume == 2 * 8000 - 1000
    assert notes == [
        "part: a body of 20 x 20 x 20 mm around (10, 0, 10) mm on the plate is inside "
        "out, and is filled all the same"
    ]


def test_a_body_in_a_cavity_is_as_it_should_be():
    volume, notes = fill(cube(20.0), cube(10.0, inverted=True), cube(4.0))
    assert volume == 8000 - 1000 + 64
    assert notes == []


def test_a_cavity_that_faces_outwards_is_told():
    volume, notes = fill(cube(20.0), cube(10.0))
    assert volume == 8000
    (note,) = notes
    assert "a body of 10 x 10 x 10 mm around (0, 0, 10) mm on the plate lies within" in note
    assert note.endswith("if it is a cavity, its triangles must face inwards")


def test_many_bodies_are_not_looked_at_one_by_one(monkeypatch):
    monkeypatch.setattr("lpbf.core.bodies._MAX_VOXELS", 1000)
    volume, notes = fill(cube(20.0), cube(10.0))
    assert volume == 8000
    assert notes == []


def test_a_triangle_over_many_columns_is_filled_in_pieces(monkeypatch):
    def voxels(part, shape):
        corners, low = np.asarray(part.triangles), np.array(part.bounds[0])
        return fill_grid(corners, shape, np.ones(3), low, watertight=True).mask

    sphere = trimesh.creation.icosphere(subdivisions=2, radius=6.0)
    whole = voxels(sphere, (12, 12, 12))
    monkeypatch.setattr("lpbf.core.fill._CHUNK", 7)
    np.testing.assert_array_equal(voxels(sphere, (12, 12, 12)), whole)
    assert voxels(trimesh.creation.box((20.0, 20.0, 4.0)), (20, 20, 4)).sum() == 1600
