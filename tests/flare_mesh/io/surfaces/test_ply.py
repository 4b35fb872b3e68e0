import struct

import numpy as np
import pytest

from flare_mesh.io.surfaces.ply import read_ply

FORMATS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
CODES = {"uchar": "B", "int": "i", "float": "f", "double": "d", "uint": "I"}


def write(kind, points, faces, *, colours=False, more=True):
    """A PLY file with colours before and after the lists, and an element behind the faces."""
    vertex = [("double", axis) for axis in "xyz"] + [("uchar", "red")] * colours
    lines = ["ply", f"format {kind} 1.0", "comment made by hand", f"element vertex {len(points)}"]
    lines += [f"property {t} {name}" for t, name in vertex]
    lines += [f"element face {len(faces)}"]
    lines += ["property uchar flags"] * colours + ["property list uchar uint vertex_indices"]
    lines += ["property list uchar float texcoord"] * colours
    lines += ["element edge 2", "property int v"] * more + ["end_header", ""]
    rows = [[*zip(("d", "d", "d"), p, strict=True)] + [("B", 200)] * colours for p in points]
    for face in faces:
        row = [("B", 1)] * colours + [("B", len(face)), *(("I", i) for i in face)]
        row += [("B", 2), ("f", 0.5), ("f", 0.25)] * colours
        rows.append(row)
    rows += [[("i", 5)], [("i", 6)]] * more
    head, order = "\n".join(lines).encode(), FORMATS[kind]
    if not order:
        return head + "\n".join(" ".join(f"{v:g}" for _, v in row) for row in rows).encode() + b"\n"
    return head + b"".join(struct.pack(order + code, v) for row in rows for code, v in row)


def split(quads):
    """Quadrilaterals, the last two as triangles: lists of different length."""
    quads = quads.tolist()
    return quads[:4] + [q[:3] for q in quads[4:]] + [[q[0], q[2], q[3]] for q in quads[4:]]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("colours", [False, True])
@pytest.mark.parametrize("mixed", [False, True])
def test_formats(block, volume, kind, colours, mixed):
    points, quads = block
    content = write(kind, points, split(quads) if mixed else quads, colours=colours)
    surface = read_ply(content)
    assert volume(surface) == pytest.approx(480)
    assert surface.notes == ()


@pytest.mark.parametrize("kind", FORMATS)
def test_cut_anywhere(block, volume, accepted_cuts, kind):
    points, quads = block
    for mixed in (False, True):
        content = write(kind, points, split(quads) if mixed else quads, more=False)
        for surface in accepted_cuts(content, read_ply):
            assert volume(surface) == pytest.approx(480)


def test_a_cut_of_the_last_digit_is_found(block):
    content = write("ascii", *block, more=False)
    assert content.endswith(b" 5\n")
    with pytest.raises(ValueError, match="its last line has no line end, so it may be cut off"):
        read_ply(content[:-1])


def test_a_float_has_the_precision_of_its_type(block):
    points, quads = block
    content = write("ascii", points + 0.1, quads, more=False).replace(b"double", b"float")
    assert set(np.unique(read_ply(content).points)) >= {float(np.float32(0.1))}


@pytest.mark.parametrize("kind", FORMATS)
def test_index_out_of_range(block, kind):
    points, quads = block
    quads = quads.copy()
    quads[4, 1] = 70
    with pytest.raises(ValueError, match="face 4 refers to vertex 70, but there are 8 vertices"):
        read_ply(write(kind, points, quads))


def test_surplus(block):
    points, quads = block
    content = write("binary_little_endian", points, quads)
    assert read_ply(content + b"more").notes == (
        "has 4 bytes after its last element, which are not read",
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"element face 6", b"element tristrips 6", "has the element 'tristrips', which is not"),
        (b"property double y\n", b"property double w\n", "its vertices have no 'y'"),
        (b"10 8 6", b"10 8,5 6", "line 18: expected a number of type float64 .got '8,5'"),
        (b"list uchar uint vertex_", b"list uchar uint other_", "no list 'vertex_indices'"),
        (b"element face 6", b"element face 7", "it declares 7 rows of 'face', but is cut off"),
    ],
)
def test_refused(block, old, new, message):
    content = write("ascii", *block, more=False)
    assert old in content
    with pytest.raises(ValueError, match=message):
        read_ply(content.replace(old, new))
