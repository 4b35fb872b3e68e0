import meshio
import numpy as np
import pytest
import torch
import trimesh

from flare_mesh.prediction import predict, process_of
from flare_mesh.surrogate import Surrogate
from lpbf import simulate, voxelize


@pytest.fixture
def surrogate(trained):
    return Surrogate.load(trained[0])


@pytest.fixture
def part(tmp_path):
    path = tmp_path / "part.stl"
    trimesh.creation.box((20.0, 12.0, 16.0)).apply_translation((50.0, 9.0, 1.0)).export(path)
    return path


def test_part_with_its_simulation(surrogate, part, tmp_path):
    prediction = predict(surrogate, part, simulate=True)
    truth = simulate(voxelize(part, 4.0), process_of(surrogate.info))
    np.testing.assert_allclose(
        prediction.simulated["displacement"], truth.displacement, rtol=1e-5, atol=1e-9
    )
    difference = prediction.predicted["displacement"].numpy() - truth.displacement
    expected = np.linalg.norm(difference) / np.linalg.norm(truth.displacement)
    assert prediction.relative_l2["displacement"] == pytest.approx(expected, rel=1e-4)

    prediction.save(tmp_path / "part.vtu")
    mesh = meshio.read(tmp_path / "part.vtu")
    assert set(mesh.point_data) == {
        f"{kind}_{name}"
        for kind in ("predicted", "simulated", "error")
        for name in ("displacement", "von_mises")
    }
    np.testing.assert_allclose(mesh.point_data["error_displacement"], difference, atol=1e-7)
    np.testing.assert_allclose(mesh.point_data["simulated_von_mises"], truth.von_mises, rtol=1e-6)
    assert mesh.cells_dict["hexahedron"].shape == (5 * 3 * 4, 8)


def test_without_simulation(surrogate, part, tmp_path):
    prediction = predict(surrogate, part, pitch=2.0)
    assert prediction.mesh.num_nodes == 11 * 7 * 9
    assert prediction.simulate_seconds is None
    assert prediction.relative_l2 == {}
    prediction.save(tmp_path / "p.vtu")
    fields = meshio.read(tmp_path / "p.vtu").point_data
    assert set(fields) == {"predicted_displacement", "predicted_von_mises"}


def test_mesh_file_gives_what_its_part_gives_wherever_it_stands(surrogate, part, tmp_path):
    result = simulate(voxelize(part, 4.0), process_of(surrogate.info))
    result.save(tmp_path / "mesh.vtu")
    mesh = meshio.read(tmp_path / "mesh.vtu")
    mesh.points += [10.0, 20.0, 30.0]
    mesh.write(tmp_path / "moved.vtu")
    from_part = predict(surrogate, part, simulate=True)
    from_mesh = predict(surrogate, tmp_path / "moved.vtu")
    for name, field in from_part.predicted.items():
        torch.testing.assert_close(from_mesh.predicted[name], field, rtol=1e-4, atol=1e-5)
    assert from_mesh.relative_l2 == pytest.approx(from_part.relative_l2, rel=1e-3)
    assert float(from_mesh.mesh.pos[:, 2].min()) == 30.0


def test_bad_input(surrogate, part, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.stl: no such file"):
        predict(surrogate, tmp_path / "none.stl")
    meshio.Mesh(np.eye(3), [("triangle", [[0, 1, 2]])]).write(tmp_path / "flat.vtu")
    with pytest.raises(ValueError, match=r"flat.vtu: expected a mesh of hexahedra \(got \['tri"):
        predict(surrogate, tmp_path / "flat.vtu")
    with pytest.raises(ValueError, match="only a surface .* has a pitch and is simulated"):
        predict(surrogate, tmp_path / "flat.vtu", simulate=True)
    with pytest.raises(ValueError, match="only a surface"):
        predict(surrogate, tmp_path / "flat.vtu", pitch=1.0)

    result = simulate(voxelize(part, 4.0), process_of(surrogate.info))
    cells = [("hexahedron", result.cells)]
    stray = meshio.Mesh(np.vstack([result.points, [[500.0] * 3]]), cells)
    stray.write(tmp_path / "stray.vtu")
    with pytest.raises(ValueError, match=r"stray.vtu: 1 points belong to no cell"):
        predict(surrogate, tmp_path / "stray.vtu")
    flat = {"displacement": result.displacement[:, :2]}
    meshio.Mesh(result.points, cells, point_data=flat).write(tmp_path / "two.vtu")
    with pytest.raises(ValueError, match="'displacement' with 3 components .got 2."):
        predict(surrogate, tmp_path / "two.vtu")
    broken = np.where(np.arange(len(result.points))[:, None] == 5, np.nan, result.points)
    meshio.Mesh(broken, cells).write(tmp_path / "nan.vtu")
    with pytest.raises(ValueError, match=r"nan.vtu: 1 points have NaN"):
        predict(surrogate, tmp_path / "nan.vtu")
    surrogate.info.clear()
    with pytest.raises(ValueError, match="give a pitch"):
        predict(surrogate, part)
