import meshio
import numpy as np
import pytest
import pyvista
import torch

from flare_mesh.io import read_mesh, write_mesh
from flare_mesh.io.mesh_formats import WRITABLE_SUFFIXES


def test_what_a_format_cannot_hold(tmp_path, mesh_for):
    with pytest.raises(ValueError, match=r"m\.xyzw: expected a name that ends in \.vtu or"):
        write_mesh(tmp_path / "m.xyzw", mesh_for(".vtu"))
    with pytest.raises(ValueError, match=r"\.inp files cannot hold the fields \['height'"):
        write_mesh(tmp_path / "m.inp", mesh_for(".vtu"))
    with pytest.raises(
        ValueError, match=r"cannot hold the fields \['pressure', 'wind'\]; choose \.vtu"
    ):
        write_mesh(tmp_path / "m.ply", mesh_for(".vtu"))
    with pytest.raises(ValueError, match=r"cannot hold cells of type \['quad'\]"):
        write_mesh(tmp_path / "m.stl", mesh_for(".inp"))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file is a file, not a folder"):
        write_mesh(tmp_path / "file" / "m.vtu", meshio.Mesh(np.eye(3), []))


@pytest.mark.parametrize(
    ("suffix", "name", "values", "message"),
    [
        (".xdmf", "flag", np.ones(3, np.uint8), "cannot hold the field 'flag' of type uint8"),
        (".xdmf", "flag", np.ones(3, bool), "cannot hold the field 'flag' of type bool"),
        (".vtu", "half", np.ones(3, np.float16), "cannot hold the field 'half' of type float16"),
        (".xdmf", "u", np.ones((3, 0)), r"at least one channel of the field 'u' \(got shape"),
        (".vtk", "", np.ones(3), "a field name of 1 to 255"),
        (".vtu", "a" * 256, np.ones(3), "a field name of 1 to 255"),
        (".vtp", 'a"b', np.ones(3), "a field name of 1 to 255"),
        (".xdmf", "a\tb", np.ones(3), "a field name of 1 to 255"),
        (".vtu", "a<b", np.ones(3), "a field name of 1 to 255"),
        (".ply", "a b", np.ones(3), "cannot hold the space in the field name 'a b'"),
    ],
)
def test_fields_that_a_format_cannot_hold(tmp_path, suffix, name, values, message):
    mesh = meshio.Mesh(np.eye(3), [("triangle", [[0, 1, 2]])], point_data={name: values})
    with pytest.raises(ValueError, match=message) as error:
        write_mesh(tmp_path / f"m{suffix}", mesh)
    assert f"m{suffix}" in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "nodes"), [("vertex", 1), ("pyramid", 5), ("wedge18", 18), ("hexahedron27", 27)]
)
def test_cells_that_abaqus_does_not_have(tmp_path, kind, nodes):
    mesh = meshio.Mesh(np.zeros((nodes, 3)), [(kind, [range(nodes)])])
    with pytest.raises(ValueError, match=rf"m\.inp: .* cells of type \['{kind}'\]"):
        write_mesh(tmp_path / "m.inp", mesh)


def test_tensors_and_coordinates_are_exact(tmp_path):
    rng = np.random.default_rng(0)
    points, stress = rng.random((3, 3), np.float32), rng.random((3, 3, 3), np.float32)
    fields = {"stress": stress}
    mesh = meshio.Mesh(points, [("triangle", [[0, 1, 2]])], point_data=fields)
    for suffix in (".vtu", ".vtk", ".vtp", ".xdmf"):
        write_mesh(tmp_path / f"m{suffix}", mesh)
        data = read_mesh(tmp_path / f"m{suffix}")
        np.testing.assert_array_equal(data.pos, points)
        np.testing.assert_array_equal(data.stress, stress.reshape(3, 9))
    write_mesh(tmp_path / "m.vtu", mesh)
    assert read_mesh(tmp_path / "m.vtu", dtype=None).pos.dtype == torch.float32


@pytest.mark.parametrize("suffix", WRITABLE_SUFFIXES)
def test_a_full_disk_is_one_error_and_leaves_the_old_file(tmp_path, mesh_for, full_disk, suffix):
    path = tmp_path / f"m{suffix}"
    path.write_text("old")
    with full_disk(100), pytest.raises(OSError, match=rf"m{suffix}: cannot be written \(File too"):
        write_mesh(path, mesh_for(suffix))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".vtu", ".vtk"])
def test_names_beyond_ascii(tmp_path, mesh_for, suffix):
    mesh = mesh_for(suffix)
    mesh["tempé µ"] = mesh["height"].clone()
    write_mesh(tmp_path / f"m{suffix}", mesh)
    found = pyvista.read(tmp_path / f"m{suffix}")
    np.testing.assert_array_equal(found["tempé µ"], mesh["height"])
