import struct

import numpy as np
import pytest

from flare_mesh.io.surfaces.stl import read_stl


@pytest.fixture
def triangles(block):
    points, quads = block
    return points[np.concatenate([quads[:, :3], quads[:, [0, 2, 3]]])]


def binary(triangles, header=b"part", count=None):
    count = len(triangles) if count is None else count
    rows = (struct.pack("<12fH", 0, 0, 0, *t.ravel(), 0x801F) for t in triangles)
    return header.ljust(80) + struct.pack("<I", count) + b"".join(rows)


def text(triangles, name="part", end="endsolid part\n"):
    lines = [f"solid {name}"]
    for triangle in triangles:
        lines += ["  facet normal 0 0 0", "    outer loop"]
        lines += [f"      vertex {x:.6e} {y:.6e} {z:.6e}" for x, y, z in triangle]
        lines += ["    endloop", "  endfacet"]
    return ("\n".join(lines) + "\n" + end).encode()


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content,
        lambda content: content.replace(b"\n", b"\r\n"),
        lambda content: content.replace(b"\n", b"\r"),
        lambda content: content.upper(),
        lambda content: b"\xef\xbb\xbf\n" + content,
        lambda content: content.replace(b"endsolid", b"end solid"),
        lambda content: content.replace(b"endloop", b"end loop").replace(b"endfacet", b"end facet"),
        lambda content: content.replace(b"solid part", b"solid", 1).rstrip(),
    ],
)
def test_text(triangles, volume, change):
    surface = read_stl(change(text(triangles)))
    assert volume(surface) == pytest.approx(480)
    assert surface.notes == ()


@pytest.mark.parametrize("header", [b"part", b"solid part facet normal", b"\0" * 80])
def test_binary(triangles, volume, header):
    surface = read_stl(binary(triangles, header))
    assert volume(surface) == pytest.approx(480)
    assert surface.notes == ()


def test_several_solids(triangles, volume):
    content = text(triangles, "a") + text(triangles + np.array([20, 0, 0]), "endless facets")
    assert volume(read_stl(content)) == pytest.approx(960)


def test_surplus_bytes_are_told(triangles, volume):
    for header in (b"part", b"solid"):
        surface = read_stl(binary(triangles, header) + b"\0" * 7)
        assert volume(surface) == pytest.approx(480)
        assert surface.notes == ("has 7 bytes after its 12 triangles, which are not read",)


def test_missing_endsolid(triangles, volume):
    surface = read_stl(text(triangles, end=""))
    assert volume(surface) == pytest.approx(480)
    assert surface.notes == ("1 of its 1 solids lack 'endsolid'",)
    with pytest.raises(ValueError, match="ends without 'endsolid', and its surface is open"):
        read_stl(text(triangles[:-1], end=""))
    two = text(triangles, end="") + text(triangles + np.array([20, 0, 0]))
    assert read_stl(two).notes == ("1 of its 2 solids lack 'endsolid'",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"or the 84 bytes of a binary header \(got 0 bytes\)"),
        (b"\0" * 90, "declares no triangles, but 6 bytes follow"),
        (b"\0" * 80 + b"\3\0\0\0" + b"\0" * 60, "declares 3 triangles, but its 144 bytes hold 1;"),
        (b"solid a\nfacets\nendsolid", r"line 2: expected a facet .* \(got 'facets'\)"),
        (b"solid a facet normal 0 0 1 outer loop", "line 1: expected the name of the solid alone"),
        (b"solid\nendsolid\n%", r"line 3: expected 'solid' \(got '%'\); the file is damaged"),
    ],
)
def test_refused(content, message):
    with pytest.raises(ValueError, match=message):
        read_stl(content)


def test_decimal_commas_are_refused_with_their_line(triangles):
    content = text(triangles).replace(b"vertex 1.0", b"vertex 1,0")
    line = content[: content.index(b"1,0")].count(b"\n") + 1
    with pytest.raises(ValueError, match=rf"line {line}: .*'1,000000e\+01'\); export .* of commas"):
        read_stl(content)


def test_cut_anywhere(triangles, accepted_cuts, volume):
    assert accepted_cuts(binary(triangles), read_stl) == []
    for surface in accepted_cuts(text(triangles), read_stl):
        assert volume(surface) == pytest.approx(480)
    both = text(triangles, "a") + text(triangles + np.array([20, 0, 0]), "b")
    whole = len(text(triangles, "a"))
    for size in np.random.default_rng(1).integers(whole + 20, len(both) - 30, 25):
        with pytest.raises(ValueError, match=r"cut off|expected a number"):
            read_stl(both[:size])
