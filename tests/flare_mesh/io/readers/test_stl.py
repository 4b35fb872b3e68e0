"""Values by hand from the description of the STL format."""

import random
import struct

import pytest
import torch

from flare_mesh.io import MeshFileWarning, read_mesh

POINTS = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)]
TRIANGLES = [(0, 1, 2), (0, 2, 3)]


def facet(triangle, normal="0 0 1"):
    vertices = "".join(f"  vertex {x} {y} {z}\n" for x, y, z in (POINTS[node] for node in triangle))
    return f"facet normal {normal}\n outer loop\n{vertices} endloop\nendfacet\n"


TEXT = "solid part of a set\n" + "".join(map(facet, TRIANGLES)) + "endsolid part of a set\n"
TWO = f"solid a\n{facet(TRIANGLES[0])}endsolid a\n\nsolid b\n{facet(TRIANGLES[1])}endsolid b\n"


def binary(title=b"", attribute=0):
    rows = b""
    for triangle in TRIANGLES:
        numbers = [0, 0, 1, *(x for node in triangle for x in POINTS[node])]
        rows += struct.pack("<12fH", *numbers, attribute)
    return title.ljust(80) + struct.pack("<I", len(TRIANGLES)) + rows


@pytest.fixture
def read(tmp_path):
    def read(content):
        file = tmp_path / "m.stl"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_mesh(file)

    return read


@pytest.mark.parametrize(
    "content",
    [
        TEXT,
        TWO,
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("\n", "\r"),
        TEXT.upper().replace(" VERTEX", "\tVERTEX"),
        TEXT.replace("0 0 1", "nan nan nan"),
        TEXT.replace("solid part of a set", "solid"),
        TEXT.replace("endsolid", "end solid").replace("endfacet", "end facet"),
        "\n" + TEXT.rstrip("\n"),
        "\ufeff" + TEXT,
        binary(),
        binary(b"solid made by a CAD program", 65535),
        binary(b"facet\0"),
    ],
)
def test_square(read, content):
    data = read(content)
    assert data.triangle.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert data.pos.tolist() == [list(map(float, point)) for point in POINTS]
    assert not data.cell_fields


def test_points_in_the_order_of_their_first_corners(read):
    data = read("solid\n" + facet((2, 3, 0)) + facet((2, 0, 1)) + "endsolid\n")
    assert data.pos.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0], [1, 0, 0]]
    assert data.triangle.tolist() == [[0, 1, 2], [0, 2, 3]]


def test_bytes_after_the_triangles(read):
    with pytest.warns(MeshFileWarning, match=r"m\.stl: 3 bytes after the 2 triangles that it decl"):
        assert read(binary() + b"end").num_cells == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (TEXT.replace("endsolid part of a set\n", ""), "its last solid has no 'endsolid'"),
        (
            TWO.replace("endsolid a\n", ""),
            r"line 10: expected 'facet' or 'endsolid' \(got 'solid'\)",
        ),
        (
            TEXT.replace("1 1 0", "1,5 1 0", 1),
            r"line 6: expected a number \(got '1,5'\); write dec",
        ),
        (TEXT.replace("1 1 0", "nan 1 0", 1), r"line 6: expected a number \(got 'nan'\)"),
        (TEXT.replace("1 1 0", "1 1", 1), r"line 6: expected 'vertex' with 3 numbers \(got 2"),
        (TEXT.replace(" endloop\n", "", 1), r"line 7: expected 'endloop' \(got 'endfacet'\)"),
        (TEXT.replace("  vertex 1 1 0\n", "", 1), r"line 6: expected 'vertex' \(got 'endloop'\)"),
        (TEXT + facet(TRIANGLES[0]), r"line 17: expected 'solid' \(got 'facet'\)"),
        (facet(TRIANGLES[0]), r"line 1: expected 'solid' \(got 'facet'\)"),
        ("solid\nendsolid\n", "it has no triangles"),
        ("nonsense\n", "expected an STL text, or a binary file of at least 84 bytes"),
        (binary()[:-1], "it declares 2 triangles, which need 184 bytes"),
        (b"\xff" * 100, "it declares 4,294,967,295 triangles"),
        (bytes(84), "it has no triangles"),
    ],
)
def test_refused(read, content, reason):
    with pytest.raises(ValueError, match=rf"m\.stl: cannot be read as a mesh \({reason}"):
        read(content)


@pytest.mark.parametrize("content", [TEXT.encode(), TWO.encode(), binary()])
def test_cut_off(read, content):
    """A cut between two solids leaves a whole file."""
    whole = read(content)
    for cut in random.Random(0).sample(range(len(content)), 25):
        if content[cut:].strip() and content[:cut].rstrip().endswith(b"endsolid a"):
            continue
        try:
            data = read(content[:cut])
        except ValueError:
            continue
        # The name after the last endsolid is cut.
        assert b"endsolid" in content[:cut]
        assert torch.equal(data.triangle, whole.triangle)
        assert torch.equal(data.pos, whole.pos)
