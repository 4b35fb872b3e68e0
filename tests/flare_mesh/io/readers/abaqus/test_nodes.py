import numpy as np
import pytest

TRIANGLE = "*ELEMENT, TYPE=S3\n1, 1, 2, 3\n"


def test_blocks_in_any_order_with_gaps(read):
    """Nodes before and after the elements that use them, with coordinates left out."""
    mesh = read(
        "*NODE, NSET=LOW\n700, 1., 2.\n5, .5\n*ELEMENT, TYPE=S3\n9, 700, 5, 60\n"
        "*NODE\n60, 0., 1.D0, -2.5d-1\n8,\n"
    )
    assert mesh.pos.tolist() == [[1, 2, 0], [0.5, 0, 0], [0, 1, -0.25], [0, 0, 0]]
    assert mesh.triangle.tolist() == [[0, 1, 2]]
    assert mesh.LOW.tolist() == [1, 1, 0, 0]


def test_styles_of_a_line(read):
    """Tabs, blanks, blank lines, comments, normals and empty fields change no number."""
    mesh = read(
        "**\n*node\n1,,2,\n\n  2\t, 1.E0 ,+3 , -.5,0,0,1\n** a, comment\n3, 1E+1, 2e-1, 1.\n"
        "   ** another\n" + TRIANGLE
    )
    np.testing.assert_allclose(mesh.pos, [[0, 2, 0], [1, 3, -0.5], [10, 0.2, 1]], rtol=1e-6)


def test_cylindrical_coordinates(read):
    """Radius, angle in degrees, height; in the same deck as Cartesian ones."""
    mesh = read("*NODE, SYSTEM=C\n1, 2, 30, 5\n2, 1, -90\n*NODE\n3, 2, 30, 5\n" + TRIANGLE)
    expected = [[3**0.5, 1, 5], [0, -1, 0], [2, 30, 5]]
    np.testing.assert_allclose(mesh.pos, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ("1, 2, 3", [2, 4, 6]),  # origin only: a translation
        ("1, 2, 3, 1, 7, 3", [-1, 3, 6]),  # the x axis points along y
        ("1, 2, 3, 1, 7, 9", [-1, 3, 6]),  # the same, projected to the xy plane
        ("0, 0, 0, 0, 0, 4\n0, 2, 1", [-3, 2, 1]),  # x along z, y along y
        ("", [1, 2, 3]),  # the global system again
    ],
)
def test_local_systems(read, system, expected):
    mesh = read(
        f"*SYSTEM\n9, 9, 9\n*SYSTEM\n{system}\n*NODE\n1, 1, 2, 3\n*SYSTEM\n*NODE\n2, 1\n3, 0, 1\n"
        + TRIANGLE
    )
    np.testing.assert_allclose(mesh.pos[0], expected, atol=1e-6)
    assert mesh.pos[1:].tolist() == [[1, 0, 0], [0, 1, 0]]


def test_cylindrical_coordinates_in_a_local_system(read):
    mesh = read(
        "*SYSTEM\n10, 0, 0, 10, 1, 0\n*NODE, SYSTEM=C\n1, 2, 90, 3\n2, 1\n3, 0\n" + TRIANGLE
    )
    np.testing.assert_allclose(mesh.pos, [[8, 0, 3], [10, 1, 0], [10, 0, 0]], atol=1e-6)


def test_generated_nodes(read):
    mesh = read(
        "*NODE\n1, 0, 0, 0\n9, 4, 8, 0\n50, 0, 0, 1\n*NGEN, NSET=LINE\n1, 9, 2\n"
        "*ELEMENT, TYPE=S3\n1, 1, 7, 50\n*HEADING\n"
    )
    between = [[1, 2, 0], [2, 4, 0], [3, 6, 0]]
    assert mesh.pos.tolist() == [[0, 0, 0], [4, 8, 0], [0, 0, 1], *between]
    assert mesh.LINE.tolist() == [1, 1, 0, 1, 1, 1]


def test_generated_nodes_at_the_place_of_others(read):
    """Node 3 of the deck is not at its place between nodes 1 and 9."""
    with pytest.raises(ValueError, match="node 3 is defined again with other coordinates"):
        read("*NODE\n1, 0, 0\n9, 4, 8\n3, 5\n*NGEN\n1, 9, 2\n*ELEMENT, TYPE=S3\n1, 1, 7, 3\n")


def test_nodes_again(read):
    mesh = read("*NODE\n1, 0, 0\n2, 1, 0\n*NODE\n2, 1.0, 0.\n3, 0, 1\n1, 0\n" + TRIANGLE)
    assert mesh.pos.tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    with pytest.raises(ValueError, match="line 5: node 2 is defined again with other coordinates"):
        read("*NODE\n1, 0, 0\n2, 1, 0\n*NODE\n2, 1, 1\n3, 0, 1\n" + TRIANGLE)


@pytest.mark.parametrize("padding", ["", "".join(f"{i}, 0, 0, 0\n" for i in range(10, 99))])
@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ("*NODE\n1, 0, 0\n2, 1x, 0\n", "line 3: expected a number .got '1x'"),
        ("*NODE\n1, 0, 0\n2, 1 0, 0\n", "line 3: expected a number .got '1 0'"),
        ("*NODE\n1, 0, 0\n2, 1-3\n", "line 3: expected a number .got '1-3'"),
        ("*NODE\n1, 0, 0\n2, nan\n", "line 3: expected a number .got 'nan'"),
        ("*NODE\n1, 0, 0\n2, 1e999\n", "line 3: expected finite numbers"),
        ("*NODE\n1, 0, 0\n2, <x>\n", "line 3: the parameter <x> is not read; write its value"),
        ("*NODE\n1, 0, 0\n**\n1.5, 0, 1\n", "line 4: expected a positive integer .got 1.5"),
        ("*NODE\n1, 0, 0\n-7, 0, 1\n", "line 3: expected a positive integer .got -7"),
        ("*NODE\n1, 0, 0\n2,1,2,3,4,5,6,7\n", "line 3: expected a node and up to three coord"),
        ("*NODE, INPUT=a.txt\n", "line 1: .NODE has its data in another file"),
        ("*NODE, SYSTEM=S\n", "line 1: .NODE has the coordinate system 'S', which is not read"),
        ("*NODE, PARAMETER\n", "line 1: .NODE has the parameter 'PARAMETER', which is not"),
        ("*NODE\n1, 0, 0\n*NGEN\n1, 2\n*NODE\n", "line 4: .NGEN uses node 2, which is not defi"),
        ("*NODE\n1\n4, 1\n*NGEN\n1, 4, 2\n*NODE\n", "line 5: expected an increment that leads"),
        ("*NODE\n1\n4, 1\n*NGEN, LINE=C\n1, 4, 1\n*NODE\n", "line 4: .NGEN LINE is not read"),
        ("*SYSTEM\n0, 0, 0, 0, 0, 0\n*NODE\n1\n", "line 1: .SYSTEM has points that coincide"),
        ("*NCOPY, OLD SET=A\n1\n*NODE\n", "line 1: .NCOPY is not read; write the nodes that"),
    ],
)
def test_faults(read, padding, keywords, message):
    """The same error in short blocks, which are read line by line, and in long ones."""
    with pytest.raises(ValueError, match=message):
        read(f"{keywords}{padding}{TRIANGLE}")
