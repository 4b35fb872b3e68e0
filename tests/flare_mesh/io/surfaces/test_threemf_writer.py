import zipfile

import numpy as np
import pytest

from flare_mesh.io.surfaces.threemf import read_3mf
from flare_mesh.io.surfaces.threemf_writer import WrittenBody, write_3mf


@pytest.mark.parametrize(("unit", "size"), [("millimeter", 1.0), ("inch", 25.4)])
def test_objects_and_items(tmp_path, block, volume, unit, size):
    points, quads = block
    triangles = np.concatenate([quads[:, :3], quads[:, [0, 2, 3]]])
    bodies = [
        WrittenBody('a <b> & "c"', 0, points, triangles),
        WrittenBody("", 0, points + np.array([20.0, 0.0, 0.0]), triangles),
        WrittenBody("z", 1, 2 * points + np.array([0.0, 30.0, 1e-7]), triangles),
    ]
    write_3mf(tmp_path / "a.3mf", bodies, unit)
    surface = read_3mf(tmp_path / "a.3mf")
    assert surface.bodies == (('a <b> & "c"', 0, 12), ("", 0, 12), ("z", 1, 12))
    assert surface.notes == ()
    assert surface.unit == size
    assert volume(surface) == pytest.approx(480 * (1 + 1 + 8) * size**3)
    expected = size * np.concatenate([body.points for body in bodies])
    np.testing.assert_allclose(surface.points, expected, rtol=1e-8)
    np.testing.assert_array_equal(surface.triangles[12:24], triangles + 8)
    first = (tmp_path / "a.3mf").read_bytes()
    write_3mf(tmp_path / "a.3mf", bodies, unit)
    assert (tmp_path / "a.3mf").read_bytes() == first
    with zipfile.ZipFile(tmp_path / "a.3mf") as archive:
        assert archive.namelist()[0] == "[Content_Types].xml"


def test_an_unknown_unit(tmp_path):
    with pytest.raises(ValueError, match="write_3mf: unknown unit 'yard'"):
        write_3mf(tmp_path / "a.3mf", [], "yard")
