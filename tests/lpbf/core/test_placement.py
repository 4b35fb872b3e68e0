import json

import numpy as np
import pytest
import trimesh

from lpbf import HexMesh, PartError, Process, Supports, simulate, voxelize
from lpbf.core.placement import part_offset
from lpbf.core.rigid_motion import RigidMotion
from lpbf.simulate.__main__ import main

QUARTER = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])  # y to z


def block(size, center):
    return trimesh.creation.box(size).apply_translation(center)


def test_a_motion_and_its_inverse():
    motion = RigidMotion(QUARTER, np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(motion.apply(np.array([[0.0, 5.0, 0.0]])), [[1, 2, 8]])
    np.testing.assert_array_equal(motion.rotate_back(np.array([[0.0, 0.0, 1.0]])), [[0, 1, 0]])
    assert str(motion) == (
        "rotated by the matrix of the rows (1, 0, 0), (0, 0, -1), (0, 1, 0), then moved by "
        "(1, 2, 3) mm"
    )
    assert motion.to_dict()["translation_mm"] == [1, 2, 3]


@pytest.mark.parametrize("place", ["drop", "as-is", "orient"])
def test_the_placement_leads_from_the_file_to_the_mesh(place):
    """A block of 8 x 4 x 6 from z = 2 on lies on its largest side if it is oriented."""
    part = block((8.0, 4.0, 6.0), (30.0, -7.0, 5.0))
    mesh = voxelize(part, 2.0, place=place, islands="powder")
    corners = mesh.placement.apply(np.array(part.vertices))
    bottom = 2.0 if place == "as-is" else 0.0
    np.testing.assert_allclose(corners.min(axis=0), mesh.points.min(axis=0), atol=1e-12)
    np.testing.assert_allclose(corners.max(axis=0), mesh.points.max(axis=0), atol=1e-12)
    assert corners[:, 2].min() == pytest.approx(bottom)
    sides = (8, 6, 4) if place == "orient" else (8, 4, 6)
    np.testing.assert_allclose(np.ptp(corners, axis=0), sides)
    if place == "orient":
        with pytest.raises(ValueError, match="in the orientation of its surface"):
            part_offset(part, mesh)
    else:
        np.testing.assert_allclose(part_offset(part, mesh), [30, -7, 2 - bottom])
    with pytest.raises(ValueError, match="a mesh without a placement"):
        part_offset(part, HexMesh.from_mask(mesh.mask, 2.0))


def test_a_part_above_the_plate_is_built_on_supports():
    part = block((8.0, 4.0, 6.0), (30.0, -7.0, 7.0))
    with pytest.raises(PartError, match="floats 4 mm above the plate, where nothing supports it"):
        voxelize(part, 2.0, place="as-is")
    mesh = voxelize(part, 2.0, place="as-is", islands="powder")
    process = Process(supports=Supports(volume_fraction=0.5), release=True)
    result = simulate(mesh, process, history=True)
    np.testing.assert_array_equal(result.mesh.supports[:, :, :2], True)
    assert result.mesh.supports.sum() == 2 * 4 * 2
    assert result.mesh.mask[:, :, 2:].all()
    assert np.isnan(result.recoater_clearance[:2]).all()
    # The same mesh without a surface.
    mask = np.zeros((4, 2, 5), bool)
    mask[:, :, 2:] = True
    plain = simulate(HexMesh.from_mask(mask, 2.0, (-4.0, -2.0, 0.0)), process)
    np.testing.assert_array_equal(result.displacement, plain.displacement)
    with pytest.raises(ValueError, match="rests on the plate .* generate supports"):
        simulate(mesh, Process(islands="powder"))
    given = voxelize(part, 2.0, place="as-is", supports=[block((8.0, 4.0, 4.0), (30.0, -7.0, 2.0))])
    np.testing.assert_array_equal(given.supports, result.mesh.supports)


def test_refused_placements():
    low = block((8.0, 4.0, 6.0), (0.0, 0.0, 2.5))
    with pytest.raises(PartError, match=r"part: reaches 0.5 mm below the plate z = 0, .* drop"):
        voxelize(low, 2.0, place="as-is")
    with pytest.raises(ValueError, match="unknown place 'down'"):
        voxelize(low, 2.0, place="down")
    with pytest.raises(ValueError, match=r"given supports \(got 'orient'\)"):
        voxelize(low, 2.0, place="orient", supports=[low])


def test_the_placement_in_the_files_of_a_result(tmp_path, capsys):
    import pyvista

    block((6.0, 4.0, 12.0), (10.0, 10.0, 10.0)).export(tmp_path / "a.stl")
    command = [str(tmp_path / "a.stl"), "--out", str(tmp_path / "a.vtu"), "--place", "orient"]
    assert main([*command, "--pitch", "2", "--report", str(tmp_path / "a.json")]) == 0
    said = capsys.readouterr().out
    summary = json.loads((tmp_path / "a.json").read_text())["summary"]
    rotation = np.array(summary["placement"]["rotation"])
    assert abs(rotation[2, 1]) == 1  # the side along y is upright
    assert "placement           rotated by the matrix of the rows (" in said
    grid = pyvista.read(tmp_path / "a.vtu")
    np.testing.assert_array_equal(grid.field_data["part_rotation"], rotation)
    moved = rotation @ [10, 10, 10] + grid.field_data["part_translation"][0]
    np.testing.assert_allclose(moved, [0, 0, 2])
