import numpy as np
import pytest
import trimesh

from flare_mesh.io.surfaces.threemf import read_3mf
from flare_mesh.io.surfaces.threemf_writer import WrittenBody, write_3mf
from lpbf import HexMesh, PartWarning, Result, deformed_surface, voxelize, voxelize_plate
from lpbf.core.part import load_part
from lpbf.core.result import ReleaseState
from lpbf.simulate.__main__ import main

GRADIENT = np.array([[-0.01, 0.002, 0.0], [0.0, -0.02, 0.003], [0.004, 0.0, -0.03]])


def strained(mesh, removed=None):
    """A result of a linear displacement."""
    shift = mesh.points @ GRADIENT.T + [0.1, 0.2, 0.3]
    count = mesh.num_nodes
    states = ()
    if removed is not None:
        shift[np.setdiff1d(mesh.cells[removed], mesh.cells[~removed])] = 9.0
        states = (ReleaseState("cut 1", shift, np.zeros(count, bool), removed),)
    return Result(mesh, shift, np.zeros((count, 6)), np.zeros(count), release=states)


@pytest.mark.parametrize("place", ["drop", "orient"])
def test_a_linear_displacement_in_the_coordinates_of_the_file(place):
    """A linear field is exact at all vertices, also at those outside the voxels."""
    part = trimesh.creation.box((8.08, 4.08, 12.08)).apply_translation((30.0, -7.0, 5.0))
    mesh = voxelize(part, 2.0, place=place)
    moved = deformed_surface(strained(mesh), part)
    np.testing.assert_array_equal(moved.faces, part.faces)
    rotation, translation = mesh.placement.rotation, mesh.placement.translation
    assert mesh.placement.is_rotated == (place == "orient")
    for before, after in zip(part.vertices, moved.vertices, strict=True):
        at = rotation @ before + translation
        shift = rotation.T @ (GRADIENT @ at + [0.1, 0.2, 0.3])
        np.testing.assert_allclose(after, before + shift, atol=1e-9)


def test_voxels_that_are_cut_off_move_no_vertex():
    part = trimesh.creation.box((8.0, 4.0, 6.0))
    mesh = voxelize(part, 2.0)
    removed = mesh.cell_index[:, 2] == 2
    with pytest.warns(PartWarning, match=r"part: \d of 8 vertices .* voxels away") as caught:
        moved = deformed_surface(strained(mesh, mesh.cell_index[:, 2] >= 1), part)
    assert len(caught) == 1
    assert np.abs(moved.vertices - part.vertices).max() < 1
    moved = deformed_surface(strained(mesh, removed), part)
    assert np.abs(moved.vertices - part.vertices).max() < 1


def test_parts_of_a_plate():
    a = trimesh.creation.box((8.0, 4.0, 6.0))
    b = a.copy().apply_translation((14.0, 0.0, 0.0))
    result = strained(voxelize_plate([a, b], 2.0))
    one, two = deformed_surface(result, a, 1), deformed_surface(result, b, 2)
    difference = (two.vertices - b.vertices) - (one.vertices - a.vertices)
    np.testing.assert_allclose(difference, np.tile(GRADIENT @ [14.0, 0.0, 0.0], (8, 1)), atol=1e-9)
    with pytest.raises(ValueError, match="number of a part from 1 to 2"):
        deformed_surface(result, a)
    with pytest.raises(ValueError, match="no number of a single part"):
        deformed_surface(strained(voxelize(a, 2.0)), a, 1)
    with pytest.raises(ValueError, match="one that has no surface"):
        deformed_surface(strained(HexMesh.from_mask(np.ones((2, 2, 2)), 1.0)), a)


def test_files_in_the_unit_and_with_the_objects_of_the_part(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    block = trimesh.creation.box((0.5, 0.25, 0.25)).apply_translation((2.0, 0.0, 1.0))
    write_3mf("a.3mf", [WrittenBody("block", 0, block.vertices, block.faces)], "inch")
    block.export("b.stl")
    command = ["a.3mf", "b.stl", "--unit", "inch", "--gap", "5", "--out", "a.vtu", "--pitch"]
    deformed = ["--deformed", "a_deformed.3mf", "b_deformed.stl"]
    assert main([*command, "1.5875", *deformed]) == 0
    assert "written: a_deformed.3mf, in inch\nwritten: b_deformed.stl, in inch" in (
        capsys.readouterr().out
    )
    surface = read_3mf(tmp_path / "a_deformed.3mf")
    assert surface.unit == 25.4
    assert surface.bodies == (("block", 0, 12),)
    original = load_part("a.3mf").triangles
    one = surface.points[surface.triangles]
    assert 0.003 < np.abs(one - original).max() < 0.3  # mm
    two = trimesh.load_mesh("b_deformed.stl").triangles * 25.4
    np.testing.assert_allclose(two, one, atol=1e-5)  # equal parts deform alike
    assert main([*command, "1.5875", "--deformed", "a_deformed.3mf"]) == 2
    assert "expected one file for each of the 2 parts (got 1)" in capsys.readouterr().err
