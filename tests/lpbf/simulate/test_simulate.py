import meshio
import numpy as np
import pytest

from lpbf import HexMesh, IslandError, Material, Process, simulate
from lpbf.core.result import von_mises


def column(height=6):
    return HexMesh.from_mask(np.ones((3, 4, height)), (2.0, 2.0, 1.0), origin=(-3.0, -4.0, 0.0))


def test_symmetric_part_distorts_symmetrically():
    mesh = column()
    result = simulate(mesh)
    grid = result.displacement.reshape(7, 5, 4, 3)
    scale = np.abs(grid).max()
    np.testing.assert_allclose(grid[..., 0], -grid[:, :, ::-1, 0], rtol=0, atol=1e-7 * scale)
    np.testing.assert_allclose(grid[..., 1], -grid[:, ::-1, :, 1], rtol=0, atol=1e-7 * scale)
    np.testing.assert_allclose(grid[..., 2], grid[:, ::-1, ::-1, 2], rtol=0, atol=1e-7 * scale)


def test_displacement_is_linear_in_the_strain_and_independent_of_the_modulus():
    base = simulate(column(), Process(inherent_strain=(-0.002, -0.002, 0.0)))
    double = simulate(column(), Process(inherent_strain=(-0.004, -0.004, 0.0)))
    np.testing.assert_allclose(double.displacement, 2 * base.displacement, atol=1e-9)
    soft = Material("soft", youngs_modulus=11_380.0, poisson_ratio=0.342)
    other = simulate(column(), Process(material=soft, inherent_strain=(-0.002, -0.002, 0.0)))
    np.testing.assert_allclose(other.displacement, base.displacement, atol=1e-13)
    np.testing.assert_allclose(10 * other.stress, base.stress, atol=1e-9)


def test_rotating_the_strain_by_90_degrees_rotates_the_displacement():
    mask = np.ones((3, 3, 4))
    mesh = HexMesh.from_mask(mask, 1.0, origin=(-1.5, -1.5, 0.0))
    x = simulate(mesh, Process(inherent_strain=(-0.004, 0.0, 0.0))).displacement
    y = simulate(mesh, Process(inherent_strain=(0.0, -0.004, 0.0))).displacement
    x, y = (u.reshape(5, 4, 4, 3) for u in (x, y))
    np.testing.assert_allclose(x.transpose(0, 2, 1, 3)[..., [1, 0, 2]], y, atol=1e-15)


def test_top_layer_is_in_tension():
    mesh = column(10)
    result = simulate(mesh)
    middle = (np.abs(mesh.points[:, :2]) <= 1.0).all(axis=1)
    top = middle & (mesh.points[:, 2] == 10)
    assert (result.stress[top, :2] > 0).all()


def test_von_mises_closed_forms():
    np.testing.assert_allclose(von_mises(np.array([3.0, 0, 0, 0, 0, 0])), 3.0)
    np.testing.assert_allclose(von_mises(np.array([5.0, 5, 5, 0, 0, 0])), 0.0)
    np.testing.assert_allclose(von_mises(np.array([0.0, 0, 0, 2, 0, 0])), 2 * np.sqrt(3))


def test_save(tmp_path):
    result = simulate(column(2), Process(temperature=80.0))
    result.save(tmp_path / "out" / "part.vtu")
    mesh = meshio.read(tmp_path / "out" / "part.vtu")
    np.testing.assert_allclose(mesh.points, result.points)
    np.testing.assert_array_equal(mesh.cells_dict["hexahedron"], result.cells)
    np.testing.assert_allclose(mesh.point_data["displacement"], result.displacement)
    np.testing.assert_allclose(mesh.point_data["von_mises"], result.von_mises)
    assert (mesh.point_data["temperature"] == 80.0).all()


def test_bad_input():
    mask = np.zeros((2, 1, 2), dtype=bool)
    mask[0, 0, 0] = mask[1, 0, 1] = True
    with pytest.raises(IslandError, match="1 islands are unsupported .*islands='drop'"):
        simulate(HexMesh.from_mask(mask, 1.0))
    mask[0, 0, 0] = False
    with pytest.raises(ValueError, match="rests on the plate"):
        simulate(HexMesh.from_mask(mask, 1.0))
    with pytest.raises(TypeError, match="expected a HexMesh .*lpbf.voxelize"):
        simulate("part.stl")
    for process in ("316L", {}):
        with pytest.raises(TypeError, match="expected a Process .*Process.preset"):
            simulate(column(), process)
    with pytest.raises(ValueError, match="expected 0 < tolerance < 1"):
        simulate(column(), tolerance=0.0)
    with pytest.raises(ValueError, match="layer_height = 0.7 mm is not a multiple"):
        simulate(column(), Process(layer_height=0.7))
