"""Values by hand from Greg Turk's description of the PLY format."""

import random
import struct

import pytest
import torch

from flare_mesh.io import MeshFileWarning, read_mesh

POINTS = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (2, 0, 0.5)]
XYZ = "property float x\nproperty float y\nproperty float z\n"
CORNERS = "property list uchar int vertex_indices\n"


@pytest.fixture
def read(tmp_path):
    def read(content, **options):
        file = tmp_path / "m.ply"
        file.write_bytes(content if isinstance(content, bytes) else content.encode("latin-1"))
        return read_mesh(file, **options)

    return read


def text(points=POINTS, vertex=XYZ, faces="3 0 1 2\n3 0 2 3\n3 1 4 2\n", face=CORNERS, more=""):
    rows = "".join(" ".join(map(str, point)) + "\n" for point in points)
    header = f"element vertex {len(points)}\n{vertex}"
    if faces:
        header += f"element face {len(faces.splitlines())}\n{face}"
    return f"ply\nformat ascii 1.0\n{header}{more}end_header\n{rows}{faces}"


def binary(order, elements):
    """A binary file; ``elements`` is [(name, [(declaration, struct code)], rows of values)]."""
    name = {"<": "little", ">": "big"}[order]
    header, body = f"ply\nformat binary_{name}_endian 1.0\n", b""
    for element, properties, rows in elements:
        header += f"element {element} {len(rows)}\n"
        header += "".join(f"property {declared}\n" for declared, _ in properties)
        for row in rows:
            for (_, code), value in zip(properties, row, strict=True):
                if len(code) == 2:
                    body += struct.pack(order + code[0], len(value))
                    body += struct.pack(f"{order}{len(value)}{code[1]}", *value)
                else:
                    body += struct.pack(order + code, value)
    return (header + "end_header\n").encode() + body


VERTICES = ("vertex", [("float x", "f"), ("float y", "f"), ("float z", "f")], POINTS)


def test_text(read):
    dialects = [
        text(),
        text().replace("\n", "\r\n"),
        text().replace("ply\n", "ply\ncomment Länge\nobj_info any 1\n\n", 1),
        text(face=CORNERS.replace("indices", "index")),
        text(face=CORNERS.replace("uchar int", "int uint8")),
        text().replace("3 0 1 2\n", "\n  3\t0 1 2  \n\n"),
        text().replace("float", "float32").replace("uchar int ", "uint8 int32 "),
    ]
    for content in dialects:
        data = read(content)
        assert data.pos.tolist() == [list(map(float, point)) for point in POINTS]
        assert data.triangle.tolist() == [[0, 1, 2], [0, 2, 3], [1, 4, 2]]
        assert data.pos.dtype == torch.float32


def test_faces_of_any_number_of_corners(read):
    face = (
        "property uchar flag\n"
        + CORNERS
        + "property list uchar float texcoord\nproperty double q\n"
    )
    lines = (
        "7 3 0 1 2 0 0.5\n8 4 0 1 2 3 2 0.1 0.2 1e3\n9 1 4 0 -1\n4 2 3 4 1 0.3 2\n5 3 1 4 2 0 3\n"
    )
    rows = [
        (7, (0, 1, 2), (), 0.5),
        (8, (0, 1, 2, 3), (0.1, 0.2), 1e3),
        (9, (4,), (), -1),
        (4, (3, 4), (0.3,), 2),
        (5, (1, 4, 2), (), 3),
    ]
    codes = ["B", "Bi", "Bf", "d"]
    kinds = [line.removeprefix("property ") for line in face.splitlines()]
    properties = list(zip(kinds, codes, strict=True))
    for content in (
        text(faces=lines, face=face),
        *(binary(order, [VERTICES, ("face", properties, rows)]) for order in "<>"),
    ):
        data = read(content, dtype=torch.float64)
        assert data.cell_type.tolist() == [5, 9, 1, 3, 5]
        assert data.cell_index.tolist() == [0, 1, 2, 0, 1, 2, 3, 4, 3, 4, 1, 4, 2]
        assert data.cell_flag.tolist() == [7, 8, 9, 4, 5]
        assert data.cell_q.tolist() == [0.5, 1000, -1, 2, 3]
        assert set(data.cell_fields) == {"flag", "q"}


@pytest.mark.parametrize(
    ("length", "code"),
    [("char", "b"), ("uint8", "B"), ("short", "h"), ("ushort", "H"), ("int", "i"), ("uint32", "I")],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_integers_of_lists(read, length, code, order):
    for faces in ([((0, 1, 2),), ((0, 2, 3),)], [((0, 1, 2),), ((0, 1, 2, 3),), ((1, 4, 2),)]):
        for kind, own in (("uchar", "B"), ("int", "i"), ("ushort", "H")):
            declared = f"list {length} {kind} vertex_index"
            data = read(binary(order, [VERTICES, ("face", [(declared, code + own)], faces)]))
            assert data.cell_index.tolist() == [node for (nodes,) in faces for node in nodes]


@pytest.mark.parametrize("order", ["", "<", ">"])
def test_fields_of_vertices(read, order):
    kinds = [
        "uchar red",
        "short a",
        "double b",
        "int64 c",
        "float x",
        "float y",
        "float z",
        "uint d",
    ]
    rows = [(200 + i, -i, 0.1 * i, 2**60 + i, *POINTS[i], 2**32 - 1 - i) for i in range(5)]
    if order:
        properties = list(zip(kinds, "Bhdqfff" + "I", strict=True))
        content = binary(order, [("vertex", properties, rows)])
    else:
        vertex = "".join(f"property {kind}\n" for kind in kinds)
        content = text(rows, vertex, faces="")
    data = read(content, dtype=None)
    assert data.num_cells == 0
    assert data.pos.tolist() == [list(map(float, point)) for point in POINTS]
    assert data.red.tolist() == [200, 201, 202, 203, 204]
    assert data.a.tolist() == [0, -1, -2, -3, -4]
    assert data.b.tolist() == [row[2] for row in rows]
    assert data.c.tolist() == [2**60 + i for i in range(5)]
    assert data.d.tolist() == [2**32 - 1 - i for i in range(5)]
    assert (data.red.dtype, data.a.dtype, data.b.dtype) == (torch.uint8, torch.int16, torch.float64)


@pytest.mark.parametrize("order", ["<", ">"])
def test_other_elements(read, order):
    """They stand before, between and after the elements that are read."""
    other = ("material", [("list uchar float a", "Bf"), ("int b", "i")], [((1, 2), 3), ((), 4)])
    last = ("range", [("double c", "d")], [(1,)])
    faces = ("face", [(CORNERS[9:-1], "Bi")], [((0, 1, 2),)])
    edges = ("edge", [("int vertex1", "i"), ("int vertex2", "i")], [(0, 4)])
    content = binary(order, [other, VERTICES, edges, faces, last])
    with pytest.warns(MeshFileWarning, match=r"left out: edge \(1\), material \(2\), range \(1\)"):
        data = read(content)
    assert data.triangle.tolist() == [[0, 1, 2]]
    assert data.num_cells == 1
    data = read(binary(order, [VERTICES, edges]))
    assert data.cells["line"].tolist() == [[0, 4]]


def test_lists_of_vertices_and_bytes_after_the_rows(read):
    name, properties, _ = VERTICES
    rows = [(*point, tuple(range(i))) for i, point in enumerate(POINTS)]
    with pytest.warns(MeshFileWarning, match="lists of vertices that are left out: near"):
        data = read(binary("<", [(name, [*properties, ("list uchar int near", "Bi")], rows)]))
    assert data.pos.tolist() == [list(map(float, point)) for point in POINTS]
    with pytest.warns(MeshFileWarning, match="2 bytes after the last row are left out"):
        read(binary("<", [VERTICES]) + b"\0\0")


BAD_FACES = [
    ("3 0 1 5\n", r"face 1: expected numbers of vertices from 0 to 4 \(got 5\)"),
    ("3 0 1 2\n3 0 1 -1\n", r"face 2: expected numbers of vertices from 0 to 4 \(got -1\)"),
    ("3 0 1 2\n5 0 1 4 2 3\n", r"face 2: expected faces of 1 to 4 corners \(got 5, the first of 1"),
    ("3 0 1 2\n0\n", r"face 2: expected faces of 1 to 4 corners \(got 0"),
]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        *((text(faces=lines), reason) for lines, reason in BAD_FACES),
        (text(faces="3 0 1\n"), r"line 15: expected the values of a 'face' .*\(got 3 numbers\)"),
        (text(faces="3 0 1 2 4\n"), r"line 15: expected the values of a 'face' .*\(got 5 numbers"),
        (text(faces="-1 0 1 2\n"), r"line 15: expected a number of type uint8 \(got '-1'\)"),
        (text(faces="3 0 1 2.5\n"), r"line 15: expected a whole number \(got '2.5'\)"),
        (text(faces="3 0 1 2_0\n"), r"line 15: expected a whole number \(got '2_0'\)"),
        (text([(0, 0)]), r"line 10: expected the values of a 'vertex' .*\(got 2 numbers\)"),
        (text([["1,5", 0, 0]]), r"line 10: expected a number of type float32 \(got '1,5'\)"),
        (text().replace("face 3", "face 4"), r"it declares 4 rows of 'face', but .*\(got 3 lines"),
        (text().replace("face 3", "face 2"), "line 17: more lines than its header declares"),
        (text().replace("face 3", "face 99999999"), "it declares 99,999,999 rows of 'face'"),
        (text().rstrip("\n"), "its last line has no line end"),
        (text() + "\0\n", ".*bytes that are no text"),
        (text().replace("format ascii 1.0\n", ""), "its PLY header has no format"),
        (text().replace("ascii", "ascii2"), r"line 2: expected a format, .*\(got 'format ascii2 1"),
        (text().replace("float y", "flot y"), r"line 5: expected .*\(got 'property flot y'\)"),
        (text().replace("list uchar", "list float"), "line 8: expected .*got 'property list float"),
        (
            text().replace("float y", "float x"),
            "its PLY header has properties of 'vertex' of the same name",
        ),
        (text().replace("face 3", "vertex 3"), "its PLY header has elements of the same name"),
        (text().replace(" x\n", " a\n"), "it has no element 'vertex' with the properties x, y"),
        (text().replace("vertex 5", "node 5"), "it has no element 'vertex'"),
        (text(face="property int a\n", faces="3\n"), "its faces have no property list 'vertex_ind"),
        (text(more="element tristrips 1\n" + CORNERS) + "4 0 1 2 3\n", "triangle strips are not"),
        (text().replace("ply", "plx", 1), "expected a PLY header"),
    ],
)
def test_refused(read, content, reason):
    with pytest.raises(ValueError, match=rf"m\.ply: cannot be read as a mesh \({reason}"):
        read(content)


@pytest.mark.parametrize("order", ["<", ">"])
def test_binary_files_that_declare_too_much(read, order):
    declared = CORNERS[9:-1].replace("uchar", "int")
    content = binary(order, [VERTICES, ("face", [(declared, "ii")], [((0, 1, 2),)])])
    for length in (4, 2**31 - 1, -1):
        cut = content[: -4 * 4] + struct.pack(order + "i", length) + content[-4 * 3 :]
        with pytest.raises(ValueError, match=r"m\.ply: .*rows of 'face', but is cut off"):
            read(cut)
    with pytest.raises(ValueError, match=r"declares 999 rows of 'vertex', but is cut off \(got 76"):
        read(content.replace(b"vertex 5", b"vertex 999"))


def test_cut_off(read):
    faces = [((0, 1, 2),), ((0, 1, 2, 3),)] * 10
    files = [text().encode()]
    for rows in (faces, faces[::2]):
        files += [binary(o, [VERTICES, ("face", [(CORNERS[9:-1], "Bi")], rows)]) for o in "<>"]
    for content in files:
        for cut in random.Random(0).sample(range(len(content)), 25):
            with pytest.raises(ValueError, match=r"m\.ply: "):
                read(content[:cut])


def test_not_a_number_as_a_field(read):
    vertex = XYZ + "property float q\n"
    data = read(text([(*point, "nan") for point in POINTS], vertex))
    assert data.q.isnan().all()
    with pytest.raises(ValueError, match="NaN or infinite ones at 5 of 5 nodes"):
        read(text([(0, 0, "nan")] * 5))
