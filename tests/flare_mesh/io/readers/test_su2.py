"""SU2's native format, from the page "Mesh File" of its documentation."""

import pytest

from flare_mesh.io import MeshFileWarning, read_mesh

# The square of the documentation: eight triangles, here two, and a quadrilateral.
SQUARE = """% a square and a rectangle beside it
NDIME= 2
NELEM= 3
5 0 1 2 0
5 0 2 3 1
9 1 4 5 2 2
NPOIN= 6
0.0 0.0 0
1.0 0.0 1
1.0 1.0 2
0.0 1.0 3
3.0 0.0 4
3.0 1.0 5
NMARK= 2
MARKER_TAG= lower
MARKER_ELEMS= 2
3 0 1
3 1 4
MARKER_TAG= far field
MARKER_ELEMS= 1
3 4 5
"""

# One cell of each type; the bases of wedge and pyramid are sides of the cube.
SOLID = """NPOIN=11 11
0 0 0
1 0 0
1 1 0
0 1 0
0 0 1
1 0 1
1 1 1
0 1 1
2 0 0
2 0 1
0.5 0.5 2
NELEM=4
12 0 1 2 3 4 5 6 7
13 1 8 2 5 9 6
14 4 5 6 7 10
10 1 8 2 6
NDIME=3
NMARK=1
MARKER_TAG=bottom
MARKER_ELEMS=1
9 0 1 2 3
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="m.su2"):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / name

    return write


def check_square(path):
    got = read_mesh(path)
    assert got.pos[4].tolist() == [3, 0, 0]
    assert got.triangle.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert got.quad.tolist() == [[1, 4, 5, 2]]
    assert got.line.tolist() == [[0, 1], [1, 4], [4, 5]]
    assert {name: values.tolist() for name, values in got.cell_fields.items()} == {
        "lower": [0, 0, 0, 1, 1, 0],
        "far field": [0, 0, 0, 0, 0, 1],
    }


def test_elements_and_markers(write):
    check_square(write(SQUARE))


@pytest.mark.parametrize(
    "changed",
    [
        SQUARE.replace("\n", "\r\n"),
        SQUARE.replace("= ", "=").replace("NDIME", "  NDIME"),
        SQUARE.replace("=", "  = ").replace("\n", "  \n"),
        SQUARE.replace("NPOIN= 6", "\n% points\nNPOIN= 6 6 % of this part\n"),
        SQUARE.replace("1.0 1.0 2", "  1.0\t1.0 2 % corner"),
        "\ufeff" + SQUARE,
        SQUARE.replace("NMARK= 2", "NZONE= 1\nNMARK= 2"),
        SQUARE + "NPERIODIC= 1\nPERIODIC_INDEX= 0\n0.0 0.0 0.0\nFFD_NBOX= 0\n",
        # Nodes that a part exchanges with others, without numbers of the points.
        SQUARE.replace("NMARK= 2", "NMARK= 3")
        + "MARKER_TAG= SEND_RECEIVE\nMARKER_ELEMS= 1\nSEND_TO= 2\n1 4 0\n",
    ],
)
def test_forms_of_the_text(write, changed):
    check_square(write(changed))


def test_points_without_numbers(write):
    lines = SQUARE.splitlines()
    check_square(
        write("\n".join([*lines[:7], *(line[:-2] for line in lines[7:13]), *lines[13:], ""]))
    )


def test_numbers_of_points_that_are_no_places(write):
    # SU2 counts the points by their lines, and does not read what follows the coordinates.
    for old, new in (("1.0 1.0 2", "1.0 1.0 5"), ("3.0 1.0 5", "3.0 1.0 6")):
        path = write(SQUARE.replace(old, new))
        with pytest.warns(MeshFileWarning, match="numbers other than 0 to 5; their order is used"):
            check_square(path)


def test_third_coordinate_of_a_plane(write):
    lines = SQUARE.splitlines()
    lines[7:13] = [f"{line[:-2]} 0 {line[-1]}" for line in lines[7:13]]
    check_square(write("\n".join([*lines, ""])))
    lines[8] = "1.0 0.0 0.5 1"
    with pytest.raises(ValueError, match=r"expected 6 points of 2 coordinates.*got 24 numbers"):
        read_mesh(write("\n".join([*lines, ""])))


def test_solid_cells(write):
    got = read_mesh(write(SOLID))
    kinds = ["hexahedron", "wedge", "pyramid", "tetra", "quad"]
    assert list(got.cells) == kinds
    assert got.measures.tolist() == pytest.approx([1, 0.5, 1 / 3, 1 / 6, 1])
    assert got.cell_fields["bottom"].tolist() == [0, 0, 0, 0, 1]


def test_cuts(write, refuse_cuts):
    refuse_cuts(write(SQUARE))
    refuse_cuts(write(SOLID.replace("9 0 1 2 3\n", "9 0 1 2 10\n")), num=100)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SQUARE.replace("NDIME= 2", "NZONE= 2\nIZONE= 1\nNDIME= 2"), "it has 2 zones; write each"),
        (SQUARE.replace("NELEM= 3", "NELEM= 4"), "NELEM= 4 does not fit its 3 lines"),
        (SQUARE.replace("NELEM= 3", "NELEM= 99999999999999"), "NELEM= 9+ does not fit its 3"),
        (SQUARE.replace("5 0 2 3 1\n", ""), "NELEM= 3 does not fit its 2 lines"),
        (SQUARE.replace("5 0 2 3 1\n", "5 0 2 3\n"), "NELEM= 3 does not fit its 3 lines"),
        (SQUARE.replace("5 0 1 2 0\n", "5 0 1 2 0 0\n"), "expected a type, 3 nodes and a number"),
        (SQUARE.replace("5 0 1 2 0\n", "7 0 1 2 0\n"), "elements of the type 7 are not supported"),
        (
            SQUARE.replace("5 0 1 2 0\n", "5 0 1 x 0\n"),
            "in the elements of NELEM= .got 'x'",
        ),
        (SQUARE.replace("NPOIN= 6", "NPOIN= 99999999999"), "expected 99999999999 points"),
        (
            SQUARE.replace("1.0 1.0 2", "1.0 1.0 3").replace("0.0 1.0 3", "0.0 1.0 2"),
            "in the order of their numbers, from 0",
        ),
        (SQUARE.replace("1.0 1.0 2", "1.0 1.0 2.5"), "in the order of their numbers, from 0"),
        (SQUARE.replace("NMARK= 2", "NMARK= 3"), "NMARK= 3 does not fit its 2 MARKER_TAG"),
        (SQUARE.replace("NMARK= 2\n", ""), "expected NMARK= once .got it 0"),
        (SQUARE.replace("NPOIN= 6", "NPOIN= six"), "expected a number after NPOIN="),
        (
            SQUARE.replace("MARKER_ELEMS= 2", "MARKER_ELEMS= 3"),
            "ELEMS= 3 does not fit its 2",
        ),
        (SQUARE.replace("MARKER_TAG= far field\n", ""), "NMARK= 2 does not fit its 1"),
        (SQUARE.replace("NDIME= 2", "NDIME= 2\n5 0 1 2"), "keyword and '=' after NDIME= .got '5 0"),
        (SQUARE[:-1], "its last line does not end: it is cut off, or lacks the end"),
        ("solid x", "expected a SU2 mesh, which begins with NDIME="),
    ],
)
def test_refused(write, text, message):
    with pytest.raises(ValueError, match=rf"m\.su2: cannot be read as a mesh \(.*{message}"):
        read_mesh(write(text))


def test_point_that_does_not_exist(write):
    with pytest.raises(ValueError, match=r"m\.su2: expected node numbers from 0 to 5"):
        read_mesh(write(SQUARE.replace("9 1 4 5 2 2", "9 1 4 6 2 2")))
