import numpy as np
import pytest
import trimesh

from flare_mesh.io.surfaces.threemf import read_3mf
from flare_mesh.io.surfaces.threemf_writer import WrittenBody, write_3mf
from lpbf import PartWarning
from lpbf.compensate.subdivide import subdivide
from lpbf.core.part import load_part
from lpbf.core.write_part import write_part


@pytest.fixture
def inches(tmp_path):
    """Two blocks of 1 x 0.5 x 0.5 inch in one item, and one beside them."""
    block = trimesh.creation.box((1.0, 0.5, 0.5))
    bodies = [
        WrittenBody(name, item, block.vertices + np.array([2.0 * x, 0, 0]), block.faces)
        for x, (name, item) in enumerate([("left", 0), ("right", 0), ("other", 1)])
    ]
    write_3mf(tmp_path / "a.3mf", bodies, "inch")
    with pytest.warns(PartWarning, match="has 3 bodies"):
        return load_part(tmp_path / "a.3mf")


def test_a_3mf_file_keeps_its_objects_and_its_unit(inches, tmp_path):
    np.testing.assert_allclose(inches.extents, np.array([5.0, 0.5, 0.5]) * 25.4)
    fine = subdivide(inches, 4.0)
    assert len(fine.faces) > len(inches.faces)
    for surface in (inches, fine):
        write_part(surface, tmp_path / "b.3mf")
        written = read_3mf(tmp_path / "b.3mf")
        assert [body[:2] for body in written.bodies] == [("left", 0), ("right", 0), ("other", 1)]
        assert written.unit == 25.4
        ends = np.cumsum([body.triangles for body in written.bodies])
        for number, triangles in enumerate(np.split(written.triangles, ends[:-1])):
            x = written.points[triangles][:, :, 0]
            np.testing.assert_allclose(
                [x.min(), x.max()], 25.4 * (2 * number + np.array([-0.5, 0.5]))
            )
    assert len(written.triangles) == len(fine.faces)
    write_part(inches, tmp_path / "b.stl")  # a reader takes it as mm
    np.testing.assert_allclose(
        trimesh.load_mesh(tmp_path / "b.stl").extents, inches.extents, rtol=1e-6
    )


@pytest.mark.parametrize("suffix", [".stl", ".ply", ".obj", ".off"])
def test_files_without_unit_keep_that_of_the_part(tmp_path, suffix):
    box = trimesh.creation.box((1.0, 0.5, 0.5)).apply_translation((3.0, 0.0, 0.0))
    box.export(tmp_path / f"a{suffix}")
    part = load_part(tmp_path / f"a{suffix}", unit="inch")
    write_part(part, tmp_path / f"b{suffix}")
    written = trimesh.load_mesh(tmp_path / f"b{suffix}")
    np.testing.assert_allclose(written.bounds, box.bounds, rtol=1e-6)
    # The triangles are in their order.
    np.testing.assert_allclose(written.triangles, part.triangles / 25.4, rtol=1e-6, atol=1e-6)
    write_part(part, tmp_path / "b.3mf")
    assert read_3mf(tmp_path / "b.3mf").unit == 25.4
    assert read_3mf(tmp_path / "b.3mf").bodies == (("a", 0, 12),)


def test_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a.step: expected a file of type .stl, .3mf, "):
        write_part(trimesh.creation.box(), tmp_path / "a.step")
