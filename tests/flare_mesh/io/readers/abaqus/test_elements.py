import numpy as np
import pytest
import torch

from flare_mesh import MeshData
from flare_mesh.io import MeshFileWarning, read_mesh, write_mesh
from flare_mesh.io.readers.abaqus.element_types import WRITTEN, element_type
from flare_mesh.mesh.cells import CELL_TYPES

END = "*HEADING\n"  # otherwise nodes of no element would show that elements are missing
NODES = "*NODE\n" + "".join(f"{i}, {i % 3}, {i // 3}, {i % 2}\n" for i in range(1, 10))


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("tetra", "C3D4 C3D4H DC3D4 AC3D4 FC3D4 Q3D4 C3D4T C3D4E"),
        ("pyramid", "C3D5 C3D5H"),
        ("wedge", "C3D6 C3D6H SC6R COH3D6 DC3D6 GK3D6 F3D6"),
        ("hexahedron", "C3D8 C3D8R C3D8I C3D8IH C3D8RHT C3D8P SC8R CSS8 COH3D8 DCC3D8D EC3D8R"),
        ("tetra10", "C3D10 C3D10M C3D10MH C3D10HS C3D10MPT DC3D10E"),
        ("wedge15", "C3D15 C3D15H"),
        ("hexahedron20", "C3D20 C3D20R C3D20RH C3D20RHT C3D20E"),
        ("hexahedron27", "C3D27 C3D27RH"),
        ("triangle", "S3 S3R S3RS STRI3 M3D3 R3D3 CPS3 CPE3T CAX3 DC2D3 SFM3D3 DS3"),
        ("quad", "S4 S4R S4R5 S4RSW S4RT CPS4R CPE4I CPEG4 CAX4P CGAX4R M3D4R R3D4 COH2D4"),
        ("triangle6", "STRI65 S6 CPS6M CPE6MH CAX6 M3D6 DC2D6 DS6"),
        ("quad8", "S8 S8R S8R5 S8RT CPS8R CPE8RH CAX8 M3D8R DS8"),
        ("quad9", "S9R5 M3D9R"),
        ("line", "T2D2 T3D2H B21 B23 B31 B31OS B33H PIPE31 ELBOW31B SAX1 MAX1 RB3D2 R2D2 DC1D2"),
        ("line3", "T3D3 T2D3H B22 B32 B32R B32OSH PIPE32 SAX2T MAX2 DC1D3 ELBOW32"),
        (None, "SPRINGA MASS CONN3D2 DASHPOTA GAPUNI DCOUP3D U1 CIN3D8 C3D15V F3D4 GKPE6 C3D8X"),
    ],
)
def test_cells_of_element_types(kind, names):
    for name in names.split():
        found = element_type(name)
        assert (found and found.kind) == kind, name


@pytest.mark.parametrize("kind", [kind for kind in CELL_TYPES if kind not in WRITTEN])
def test_cells_that_are_not_written(kind):
    known = ("vertex", "pyramid", "pyramid13", "pyramid14", "wedge15", "wedge18", "hexahedron27")
    assert kind in known


@pytest.mark.parametrize(
    ("kind", "name", "order"),
    [
        # By Abaqus' figures, in places of the cell: middle node of a line second; bricks with the
        # centre and then the faces below, above, front, right, back, left.
        ("line3", "B32", (0, 2, 1)),
        ("wedge15", "C3D15", range(15)),
        ("hexahedron20", "C3D20R", range(20)),
        ("hexahedron27", "C3D27", (*range(20), 26, 24, 25, 22, 21, 23, 20)),
    ],
)
def test_node_order(read, kind, name, order):
    """A cell of the reference shape, whose nodes are numbered in the order of the element."""
    reference = np.zeros((CELL_TYPES[kind].num_nodes, 3))
    reference[:, : CELL_TYPES[kind].dim] = CELL_TYPES[kind].reference
    rows = [
        ", ".join(map(str, [1, *range(1, len(reference) + 1)][i : i + 10])) for i in (0, 10, 20)
    ]
    deck = "*NODE\n"
    for number, place in enumerate(order, 1):
        deck += f"{number}, " + ", ".join(map(str, reference[place])) + "\n"
    deck += f"*ELEMENT, TYPE={name}\n" + ",\n".join(row for row in rows if row) + "\n"
    mesh = read(deck)
    np.testing.assert_allclose(mesh.pos[mesh.cells[kind][0]], reference, atol=1e-6)
    if CELL_TYPES[kind].dim == 3:
        mesh.check()


def test_nodes_in_another_order(read):
    """meshio and VTK write the middle node of a line last, which would be an end here."""
    with pytest.raises(ValueError, match="line 6: element 7 has its middle nodes in another order"):
        read("*NODE\n1, 0\n2, 4\n3, 2\n*ELEMENT, TYPE=B32\n7, 1, 2, 3\n")


def test_several_types_in_their_order(read):
    mesh = read(
        NODES + "*ELEMENT, TYPE=S3, ELSET=A\n5, 1, 2, 3\n**\n2, 2, 3, 4\n*ELEMENT, TYPE=S4R\n"
        "9, 1, 2, 3, 4\n*ELEMENT, TYPE=STRI3, ELSET=A\n7, 3, 4, 5\n" + END
    )
    assert mesh.cell_type.tolist() == [5, 5, 9, 5]
    assert mesh.triangle.tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 4]]
    assert mesh["cell_A"].tolist() == [1, 1, 0, 1]


def test_lines_of_an_element(read):
    """An element continues after a comma; a comma after its last node is no continuation."""
    deck = NODES + "*ELEMENT, TYPE=S8R\n1, 1, 2, 3,\n** comment\n4, 5, 6,\n7, 8\n2, 2, 3, 4, 5,\n"
    mesh = read(deck + "6, 7, 8, 9,\n3, 1, 2, 3, 4, 5, 6, 7, 9\n")
    expected = [[*range(8)], [*range(1, 9)], [*range(7), 8]]
    assert mesh.quad8.tolist() == expected
    for lines in ("1, 1, 2, 3, 4\n5, 6, 7, 8\n", "1, 1, 2, 3, 4,\n5, 6, 7\n", "1, 1, 2, 3,\n"):
        with pytest.raises(ValueError, match="line 12: expected 8 nodes of an element of the type"):
            read(NODES + "*ELEMENT, TYPE=S8R\n" + lines)


def test_elements_that_calculix_has_refined(read):
    """CalculiX writes each element under the number of the element that it has divided."""
    deck = NODES + " *ELEMENT,PARENT=63,TYPE=S3\n1, 1, 2, 3,\n *ELEMENT,PARENT=64,TYPE=S3\n"
    assert read(deck + "2, 2, 3, 4,\n" + END).triangle.tolist() == [[0, 1, 2], [1, 2, 3]]


def test_direction_of_a_beam(read):
    """A third node of a beam of two gives the direction of its section."""
    mesh = read(NODES + "*ELEMENT, TYPE=B31\n1, 1, 2, 9\n2, 2, 3\n" + END)
    assert mesh.line.tolist() == [[0, 1], [1, 2]]
    with pytest.raises(ValueError, match="line 12: expected 2 nodes of an element of the type T3"):
        read(NODES + "*ELEMENT, TYPE=T3D2\n1, 1, 2, 9\n2, 2, 3\n")


def test_elements_without_cells(read):
    deck = NODES + "*ELEMENT, TYPE=S3, ELSET=A\n1, 1, 2, 3\n*ELEMENT, TYPE=SPRINGA, ELSET=A\n"
    deck += "2, 1, 9\n3, 2, 9\n*ELEMENT, TYPE=MASS\n4, 9\n*ELSET, ELSET=B\n1, 2, 3, 4\n"
    with pytest.warns(MeshFileWarning, match="without cells are left out: 2 SPRINGA, 1 MASS"):
        mesh = read(deck)
    assert mesh.num_cells == 1
    assert (mesh["cell_A"].tolist(), mesh["cell_B"].tolist()) == ([1], [1])
    with pytest.raises(ValueError, match=r"its elements have no cells \(types MASS\)"):
        read(NODES + "*ELEMENT, TYPE=MASS\n4, 9\n")


def test_generated_elements(read):
    """Rows and layers of bricks from the first: 3 in x, 2 in y, 2 in z."""
    nodes = "".join(
        f"{100 * z + 10 * y + x + 1}, {x}, {y}, {z}\n"
        for z in range(3)
        for y in range(3)
        for x in range(4)
    )
    deck = f"*NODE\n{nodes}*ELEMENT, TYPE=C3D8, ELSET=A\n1, 1, 2, 12, 11, 101, 102, 112, 111\n"
    mesh = read(deck + "*ELGEN, ELSET=ALL\n1, 3, 1, 1, 2, 10, 10, 2, 100, 100\n")
    assert mesh.num_cells == 12
    assert mesh.measures.tolist() == pytest.approx([1] * 12)
    middles = {tuple(one) for one in mesh.centroids.tolist()}
    assert len(middles) == 12
    assert (int(mesh["cell_A"].sum()), int(mesh["cell_ALL"].sum())) == (1, 12)


def test_elements_again(read):
    deck = NODES + "*ELEMENT, TYPE=S3, ELSET=A\n1, 1, 2, 3\n2, 2, 3, 4\n"
    mesh = read(deck + "*ELEMENT, TYPE=S3, ELSET=B\n2, 2, 3, 4\n" + END)
    assert mesh.triangle.tolist() == [[0, 1, 2], [1, 2, 3]]
    assert (mesh["cell_A"].tolist(), mesh["cell_B"].tolist()) == ([1, 1], [0, 1])
    for again in ("S3\n2, 2, 3, 5", "S4\n2, 2, 3, 4, 5", "MASS\n2, 2"):
        with pytest.raises(ValueError, match="line 15: element 2 is defined again with other node"):
            read(f"{deck}*ELEMENT, TYPE={again}\n")


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ("*ELEMENT, TYPE=S3\n1, 1, 2, 77\n", "line 12: element 1 uses node 77, which is not defi"),
        ("*ELEMENT, TYPE=S3\n1, 1, 2, 0\n", "line 12: expected a positive integer .got 0"),
        ("*ELEMENT, TYPE=S3\n1, 1, , 3\n", "line 12: expected a positive integer .got 0"),
        ("*ELEMENT, TYPE=S3\n1, 1, 2, 3.5\n", "line 12: expected a positive integer .got 3.5"),
        ("*ELEMENT, TYPE=S3\n1, 1, 2, x\n", "line 12: expected a number .got 'x'"),
        ("*ELEMENT\n1, 1, 2, 3\n", "line 11: .ELEMENT has no TYPE"),
        (
            "*ELEMENT, TYPE=S3, OFFSET=5\n1, 1, 2, 3\n",
            "line 11: .ELEMENT has the parameter OFFSET, which",
        ),
        ("*ELEMENT, TYPE=S3, INPUT=a\n", "line 11: .ELEMENT has the parameter INPUT, which"),
        ("*ELMENT, TYPE=S3\n1, 1, 2, 3\n", "line 11: .ELMENT is not a keyword; write .ELEMENT"),
        ("*ELEM, TYPE=S3\n1, 1, 2, 3\n", "line 11: .ELEM is not a keyword; write .ELEMENT in"),
        ("*ELEMENT, TYPE=MASS\nA, 1\n", "line 12: expected an element .got 'A'"),
        ("*ELGEN\n1, 2\n", "line 12: .ELGEN copies element 1, which is not defined before"),
        ("*ELCOPY\n1, 2\n", "line 11: .ELCOPY is not read; write the elements"),
        ("", "it has 9 nodes, but no elements"),
    ],
)
def test_faults(read, keywords, message):
    with pytest.raises(ValueError, match=message):
        read(NODES + keywords)


@pytest.mark.parametrize("kind", [*WRITTEN])
def test_written_and_read(tmp_path, kind):
    """A cell of each type keeps its nodes, and the name says what it is."""
    cell = CELL_TYPES[kind]
    pos = np.zeros((cell.num_nodes, 3), np.float32)
    pos[:, : cell.dim] = cell.reference
    mesh = MeshData(torch.from_numpy(pos))
    mesh[kind] = torch.arange(cell.num_nodes)[None]
    write_mesh(tmp_path / "m.inp", mesh)
    again = read_mesh(tmp_path / "m.inp")
    assert again.cells[kind].tolist() == [[*range(cell.num_nodes)]]
    assert again.pos.tolist() == pos.tolist()
    assert f"TYPE={WRITTEN[kind]}\n" in (tmp_path / "m.inp").read_text()
