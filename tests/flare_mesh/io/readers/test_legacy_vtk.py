"""Files are written by hand from "VTK File Formats", docs.vtk.org."""

import numpy as np
import pytest
import pyvista
from vtkmodules.vtkIOLegacy import vtkUnstructuredGridWriter

from flare_mesh.io import read_mesh


def head(kind, *, version="3.0", mode="ASCII"):
    return f"# vtk DataFile Version {version}\ntitle\n{mode}\nDATASET {kind}\n"


TETRA = (
    head("UNSTRUCTURED_GRID")
    + "POINTS 4 float\n0 0 0  1 0 0\n0 1 0 0 0 1\nCELLS 1 5\n4 0 1 2 3\nCELL_TYPES 1\n10\n"
)


def read(tmp_path, content, **options):
    path = tmp_path / "m.vtk"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_mesh(path, **options)


def test_every_kind_of_field(tmp_path):
    """Words are read in any case and with any white space; line ends may be those of Windows."""
    text = TETRA + (
        "point_data 4\nSCALARS a%20b int 1\nLOOKUP_TABLE default\n1 2 3 4\n"
        "SCALARS two double 2\nLOOKUP_TABLE mine\n1 2 3 4 5 6 7 8\n"
        "LOOKUP_TABLE mine 2\n0 0 0 1 1 1 1 1\n"
        "COLOR_SCALARS colour 2\n0 1 0 0.5 1 1 0 0\n"
        "VECTORS v float\n1 0 0 2 0 0 3 0 0 4 0 0\nNORMALS n float\n0 0 1 0 0 1 0 0 1 0 0 1\n"
        "TENSORS t float\n"
        + "1 0 0 0 1 0 0 0 1\n" * 4
        + "TENSORS6 s float\n"
        + "1 2 3 4 5 6 " * 4
        + "\n"
        "TEXTURE_COORDINATES uv 2 float\n0 0 0 1 1 0 1 1\n"
        "METADATA\nCOMPONENT_NAMES\nfirst\nsecond\n\n"
        "FIELD FieldData 3\nnames 1 4 string\na\n\nc%20d\ne\nbits 1 4 bit\n1 0 0 1\n"
        "METADATA\nINFORMATION 0\n\nq 1 4 unsigned_char\n9 8 7 255\n"
        "CELL_DATA 1\nSCALARS id vtkIdType\nLOOKUP_TABLE default\n-7\n"
    )
    for content in (text, text.replace("\n", "\r\n"), text.replace(" ", "\t ")):
        mesh = read(tmp_path, content)
        assert mesh.tetra.tolist() == [[0, 1, 2, 3]]
        assert mesh["a b"].tolist() == [1, 2, 3, 4]
        assert mesh.two.tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]
        assert mesh.colour.tolist() == [[0, 255], [0, 128], [255, 255], [0, 0]]
        assert mesh.v[:, 0].tolist() == [1, 2, 3, 4]
        assert mesh.t[3].tolist() == [1, 0, 0, 0, 1, 0, 0, 0, 1]
        assert mesh.s[0].tolist() == [1, 2, 3, 4, 5, 6]
        assert (mesh.bits.tolist(), mesh.q.tolist()) == ([1, 0, 0, 1], [9, 8, 7, 255])
        assert mesh.cell_id.tolist() == [-7]
        assert "names" not in mesh


def test_binary_arrays_are_big_endian(tmp_path):
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    content = head("UNSTRUCTURED_GRID", mode="BINARY").encode()
    content += b"POINTS 4 double\n" + points.astype(">f8").tobytes() + b"\n"
    content += b"CELLS 1 5\n" + np.array([4, 0, 1, 2, 3], ">i4").tobytes() + b"\n"
    content += b"CELL_TYPES 1\n" + np.array([10], ">i4").tobytes() + b"\n"
    content += b"POINT_DATA 4\nSCALARS u short 1\nLOOKUP_TABLE default\n"
    content += np.array([1, -2, 3, 4], ">i2").tobytes() + b"\nFIELD FieldData 2\nb 1 4 bit\n"
    content += bytes([0b10010000]) + b"\nnames 1 4 string\n"
    texts = (b"a", b"", b"x" * 100, b"yz")
    # The length in 6 bits behind 11, or in 14 bits behind 10.
    lengths = [bytes([0xC0 | len(t)]) if len(t) < 64 else bytes([0x80, len(t)]) for t in texts]
    content += b"".join(a + b for a, b in zip(lengths, texts, strict=True)) + b"\n"
    content += b"CELL_DATA 1\nCOLOR_SCALARS c 3\n" + bytes([1, 2, 255]) + b"\n"
    mesh = read(tmp_path, content)
    assert (mesh.pos.tolist(), mesh.tetra.tolist()) == (points.tolist(), [[0, 1, 2, 3]])
    assert (mesh.u.tolist(), mesh.b.tolist()) == ([1, -2, 3, 4], [1, 0, 0, 1])
    assert mesh.cell_c.tolist() == [[1, 2, 255]]


def test_cells_by_offsets_and_of_mixed_sizes(tmp_path):
    points = "POINTS 5 float\n0 0 0 1 0 0 1 1 0 0 1 0 2 0 0\n"
    old = "CELLS 2 9\n4 0 1 2 3\n3 1 4 2\nCELL_TYPES 2\n9 5\n"
    new = (
        "CELLS 3 7\nOFFSETS vtktypeint64\n0 4 7\nCONNECTIVITY vtktypeint64\n0 1 2 3 1 4 2\n"
        "CELL_TYPES 2\n9\n5\n"
    )
    for version, cells in (("2.0", old), ("4.2", old), ("5.0", new), ("5.1", new)):
        mesh = read(tmp_path, head("UNSTRUCTURED_GRID", version=version) + points + cells)
        assert mesh.quad.tolist() == [[0, 1, 2, 3]]
        assert mesh.triangle.tolist() == [[1, 4, 2]]


def test_poly_data(tmp_path):
    text = head("POLYDATA") + (
        "POINTS 4 float\n0 0 0 1 0 0 1 1 0 0 1 0\nPOLYGONS 2 9\n3 0 1 2\n4 0 1 2 3\n"
        "LINES 1 3\n2 0 2\nVERTICES 1 2\n1 3\nCELL_DATA 4\nSCALARS k int\nLOOKUP_TABLE default\n"
        "0 1 2 3\n"
    )
    mesh = read(tmp_path, text)
    assert {k: v.tolist() for k, v in mesh.cells.items()} == {
        "vertex": [[3]],
        "line": [[0, 2]],
        "triangle": [[0, 1, 2]],
        "quad": [[0, 1, 2, 3]],
    }
    assert mesh.cell_k.tolist() == [0, 1, 2, 3]


def test_grids(tmp_path):
    origin = "DIMENSIONS 2 3 1\nORIGIN 1 2 3\nSPACING 0.5 1 2\n"
    axes = "DIMENSIONS 2 3 1\nX_COORDINATES 2 float\n1 1.5\nY_COORDINATES 3 int\n2 3 4\n"
    axes += "Z_COORDINATES 1 float\n3\n"
    points = [[x, y, 3] for y in (2, 3, 4) for x in (1, 1.5)]
    given = "DIMENSIONS 2 3 1\nPOINTS 6 float\n" + "\n".join(
        f"{x:g} {y:g} {z:g}" for x, y, z in points
    )
    for kind, text in (
        ("STRUCTURED_POINTS", origin),
        ("STRUCTURED_POINTS", origin.replace("SPACING", "ASPECT_RATIO")),
        ("RECTILINEAR_GRID", axes),
        ("STRUCTURED_GRID", given + "\n"),
    ):
        text += "POINT_DATA 6\nSCALARS u float\nLOOKUP_TABLE default\n0 1 2 3 4 5\n"
        mesh = read(tmp_path, head(kind) + text)
        assert mesh.pos.tolist() == points
        assert mesh.quad.tolist() == [[0, 1, 3, 2], [2, 3, 5, 4]]
        assert mesh.u.tolist() == [0, 1, 2, 3, 4, 5]
    solid = read(
        tmp_path, head("STRUCTURED_POINTS") + "DIMENSIONS 3 2 2\nORIGIN 0 0 0\nSPACING 1 1 1\n"
    )
    assert solid.hexahedron.tolist()[1] == [1, 2, 5, 4, 7, 8, 11, 10]
    assert solid.measures.tolist() == [1, 1]


def test_ghost_cells_are_removed(tmp_path):
    for name in ("vtkGhostType", "vtkGhostLevels"):
        text = (
            head("STRUCTURED_POINTS")
            + "DIMENSIONS 4 2 1\nORIGIN 0 0 0\nSPACING 1 1 1\nCELL_DATA 3\nFIELD f 2\n"
        )
        text += f"{name} 1 3 unsigned_char\n0 0 1\nu 1 3 int\n5 6 7\n"
        mesh = read(tmp_path, text)
        assert (mesh.num_nodes, mesh.cell_u.tolist()) == (6, [5, 6])


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("version", [42, 51])
def test_cuts(tmp_path, refuse_cuts, binary, version):
    """In the last array of a binary file the size tells; a text must end with a line break."""
    grid = pyvista.ImageData(dimensions=(4, 4, 4)).cast_to_unstructured_grid()
    rng = np.random.default_rng(0)
    grid["t"] = rng.random(grid.n_points)
    grid["u"] = rng.random((grid.n_points, 3))
    grid.cell_data["m"] = np.arange(grid.n_cells)
    writer = vtkUnstructuredGridWriter()
    writer.SetInputData(grid)
    writer.SetFileName(str(tmp_path / "m.vtk"))
    writer.SetFileVersion(version)
    writer.SetFileType(2 if binary else 1)
    writer.Write()
    refuse_cuts(tmp_path / "m.vtk")


@pytest.mark.parametrize("kind", ["grid", "rectilinear", "points", "poly"])
@pytest.mark.parametrize("binary", [False, True])
def test_cuts_of_other_kinds(tmp_path, refuse_cuts, kind, binary):
    axis = np.linspace(0, 1, 5)
    mesh = {
        "grid": pyvista.StructuredGrid(*np.meshgrid(axis, axis, axis, indexing="ij")),
        "rectilinear": pyvista.RectilinearGrid(axis, axis, axis),
        "points": pyvista.ImageData(dimensions=(5, 5, 5)),
        "poly": pyvista.Plane(i_resolution=5, j_resolution=5),
    }[kind]
    mesh["u"] = np.random.default_rng(0).random((mesh.n_points, 2)).astype("f4")
    mesh.save(tmp_path / "m.vtk", binary=binary)
    refuse_cuts(tmp_path / "m.vtk")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0 0 1\nCELLS", "0 0 1e\nCELLS", "line 5: expected 12 numbers"),
        ("0 0 1\nCELLS", "0 0\nCELLS", "line 5: expected 12 numbers"),
        ("0 0 1\nCELLS", "0 0 1,5\nCELLS", "line 5: expected 12 numbers"),
        ("4 0 1 2 3", "4 0 1 2 3.0", "expected 5 integers"),
        ("4 0 1 2 3", "3 0 1 2 3", "expected 1 cells in 5 entries; their sizes do not fit"),
        ("4 0 1 2 3", "4 0 1 2 4", r"expected node numbers from 0 to 3"),
        ("POINTS 4", "POINTS 400000000", "declares|expected 1200000000 numbers|truncated"),
        ("POINTS 4", "POINTS -4", r"expected a number of points \(got '-4'\)"),
        ("POINTS 4 float", "POINTS 4 quad", r"expected a type of numbers, .* \(got 'quad'\)"),
        ("CELL_TYPES 1\n10", "CELL_TYPES 1\n42", "polyhedra .VTK type 42"),
        ("CELL_TYPES 1\n10\n", "", "expected CELL_TYPES"),
        ("CELLS 1 5\n4 0 1 2 3\nCELL_TYPES 1\n10\n", "", "the file ends after the points"),
        ("CELL_TYPES", "CELL_KINDS", "'CELL_KINDS' of unstructured_grid is not read"),
        ("\n10\n", "\n10\nPOINT_DATA 3\n", r"expected 4 POINT_DATA \(got 3\)"),
        ("\n10\n", "\n10\nPOINT_DATA 4\nGRID u\n", "'GRID' is not read"),
        ("\n10\n", "\n10\nPOINT_DATA 4\n", "the file ends after POINT_DATA without fields"),
        ("\n10\n", "\n10", "append a line break"),
        ("UNSTRUCTURED_GRID", "TABLE", r"expected DATASET of one of .* \(got table\)"),
        ("ASCII", "TEXT", "it does not begin as"),
    ],
)
def test_damage_is_named(tmp_path, old, new, message):
    assert old in TETRA
    with pytest.raises(ValueError, match=message) as told:
        read(tmp_path, TETRA.replace(old, new))
    assert "m.vtk: cannot be read as a mesh (" in str(told.value)
    assert len(str(told.value).splitlines()) == 1


def test_points_without_cells(tmp_path):
    text = head("POLYDATA") + "POINTS 2 float\n0 0 0 1 0 0\nPOINT_DATA 2\n"
    for kind in ("POLYDATA", "UNSTRUCTURED_GRID"):
        fields = "SCALARS u int\nLOOKUP_TABLE default\n5 6\n"
        mesh = read(tmp_path, text.replace("POLYDATA", kind) + fields)
        assert (mesh.num_cells, mesh.u.tolist()) == (0, [5, 6])


def test_grid_larger_than_its_file(tmp_path):
    """A file of a few bytes must not take gigabytes."""
    with pytest.raises(ValueError, match="declares a grid of 8,000,000 points"):
        read(tmp_path, head("STRUCTURED_POINTS") + "DIMENSIONS 200 200 200\n")
