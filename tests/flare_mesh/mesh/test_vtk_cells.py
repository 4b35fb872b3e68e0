import numpy as np
import pytest

from flare_mesh import MeshData
from flare_mesh.io import read_mesh
from flare_mesh.mesh.cells import CELL_TYPES
from flare_mesh.mesh.vtk_cells import check_cell_types, plain_cells

# Lagrange type and number of nodes, and the same type of this library.
LAGRANGE = [
    (68, "line"),
    (68, "line3"),
    (69, "triangle"),
    (69, "triangle6"),
    (70, "quad"),
    (70, "quad9"),
    (71, "tetra"),
    (71, "tetra10"),
    (72, "hexahedron"),
    (72, "hexahedron27"),
    (73, "wedge"),
    (73, "wedge18"),
    (74, "pyramid"),
    (74, "pyramid14"),
]


def vtu(points, code, order=None, version="2.2"):
    """A cell in text; FEniCS writes such files with all values inline."""
    order = range(len(points)) if order is None else order
    array = '<DataArray type="{}" Name="{}" NumberOfComponents="{}" format="ascii">{}</DataArray>'
    text = " ".join(map(str, np.ravel(points)))
    return (
        f'<VTKFile type="UnstructuredGrid" version="{version}"><UnstructuredGrid>'
        f'<Piece NumberOfPoints="{len(points)}" NumberOfCells="1"><Points>'
        + array.format("Float64", "Points", 3, text)
        + "</Points><Cells>"
        + array.format("Int32", "connectivity", 1, " ".join(map(str, order)))
        + array.format("Int32", "offsets", 1, len(points))
        + array.format("UInt8", "types", 1, code)
        + "</Cells></Piece></UnstructuredGrid></VTKFile>"
    )


@pytest.mark.parametrize(("code", "kind"), LAGRANGE)
@pytest.mark.parametrize("version", ["1.0", "2.2"])
def test_lagrange_cells(tmp_path, code, kind, version):
    """A Lagrange cell of order 1 or 2 has the nodes of the usual cell, in its order.

    Before version 2.1 two edges of hexahedra were swapped, as vtkXMLReader states. On a curved
    cell, any other order gives another measure.
    """
    reference = np.array(CELL_TYPES[kind].reference)
    points = np.zeros((len(reference), 3))
    points[:, : reference.shape[1]] = reference
    points += 0.05 * np.sin(3 * points[:, [1, 2, 0]] + points[:, [2, 0, 1]])
    order = np.arange(len(points))
    if version == "1.0" and kind == "hexahedron27":
        order[[18, 19]] = [19, 18]
    (tmp_path / "m.vtu").write_text(vtu(points, code, order, version))
    got = read_mesh(tmp_path / "m.vtu", dtype=None)
    expected = MeshData(got.pos.new_tensor(points), **{kind: [list(range(len(points)))]})
    assert list(got.cells) == [kind]
    assert got.cells[kind].tolist() == [list(range(len(points)))]
    np.testing.assert_array_equal(got.measures, expected.measures)
    assert got.measures[0] > 0


@pytest.mark.parametrize(
    ("code", "nodes", "message"),
    [
        (42, 8, r"polyhedra \(VTK type 42\) .*1 of 1 cells\); decompose .*foamToVTK -poly-decomp"),
        (7, 5, r"polygons with more than four corners \(VTK type 7\) .*triangulate"),
        (6, 4, r"triangle strips \(VTK type 6\) .*triangulate"),
        (4, 3, r"polylines \(VTK type 4\) .*split them into lines"),
        (72, 64, r"Lagrange cells of order 3 or more \(VTK type 72, of 64 nodes\)"),
        (79, 27, r"Bezier cells \(VTK type 79\)"),
        (33, 24, r"enriched quadratic cells \(VTK type 33\) .*linear or quadratic"),
        (99, 3, r"cells of an unknown type \(VTK type 99\)"),
    ],
)
def test_cells_that_are_not_supported_are_named(code, nodes, message):
    with pytest.raises(ValueError, match=message):
        check_cell_types(np.array([code]), np.array([nodes]))


def test_voxels_and_small_cells():
    index = np.array([*range(8), 0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6])
    offset = np.array([0, 8, 12, 16, 18, 19])
    nodes, types = plain_cells(index, offset, np.array([11, 8, 7, 4, 2]))
    assert types.tolist() == [12, 9, 9, 3, 1]
    assert nodes.tolist() == [0, 1, 3, 2, 4, 5, 7, 6, 0, 1, 3, 2, 0, 1, 2, 3, 4, 5, 6]
