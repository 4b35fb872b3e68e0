import meshio
import numpy as np
import pytest
import pyvista
import torch

from flare_mesh.io import read_mesh, reader_process, write_mesh
from flare_mesh.io.mesh_formats import WRITABLE_SUFFIXES


@pytest.mark.parametrize("suffix", WRITABLE_SUFFIXES)
def test_round_trip(tmp_path, suffix, mesh_for):
    data = mesh_for(suffix)
    path = tmp_path / f"m{suffix}"
    write_mesh(path, data)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    again = read_mesh(path, edges=False)
    if suffix == ".stl":  # triangles with corners of their own
        assert torch.equal(again.pos[again.triangle], data.pos[data.triangle])
        return
    assert torch.equal(again.pos, data.pos)
    assert torch.equal(again.cell_index, data.cell_index)
    assert torch.equal(again.cell_type, data.cell_type)
    for name, values in (data.node_fields | data.cell_fields).items():
        stored = again.node_fields | again.cell_fields
        assert torch.equal(stored[name].reshape(values.shape), values), name


def test_chosen_fields_and_type(tmp_path, mesh_for):
    write_mesh(tmp_path / "m.vtu", mesh_for(".vtu"))
    data = read_mesh(tmp_path / "m.vtu", fields=["wind", "pressure"], dtype=None)
    assert (list(data.node_fields), list(data.cell_fields)) == (["wind"], ["pressure"])
    assert data.pos.dtype == torch.float32
    with pytest.raises(ValueError, match=r"m\.vtu: no field \['rain'\]; it has the node fields"):
        read_mesh(tmp_path / "m.vtu", fields=["rain"])


def test_several_blocks_and_grids(tmp_path):
    blocks = pyvista.MultiBlock([pyvista.ImageData(dimensions=(2, 2, 2)) for _ in range(2)])
    blocks[1].origin = (5, 0, 0)
    for block in blocks:
        block["u"] = block.points[:, 0]
    blocks.save(tmp_path / "m.vtm")
    data = read_mesh(tmp_path / "m.vtm")
    assert data.hexahedron.shape == (2, 8)
    corners = data.pos[data.hexahedron[1]]
    assert corners[:4].tolist() == [[5, 0, 0], [6, 0, 0], [6, 1, 0], [5, 1, 0]]
    assert torch.equal(data.u, data.pos[:, 0])


@pytest.mark.parametrize(
    "suffix", [".vtu", ".vtk", ".vtp", ".ply", ".stl", ".msh", ".inp", ".xdmf"]
)
def test_truncated_and_wrong_files(tmp_path, suffix, mesh_for):
    path = tmp_path / f"m{suffix}"
    write_mesh(path, mesh_for(suffix))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=rf"m\{suffix}"):
        read_mesh(path)
    path.write_text("nonsense")
    with pytest.raises(ValueError, match=rf"m\{suffix}: "):
        read_mesh(path)


def test_ply_header_without_end(tmp_path, mesh_for):
    write_mesh(tmp_path / "m.ply", mesh_for(".ply"))
    content = (tmp_path / "m.ply").read_bytes().replace(b"end_header", b"end_heade")
    (tmp_path / "m.ply").write_bytes(content)
    with pytest.raises(
        ValueError, match=r"m\.ply: cannot be read as a mesh \(its PLY header does not end"
    ):
        read_mesh(tmp_path / "m.ply")


@pytest.mark.parametrize("order", ["<", ">"])
def test_ensight_gold_of_both_byte_orders(tmp_path, order):
    """C Binary, as simulation programs write it: one part of a hexahedron."""

    def line(text):
        return text.encode().ljust(80)

    def numbers(*values, kind="i4"):
        return np.array(values, order + kind).tobytes()

    corners = np.array(list(np.ndindex(2, 2, 2)))[[0, 4, 6, 2, 1, 5, 7, 3]]
    head = ("C Binary", "a", "b", "node id assign", "element id assign", "part")
    (tmp_path / "m.geo").write_bytes(
        b"".join(map(line, head))
        + numbers(1)
        + line("block")
        + line("coordinates")
        + numbers(8)
        + numbers(*corners.T.ravel(), kind="f4")
        + line("hexa8")
        + numbers(1, *range(1, 9))
    )
    (tmp_path / "m.t").write_bytes(
        line("t") + line("part") + numbers(1) + line("coordinates") + numbers(*range(8), kind="f4")
    )
    (tmp_path / "m.case").write_text(
        "FORMAT\ntype: ensight gold\n\nGEOMETRY\nmodel: m.geo\n\n"
        "VARIABLE\nscalar per node: temperature m.t\n"
    )
    data = read_mesh(tmp_path / "m.case")
    assert data.hexahedron.tolist() == [list(range(8))]
    np.testing.assert_array_equal(data.pos, corners)
    assert data.temperature.tolist() == list(range(8))


def test_reader_that_is_killed(tmp_path, monkeypatch):
    """If VTK ends its process on a damaged file, the next file is read by a new process."""
    path = tmp_path / "m.vti"
    pyvista.ImageData(dimensions=(2, 2, 2)).save(path)
    read_mesh(path)
    child = reader_process._running()
    child.kill()
    monkeypatch.setattr(reader_process, "_running", lambda: child)
    with pytest.raises(ValueError, match=r"m\.vti: cannot be read as a mesh \(.*SIGKILL"):
        read_mesh(path)
    monkeypatch.undo()
    assert read_mesh(path).num_cells == 1


def test_cells_that_do_not_fit(tmp_path):
    points = (
        "# vtk DataFile Version 5.1\nx\nASCII\nDATASET UNSTRUCTURED_GRID\nPOINTS 1 float\n0 0 0\n"
    )
    cells = "CELLS 2 3\nOFFSETS vtktypeint64\n0 99999999\nCONNECTIVITY vtktypeint64\n0 0 0\n"
    (tmp_path / "bad.vtk").write_text(points + cells + "CELL_TYPES 1\n12\n")
    with pytest.raises(ValueError, match=r"bad\.vtk: "):
        read_mesh(tmp_path / "bad.vtk")


def test_no_such_file_and_no_such_format(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"m\.vtu: no such file"):
        read_mesh(tmp_path / "m.vtu")
    (tmp_path / "m.pkl").write_text("nonsense")
    with pytest.raises(ValueError, match=r"m\.pkl: not a mesh format that can be read; expected"):
        read_mesh(tmp_path / "m.pkl")


def test_read_and_written_in_the_same_format(tmp_path):
    """meshio's data about a format does not prevent a mesh from being written in that format."""
    path = tmp_path / "m.msh"
    blocks = [("triangle", [[0, 1, 2]]), ("quad", [[0, 1, 2, 3]])]
    tags = {"gmsh:physical": [[7], [8]], "gmsh:geometrical": [[1], [2]]}
    tags = {name: [np.array(part, np.int32) for part in parts] for name, parts in tags.items()}
    points = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.1]])
    meshio.write(path, meshio.Mesh(points, blocks, cell_data=tags), file_format="gmsh22")
    for _ in range(2):
        data = read_mesh(path)
        assert {k: v.tolist() for k, v in data.cell_fields.items()} == {"gmsh:physical": [7, 8]}
        write_mesh(path, data)
    for binary in (False, True):
        path = tmp_path / "m.stl"
        triangles = meshio.Mesh(points, blocks[:1])
        meshio.write(path, triangles, binary=binary)
        write_mesh(path, read_mesh(path))
        assert read_mesh(path).cell_fields == {}
    path = tmp_path / "m.inp"
    sets = {"cell_sets": {"part": [[0], []]}, "point_sets": {"fixed": [1, 2]}}
    meshio.write(path, meshio.Mesh(points, blocks, **sets))
    for _ in range(2):
        data = read_mesh(path)
        assert data.fixed.tolist() == [0, 1, 1, 0]
        assert data["cell_part"].tolist() == [1, 0]
        write_mesh(path, data)


def test_stl_without_a_name(tmp_path):
    import trimesh

    box = trimesh.creation.box()
    (tmp_path / "m.stl").write_text(box.export(file_type="stl_ascii"))
    data = read_mesh(tmp_path / "m.stl")
    assert (len(data.pos), data.num_cells) == (8, 12)
    assert data.to_trimesh().volume == pytest.approx(1)


def test_optional_fields(tmp_path, mesh_for):
    write_mesh(tmp_path / "m.vtu", mesh_for(".vtu"))
    every = read_mesh(tmp_path / "m.vtu")
    name = next(iter(every.node_fields))
    mesh = read_mesh(tmp_path / "m.vtu", fields=[], optional=[name, "nothing"])
    assert mesh.node_fields.keys() == {name}
    assert not mesh.cell_fields
