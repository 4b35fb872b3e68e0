import pytest

from flare_mesh.io.surfaces.off import read_off


def write(points, faces, head="OFF\n8 6 12\n", more=""):
    lines = [f"{x:g} {y:g} {z:g}{more}" for x, y, z in points]
    lines += [f"{len(face)} " + " ".join(map(str, face)) for face in faces]
    return (head + "\n".join(lines) + "\n").encode()


@pytest.mark.parametrize(
    ("head", "more"),
    [
        ("OFF\n8 6 12\n", ""),
        ("OFF # by hand\n\n# sizes\n8 6\n", ""),
        ("OFF 8 6 0\n", ""),
        ("COFF\n8 6 0\n", " 255 0 0 255"),
        ("STCNOFF\n8 6 0\n", " 0 0 1 1 0 0 1 0 0"),
    ],
)
def test_dialects(block, volume, head, more):
    assert volume(read_off(write(*block, head, more))) == pytest.approx(480)


def test_colours_of_some_faces_and_mixed_polygons(block, volume):
    content = write(*block).replace(b"8 6 12", b"8 7 12")
    content = content.replace(b"4 0 2 3 1", b"4 0 2 3 1 255 0 0")
    content = content.replace(b"4 1 3 7 5", b"3 1 3 7 0.5 0.5 0.5\n3 1 7 5")
    assert volume(read_off(content)) == pytest.approx(480)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"OFF", b"FOO", r"expected 'OFF' on the first line \(got 'FOO'\)"),
        (b"OFF", b"4OFF", "4OFF, nOFF and binary OFF files are not read"),
        (b"OFF", b"OFF BINARY", "4OFF, nOFF and binary OFF files are not read"),
        (b"8 6 12", b"8", "expected the numbers of vertices and faces"),
        (b"8 6 12", b"8 7 12", "declares 8 vertices and 7 faces, but has 14 lines"),
        (b"10 8 6", b"10 8,5 6", r"line 10: expected a number \(got '8,5'\)"),
        (b"10 8 6", b"10 8", "expected as many numbers on each line of a vertex"),
        (b"4 1 3 7 5", b"5 1 3 7 5", "expected the number of corners and the corners"),
        (b"4 1 3 7 5", b"4 1 3 7 9", "face 5 refers to vertex 9, but there are 8 vertices"),
        (b"4 1 3 7 5", b"4 1 3 7 nan", "expected whole numbers as corners"),
    ],
)
def test_refused(block, old, new, message):
    content = write(*block)
    assert old in content
    with pytest.raises(ValueError, match=message):
        read_off(content.replace(old, new))
    with pytest.raises(ValueError, match="got 'nothing'"):
        read_off(b"")


def test_cut_anywhere(block, volume, accepted_cuts):
    for surface in accepted_cuts(write(*block), read_off):
        assert volume(surface) == pytest.approx(480)
