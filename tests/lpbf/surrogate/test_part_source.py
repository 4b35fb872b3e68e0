import warnings
from dataclasses import replace

import meshio
import numpy as np
import pytest
import torch
import trimesh

import lpbf
from flare_mesh import Surrogate, predict
from flare_mesh.io import MeshFileWarning
from lpbf import Process, simulate, voxelize

pytestmark = pytest.mark.filterwarnings("ignore::flare_mesh.prediction.OutsideTrainingRangeWarning")


@pytest.fixture
def surrogate(trained):
    return Surrogate.load(trained[0])


def process_of(surrogate):
    return Process.from_dict(surrogate.info["process"])


@pytest.fixture
def part(tmp_path):
    path = tmp_path / "part.stl"
    trimesh.creation.box((20.0, 12.0, 16.0)).apply_translation((50.0, 9.0, 1.0)).export(path)
    return path


def test_part_with_its_simulation(surrogate, part, tmp_path):
    prediction = predict(surrogate, part, simulate=True)
    truth = simulate(voxelize(part, 4.0), process_of(surrogate))
    np.testing.assert_allclose(
        prediction.truth["displacement"], truth.displacement, rtol=1e-5, atol=1e-9
    )
    difference = prediction.predicted["displacement"].numpy() - truth.displacement
    expected = np.linalg.norm(difference) / np.linalg.norm(truth.displacement)
    assert prediction.relative_l2["displacement"] == pytest.approx(expected, rel=1e-4)

    prediction.save(tmp_path / "part.vtu")
    mesh = meshio.read(tmp_path / "part.vtu")
    assert set(mesh.point_data) == {
        f"{kind}{name}"
        for kind in ("predicted_", "", "error_")
        for name in ("displacement", "von_mises")
    }
    np.testing.assert_allclose(mesh.point_data["error_displacement"], difference, atol=1e-7)
    np.testing.assert_allclose(mesh.point_data["von_mises"], truth.von_mises, rtol=1e-6)
    assert mesh.cells_dict["hexahedron"].shape == (5 * 3 * 4, 8)


def test_layers_of_another_height(surrogate, part):
    with pytest.warns(lpbf.PartWarning, match="in layers of 8 mm, but the training data have 4"):
        prediction = predict(surrogate, part, simulate=True, layer_height=8.0)
    process = replace(process_of(surrogate), layer_height=8.0)
    truth = simulate(voxelize(part, 4.0), process)
    np.testing.assert_allclose(
        prediction.truth["displacement"], truth.displacement, rtol=1e-5, atol=1e-9
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", lpbf.PartWarning)
        predict(surrogate, part, simulate=True, layer_height=4.0)
    with pytest.raises(ValueError, match=r"layer_height = 8 mm applies only to a simulation; add"):
        predict(surrogate, part, layer_height=8.0)
    with pytest.raises(ValueError, match="layer_height = 6.0 mm is not a multiple"):
        predict(surrogate, part, simulate=True, layer_height=6.0)


def test_a_process_with_cuts(surrogate, part):
    release = [{"box": [[-10.0, -6.0, 0.0], [2.0, 6.0, 0.0]]}]
    surrogate.info = {
        **surrogate.info, "process": {**surrogate.info["process"], "release": release}
    }  # fmt: skip
    prediction = predict(surrogate, part, simulate=True)
    truth = simulate(voxelize(part, 4.0), process_of(surrogate))
    assert truth.release[0].on_plate.any()
    np.testing.assert_allclose(
        prediction.truth["displacement"], truth.displacement, rtol=1e-5, atol=1e-9
    )


def test_without_simulation(surrogate, part, tmp_path):
    prediction = predict(surrogate, part, pitch=2.0)
    assert prediction.num_points == 11 * 7 * 9
    assert prediction.simulate_seconds is None
    assert prediction.relative_l2 == {}
    prediction.save(tmp_path / "p.vtu")
    fields = meshio.read(tmp_path / "p.vtu").point_data
    assert set(fields) == {"predicted_displacement", "predicted_von_mises"}


def test_a_part_in_inches(surrogate, part, tmp_path):
    trimesh.load_mesh(part).apply_scale(1 / 25.4).export(tmp_path / "inch.stl")
    prediction = predict(surrogate, tmp_path / "inch.stl", unit="inch")
    np.testing.assert_allclose(prediction.mesh.pos, voxelize(part, 4.0).points, atol=1e-5)
    lying = predict(surrogate, part, place="orient")
    expected = voxelize(part, 4.0, place="orient").points
    np.testing.assert_allclose(lying.mesh.pos, expected, atol=1e-5)
    assert expected[:, 2].max() == 12  # 20 x 12 x 16 mm


@pytest.mark.filterwarnings("ignore::lpbf.PartWarning")
def test_islands_in_powder_on_request_or_as_in_training(surrogate, tmp_path):
    foot = trimesh.creation.box((20.0, 12.0, 16.0))
    bar = trimesh.creation.box((12.0, 12.0, 8.0)).apply_translation((16.0, 0.0, 4.0))
    hook = trimesh.creation.box((4.0, 12.0, 4.0)).apply_translation((20.0, 0.0, -2.0))
    trimesh.boolean.union([foot, bar, hook]).export(tmp_path / "hook.stl")
    part = tmp_path / "hook.stl"
    dropped = predict(surrogate, part)
    held = predict(surrogate, part, islands="powder", simulate=True)
    assert held.num_points > dropped.num_points
    truth = simulate(
        voxelize(part, 4.0, islands="powder"),
        replace(process_of(surrogate), islands="powder"),
    )
    np.testing.assert_allclose(held.truth["displacement"], truth.displacement, rtol=1e-5, atol=1e-8)
    process = {**surrogate.info["process"], "islands": "powder"}
    surrogate.info = {**surrogate.info, "process": process}
    assert predict(surrogate, part).num_points == held.num_points
    surrogate.info["process"] = {**process, "islands": "refuse", "supports": {"angle": 40.0}}
    assert predict(surrogate, part).num_points == held.num_points
    with pytest.raises(ValueError, match="expected islands or generated supports"):
        predict(surrogate, part, islands="drop")


def test_a_mesh_file_at_any_place_gives_the_prediction_of_its_part(surrogate, part, tmp_path):
    result = simulate(voxelize(part, 4.0), process_of(surrogate))
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


def test_bad_parts(surrogate, part, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.stl: no such file"):
        predict(surrogate, tmp_path / "none.stl")
    meshio.Mesh(np.eye(3), [("triangle", [[0, 1, 2]])]).write(tmp_path / "flat.vtu")
    with pytest.raises(ValueError, match=r"flat.vtu: expected a mesh of hexahedra \(got \['tri"):
        predict(surrogate, tmp_path / "flat.vtu")
    with pytest.raises(ValueError, match="layer_height, unit and place apply only to a part"):
        predict(surrogate, tmp_path / "flat.vtu", simulate=True)
    with pytest.raises(ValueError, match="apply only to a part"):
        predict(surrogate, tmp_path / "flat.vtu", pitch=1.0)

    result = simulate(voxelize(part, 4.0), process_of(surrogate))
    cells = [("hexahedron", result.cells)]
    stray = meshio.Mesh(np.vstack([result.points, [[500.0] * 3]]), cells)
    stray.write(tmp_path / "stray.vtu")
    with pytest.warns(MeshFileWarning, match=r"stray.vtu: 1 of 121 nodes belong to no cell"):
        assert predict(surrogate, tmp_path / "stray.vtu").num_points == 120
    flat = {"displacement": result.displacement[:, :2]}
    meshio.Mesh(result.points, cells, point_data=flat).write(tmp_path / "two.vtu")
    with pytest.raises(ValueError, match=r"'displacement' of shape \[120, 3\] \(got \[120, 2\]"):
        predict(surrogate, tmp_path / "two.vtu")
    broken = np.where(np.arange(len(result.points))[:, None] == 5, np.nan, result.points)
    meshio.Mesh(broken, cells).write(tmp_path / "nan.vtu")
    with pytest.raises(
        ValueError, match=r"nan.vtu: expected finite coordinates \(got NaN .* at 1 of 120"
    ):
        predict(surrogate, tmp_path / "nan.vtu")
    del surrogate.info["process"]
    with pytest.raises(ValueError, match="the process of the training data is unknown"):
        predict(surrogate, part, simulate=True)
    del surrogate.info["pitch"]
    with pytest.raises(ValueError, match="give a pitch"):
        predict(surrogate, part)
