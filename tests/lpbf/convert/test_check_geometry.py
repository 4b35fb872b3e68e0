import numpy as np
import pytest

from lpbf import HexMesh
from lpbf.convert.check_geometry import check_geometry

MESH = HexMesh.from_mask(np.ones((2, 2, 1)), 2.0)


def text(words):
    return words.encode().ljust(80, b"\0")


def test_whole_files(tmp_path, ensight):
    path = tmp_path / "a.geo"
    plain = ensight.geometry(MESH.points, MESH.cells)
    numbered = plain.replace(text("node id off"), text("node id given"))
    at = numbered.index(text("coordinates")) + 84
    ids = np.arange(1, 19, dtype="<i4").tobytes()
    extents = text("extents") + np.zeros(6, "<f4").tobytes()
    for whole in (
        plain,
        plain + ensight.part(MESH.points, MESH.cells, number=2),
        ensight.geometry(MESH.points, MESH.cells[:0]),
        numbered[:at] + ids + numbered[at:],
        plain.replace(text("part"), extents + text("part"), 1),
    ):
        path.write_bytes(whole)
        check_geometry(path)


def test_a_file_cut_off_anywhere_is_told(tmp_path, ensight):
    path = tmp_path / "a.geo"
    whole = ensight.geometry(MESH.points, MESH.cells)
    # At the end of the coordinates it is whole, without elements.
    without = len(whole) - 84 - MESH.cells.size * 4
    for length in {*range(0, len(whole), 13), len(whole) - 1, without + 1} - {without}:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"a.geo: .* at byte [\d,]+; export it anew"):
            check_geometry(path)


def test_other_files(tmp_path, ensight):
    path = tmp_path / "a.geo"
    whole = ensight.geometry(MESH.points, MESH.cells)
    for wrong, message in (
        (ensight.geometry(MESH.points, MESH.cells, kind="nfaced"), "expected a part or elements"),
        (ensight.geometry(MESH.points, MESH.cells, header="EnSight Gold"), "Gold binary geometry"),
        (ensight.geometry(MESH.points, MESH.cells + 10), "elements name nodes outside 1 to 18"),
        (whole.replace(text("coordinates"), text("block")), r"expected 'coordinates' .got 'block"),
        (whole.replace(text("node id off"), text("ids off")), r"expected 'node id' .got 'ids off"),
        (b"P\0\0\0" + whole, "Gold binary geometry"),
    ):
        path.write_bytes(wrong)
        with pytest.raises(ValueError, match=message):
            check_geometry(path)
    at = whole.index(text("coordinates")) + 80
    path.write_bytes(whole[:at] + b"\xff\xff\xff\xff" + whole[at + 4 :])
    with pytest.raises(ValueError, match=r"expected a number >= 0 \(got -1\)"):
        check_geometry(path)
