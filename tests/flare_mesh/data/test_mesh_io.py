import numpy as np
import pytest

from flare_mesh.data import read_mesh, write_mesh

POINTS = np.eye(3)
CELLS = {"triangle": np.array([[0, 1, 2]])}


@pytest.mark.parametrize("suffix", [".vtu", ".vtk"])
def test_round_trip(tmp_path, suffix):
    write_mesh(tmp_path / f"m{suffix}", POINTS, CELLS, {"u": np.arange(3.0)})
    mesh = read_mesh(tmp_path / f"m{suffix}")
    np.testing.assert_array_equal(mesh.points, POINTS)
    np.testing.assert_array_equal(mesh.point_data["u"], [0, 1, 2])
    assert [p.name for p in tmp_path.iterdir()] == [f"m{suffix}"]


def test_bad_output(tmp_path):
    for name in ("m.xyzw", "m.stl", "m.xdmf"):  # XDMF is two files, STL holds no fields
        with pytest.raises(ValueError, match=rf"{name}: expected a name that ends in .vtu or .vtk"):
            write_mesh(tmp_path / name, POINTS, CELLS, {})
    with pytest.raises(ValueError, match="expected 3 rows of 'u' "):
        write_mesh(tmp_path / "m.vtu", POINTS, CELLS, {"u": np.zeros(2)})
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file is a file, not a folder"):
        write_mesh(tmp_path / "file" / "m.vtu", POINTS, CELLS, {})


def test_bad_input(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"m.vtu: no such file"):
        read_mesh(tmp_path / "m.vtu")
    for name in ("m.vtu", "m.xyzw"):
        (tmp_path / name).write_text("nonsense")
        with pytest.raises(ValueError, match=rf"{name}: cannot be read as a mesh"):
            read_mesh(tmp_path / name)
