import numpy as np
import pytest

from flare_mesh.io.surfaces.obj import read_obj


def write(points, faces, head="", tail="\n"):
    lines = [f"v {x:g} {y:g} {z:g}" for x, y, z in points]
    lines += ["f " + " ".join(str(i + 1) for i in face) for face in faces]
    return (head + "\n".join(lines) + tail).encode()


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff# by hand\nmtllib a.mtl\no part\n" + text,
        lambda text: text.replace("v 10 8 6", "v 10 8 6 0.5 0.5 0.5"),
        lambda text: text.replace(" 8 7", " 8/1/3 7//4").replace("f 1", "f 1/2"),
        lambda text: text.replace("f 1 5", "usemtl m\ng a\nf 1 \\\n 5"),
        lambda text: text + "vt 0 0\nvn 0 0 1\nl 1 2\np 3\ns off\n",
        lambda text: text.replace("f 2 4 8 6", "f 2 4 8\nf 2 8 6"),
    ],
)
def test_dialects(block, volume, change):
    content = change(write(*block).decode())
    assert volume(read_obj(content.encode())) == pytest.approx(480)


def test_negative_indices_count_back_from_their_face(block, volume):
    points, quads = block
    first = write(points, quads - 8 - 1)
    second = write(points + np.array([20, 0, 0]), quads - 8 - 1)
    assert b"f -8" in first
    surface = read_obj(first + second)
    assert volume(surface) == pytest.approx(960)
    assert np.ptp(surface.points[surface.triangles[:12]][..., 0]) == 10


def test_a_concave_polygon(volume):
    outline = np.array([[0, 0], [10, 0], [10, 4], [4, 4], [4, 10], [0, 10]], dtype=float)
    points = np.vstack([np.column_stack([outline, np.full(6, z)]) for z in (0, 5)])
    i, j = np.arange(6), (np.arange(6) + 1) % 6
    faces = [i[::-1], i + 6, *np.stack([i, j, j + 6, i + 6], axis=1)]
    assert volume(read_obj(write(points, faces))) == pytest.approx(5 * (40 + 24))


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("v 1 2\n", "expected three coordinates on each line 'v'"),
        ("v 1 2 x\n", r"line 1: expected a number \(got 'x'\); export it again"),
        ("v 1 2 3\nv 1,5 0 0\n", r"line 2: .* \(got '1,5'\); .* points instead of commas"),
        ("f 1 2 99\n", "face 0 refers to vertex 98, but there are 8 vertices"),
        ("f 1 2 -3\n", "face 0 refers to vertex -3"),
        ("f 0 1 2\n", "face 0 refers to vertex -1"),
        ("f 1 2 2.5\n", "expected whole numbers as corners"),
        ("#\ncurv 0 1 1 2\n", "line 2: 'curv' is not read; export the surface as polygons"),
    ],
)
def test_refused(block, head, message):
    with pytest.raises(ValueError, match=message):
        read_obj(write(*block, head=head))


def test_cut_within_a_line(block, volume, accepted_cuts):
    content = write(*block)
    for size in range(content.index(b"f "), len(content) - 1):
        if content[size - 1 : size] != b"\n":
            with pytest.raises(ValueError, match=r"the file is cut off|refers to vertex"):
                read_obj(content[:size])
    assert volume(read_obj(content[:-1])) == pytest.approx(480)
    for surface in accepted_cuts(content, read_obj):
        assert volume(surface) == pytest.approx(480) or len(surface.triangles) < 12
