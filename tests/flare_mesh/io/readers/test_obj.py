"""Values by hand from the description of the OBJ format."""

import random

import pytest
import torch

from flare_mesh.io import MeshFileWarning, read_mesh

SQUARE = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"


@pytest.fixture
def read(tmp_path):
    def read(text):
        file = tmp_path / "m.obj"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_mesh(file, dtype=torch.float64)

    return read


@pytest.mark.parametrize(
    ("faces", "expected"),
    [
        ("f 1 2 3\nf 1 3 4\n", [[0, 1, 2], [0, 2, 3]]),
        ("f 1/1 2/2 3/3\nf 1/5 3/3 4/4\n", [[0, 1, 2], [0, 2, 3]]),
        ("f 1//1 2//1 3//1\nf 1/5/1 3/3/1 4/4/1\n", [[0, 1, 2], [0, 2, 3]]),
        ("f -4 -3 -2\nf -4/-1 -2/-1 -1/-1\n", [[0, 1, 2], [0, 2, 3]]),
        ("f 1 \\\n2 3\n  f\t1  3 4  \n", [[0, 1, 2], [0, 2, 3]]),
        ("f 1 2 3 # first\n# f 4 4 4\nf 1 3 4\n", [[0, 1, 2], [0, 2, 3]]),
        ("g a b\nf 1 2 3\nusemtl x\ns off\no other\ng\nf 1 3 4\n", [[0, 1, 2], [0, 2, 3]]),
    ],
)
def test_triangles(read, faces, expected):
    textures = "mtllib a\\b.mtl\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nvt 0.5 0.5\nvn 0 0 1\n"
    for text in (SQUARE + faces, "# made by hand\n" + textures + SQUARE + textures + faces):
        for end in ("\n", "\r\n", "\r"):
            data = read(text.replace("\n", end))
            assert data.triangle.tolist() == expected
            assert data.pos.tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
            assert not data.node_fields
            assert data.measures.sum() == 1


def test_negative_numbers_count_from_the_line(read):
    """The same face behind each of two objects."""
    other = SQUARE.replace(" 0\n", " 5\n")
    data = read(SQUARE + "f -4 -3 -2 -1\n" + other + "f -4 -3 -2 -1\nf 1 2 3\n")
    assert data.quad.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert data.triangle.tolist() == [[0, 1, 2]]


def test_cells_in_the_order_of_the_file(read):
    text = "f 1 2 3\nf 1 2 3 4\ng one\nl 1 2 3\np 4 1\nf 1 3 4\n"
    data = read(SQUARE + text)
    assert data.cell_type.tolist() == [5, 9, 3, 3, 1, 1, 5]
    assert data.cell_index.tolist() == [0, 1, 2, 0, 1, 2, 3, 0, 1, 1, 2, 3, 0, 0, 2, 3]
    assert data["cell_obj:group_ids"].tolist() == [-1, -1, 0, 0, 0, 0, 0]


def test_colours_and_weights(read):
    rows = [[0.2, 0.4, 0.6], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    lines = SQUARE.splitlines()
    text = "".join(f"{line} {r} {g} {b}\n" for line, (r, g, b) in zip(lines, rows, strict=True))
    data = read(text + "f 1 2 3 4\n")
    assert data.color.tolist() == rows
    data = read(SQUARE.replace(" 0\n", " 0 1.0\n") + "f 1 2 3 4\n")
    assert not data.node_fields
    assert data.quad.tolist() == [[0, 1, 2, 3]]
    with pytest.warns(MeshFileWarning, match=r"m\.obj: colours of 1 of 5 vertices are left out"):
        data = read(SQUARE + "v 5 5 5 1 0 0\nf 1 2 3 4\nf 1 2 5\n")
    assert data.pos[4].tolist() == [5, 5, 5]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("f 1 2 5\n", r"line 5: 'f' has the vertex 5, which does not exist \(4 vertices\)"),
        ("f 1 2 0\n", "line 5: 'f' has the vertex 0"),
        ("f 1 2 -5\n", "line 5: 'f' has the vertex -5"),
        ("f 1 2\n", r"line 5: expected 'f' with at least 3 vertices \(got 2\)"),
        ("f 1 2 x\n", r"line 5: expected a whole number \(got 'x'\)"),
        ("\n# c\nf 1 2 \\\n 3\nf 1 2 1.5\n", r"line 9: expected a whole number \(got '1.5'\)"),
        ("f 1 2 /3\n", "lines 5 to 5: expected 3 numbers"),
        ("f 1 2 1_0\n", r"line 5: expected a whole number \(got '1_0'\)"),
        ("v 1,5 0 0\n", r"line 5: expected a number \(got '1,5'\); write decimal points"),
        ("v nan 0 0\n", "line 5: expected finite coordinates"),
        ("v 1 2\n", r"line 5: expected a vertex of x, y, z .*\(got 2 numbers\)"),
        ("v 5 5 5\nf 1 2 5 3 4\n", r"line 6: expected faces of 1 to 4 corners \(got 5, the first"),
        ("cstype bezier\n", "line 5: 'cstype': curved surfaces are not read"),
        ("call other.obj\n", "line 5: 'call': other files and commands are not read"),
        ("", "it has 4 vertices and no faces, lines or points"),
        ("f 1 2 3", "its last line has no line end"),
    ],
)
def test_refused(read, text, reason):
    with pytest.raises(ValueError, match=rf"m\.obj: cannot be read as a mesh \({reason}"):
        read(SQUARE + text)


def test_not_a_text(read):
    with pytest.raises(ValueError, match="got a binary file"):
        read(b"\0\0\n")
    with pytest.raises(ValueError, match="it has 0 vertices"), pytest.warns(MeshFileWarning):
        read("nonsense\n")


def test_warnings(read):
    with pytest.warns(MeshFileWarning, match=r"unknown keywords that are left out: vx \(2\)"):
        read(SQUARE + "vx 1\nvx 2\nf 1 2 3 4\n")
    with pytest.warns(MeshFileWarning, match="1 of 4 vertices belong to no cell; it may be cut"):
        read(SQUARE + "f 1 2 3\n")


def test_last_line_without_an_end(read):
    """Its digits are all there if the surface is closed, as that of a tetrahedron."""
    solid = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 2 3 4\nf 3 1 4"
    for end in ("", "  ", "\nusemtl x", "\n# end"):
        assert read(solid + end).triangle.tolist() == [[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]]
    for text in (solid[:-2], solid.replace("f 1 3 2\n", ""), "v 5 5 5\n" + solid):
        with pytest.raises(ValueError, match="its last line has no line end|at least 3 vertices"):
            read(text)


def test_colours_that_are_no_numbers(read):
    data = read(SQUARE.replace(" 0\n", " 0 nan nan nan\n") + "f 1 2 3 4\n")
    assert data.color.isnan().all()


@pytest.mark.filterwarnings("ignore::flare_mesh.io.MeshFileWarning")
def test_cut_off(read):
    """A cut between two lines cannot be seen if every vertex has a face before."""
    vertices = "".join(f"v {i} {j} 0\n" for i in range(12) for j in range(2))
    faces = "".join(f"f {2 * i + 1} {2 * i + 3} {2 * i + 4} {2 * i + 2}\n" for i in range(11))
    text = vertices + faces
    for cut in random.Random(0).sample(range(1, len(text)), 25):
        if text[cut - 1] != "\n" or cut <= len(vertices):
            with pytest.raises(ValueError, match=r"m\.obj: "):
                read(text[:cut])
