import numpy as np
import pytest
import trimesh

from lpbf import PartError, PartWarning
from lpbf.part import PART_SUFFIXES, load_part


@pytest.mark.parametrize("suffix", PART_SUFFIXES)
def test_every_format(tmp_path, suffix):
    box = trimesh.creation.box((4.0, 5.0, 6.0))
    path = tmp_path / f"box{suffix}"
    scene = trimesh.Scene([box]) if suffix == ".3mf" else box
    scene.export(path)
    part = load_part(path)
    assert part.is_watertight
    np.testing.assert_allclose(part.extents, [4, 5, 6])


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.stl: no such file; give the path"):
        load_part(tmp_path / "none.stl")


def test_wrong_type(tmp_path):
    path = tmp_path / "part.docx"
    path.write_text("x")
    with pytest.raises(PartError, match=r"part.docx: expected a surface file of type .stl, "):
        load_part(path)


@pytest.mark.parametrize("suffix", PART_SUFFIXES)
@pytest.mark.parametrize("content", [b"", b"solid nothing\nendsolid\n", b"\x00\xff" * 500])
def test_garbage(tmp_path, suffix, content):
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    with pytest.raises(PartError, match=rf"bad{suffix}: "):
        load_part(path)


def test_nan_coordinates(tmp_path):
    box = trimesh.creation.box((1.0, 1.0, 1.0))
    vertices = box.vertices.copy()
    vertices[3, 1] = np.nan
    path = tmp_path / "nan.obj"
    lines = [f"v {x} {y} {z}" for x, y, z in vertices]
    lines += ["f " + " ".join(str(i + 1) for i in face) for face in box.faces]
    path.write_text("\n".join(lines))
    with pytest.raises(PartError, match=r"nan.obj: 1 vertices have NaN or infinite coordinates"):
        load_part(path)


def test_flat():
    flat = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]])
    with pytest.raises(PartError, match=r"part: has no volume \(extents 1 x 1 x 0 mm\)"):
        load_part(flat)


def test_a_surface_and_its_reverse_enclose_nothing():
    corners = [[0, 0, 0], [1, 0, 0.3], [1, 1, 0], [0, 1, 0.3]]
    fan = np.array([[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]])
    back = np.where(fan == 4, 5, fan)[:, ::-1]
    sheet = trimesh.Trimesh(
        [*corners, [0.5, 0.5, 0], [0.5, 0.5, 0]], np.vstack([fan, back]), process=False
    )
    assert sheet.is_watertight
    with pytest.raises(PartError, match="part: encloses no volume"):
        load_part(sheet)


def test_unfriendly_files_that_pyvista_ships():
    examples = pytest.importorskip("pyvista.examples")
    with pytest.warns(PartWarning, match=r"airplane.ply: is not watertight and has \d+ bodies"):
        load_part(examples.planefile)
    with pytest.warns(PartWarning, match=r"ant.ply: has 15 bodies"):
        load_part(examples.antfile)
