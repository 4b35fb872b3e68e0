import warnings
from dataclasses import replace

import meshio
import numpy as np
import pytest
import torch

from flare_mesh import FLAREOperator, MeshData, Surrogate, predict
from flare_mesh.cases.prediction_files import find_prediction_files
from flare_mesh.cases.prediction_mark import is_prediction
from flare_mesh.io import read_mesh
from flare_mesh.prediction import (
    OutsideTrainingRangeWarning,
    Predictor,
    UnlikeTrainingCasesWarning,
)
from flare_mesh.testing import random_graph
from flare_mesh.training import FieldDataModule, build_module

TINY = {"hidden_channels": 8, "num_layers": 1, "heads": 2, "num_latents": 3}
ignore_range = pytest.mark.filterwarnings(
    "ignore::flare_mesh.prediction.OutsideTrainingRangeWarning"
)


def grid(columns, rows, *, cells="quad"):
    """A flat mesh on [0, 1]^2."""
    x, y = np.meshgrid(np.linspace(0, 1, columns), np.linspace(0, 1, rows), indexing="ij")
    points = np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], 1)
    first = (np.arange(columns - 1)[:, None] * rows + np.arange(rows - 1)).ravel()
    quads = np.stack([first, first + rows, first + rows + 1, first + 1], 1)
    if cells == "triangle":
        quads = np.concatenate([quads[:, :3], quads[:, [0, 2, 3]]])
    return meshio.Mesh(points, [(cells, quads)])


def write_plate(path, columns, rows, *, load=1.0, cells="quad", **fields):
    mesh = grid(columns, rows, cells=cells)
    x, y = mesh.points[:, 0], mesh.points[:, 1]
    centres = mesh.points[mesh.cells[0].data].mean(1)
    mesh.point_data = {
        "thickness": 1 + x,
        "u": load * np.stack([x * y, x + y], 1),
        **{key: value for key, value in fields.items() if value is not None},
    }
    mesh.cell_data = {"stiffness": [centres[:, 0] ** 2], "stress": [load * centres[:, 1]]}
    path.parent.mkdir(parents=True, exist_ok=True)
    mesh.write(path)


def surrogate_of(root, options, *, model=TINY, rollout=None, **data_options):
    """The surrogate that `flare-mesh fit` builds, without training, and its training cases."""
    data = FieldDataModule("mesh_folder", str(root), options=options, **data_options)
    torch.manual_seed(0)
    surrogate = build_module(data, "flare", options=dict(model), rollout=rollout).surrogate
    surrogate.fit_normalizers(data.cases("train"))
    return surrogate, data.cases("train")


@pytest.fixture
def plates(tmp_path):
    for number, (columns, rows) in enumerate([(4, 5), (5, 4), (6, 5), (5, 5)]):
        load = 1.5 + number
        cells = "triangle" if number % 2 else "quad"
        name = f"plates/train/p{number}_load{load}.vtu"
        write_plate(tmp_path / name, columns, rows, load=load, cells=cells)
    return tmp_path / "plates"


NODES = {
    "inputs": ["stiffness", "thickness", "load"],
    "targets": ["u", "stress"],
    "name_pattern": r"load(?P<load>[\d.]+)\b",
    "units": {"u": "mm", "stress": "MPa"},
    "weights": True,
}


@ignore_range
@pytest.mark.parametrize(
    "more", [{}, {"on": "cells"}, {"edges": True}, {"weights": False}], ids=str
)
def test_a_file_is_read_as_in_training(plates, more, tmp_path):
    graph = {"encoder": "graph"} if more.get("edges") else {}
    surrogate, cases = surrogate_of(plates, NODES | more, model=TINY | graph)
    surrogate.save(tmp_path / "run")
    for number, name in enumerate(cases.case_ids):
        cases.edges = bool(graph)
        expected = surrogate.predict(cases[number])
        got = predict(tmp_path / "run", plates / f"{name}.vtu")
        assert got.predicted.keys() == {"u", "stress"}
        for field, values in expected.items():
            torch.testing.assert_close(got.predicted[field], values)
        truth = torch.cat([got.truth["u"], got.truth["stress"]], 1)
        torch.testing.assert_close(truth, cases[number].y)


def test_written_fields(plates, tmp_path):
    surrogate, _ = surrogate_of(plates, NODES)
    file = plates / "train/p0_load1.5.vtu"
    prediction = predict(surrogate, file)
    for suffix in (".vtu", ".vtk", ".xdmf", ".vtp"):
        prediction.save(tmp_path / f"out{suffix}")
        mesh = read_mesh(tmp_path / f"out{suffix}")
        every = {
            f"{kind}{name}" for kind in ("predicted_", "error_", "") for name in NODES["targets"]
        }
        assert mesh.node_fields.keys() == every
        assert mesh.cells.keys() == {"quad"}
        u = prediction.predicted["u"]
        torch.testing.assert_close(mesh.predicted_u, u)
        torch.testing.assert_close(mesh.error_u, u - read_mesh(file).u)
        assert mesh.predicted_stress.shape in [(20,), (20, 1)]
        if suffix in (".vtu", ".vtk"):
            assert mesh.units["predicted_u"] == mesh.units["error_u"] == "mm"
            assert mesh.units["stress"] == "MPa"
    error = float((u - read_mesh(file).u).norm() / read_mesh(file).u.norm())
    assert prediction.relative_l2["u"] == pytest.approx(error, rel=1e-5)


def test_fields_on_cells_are_written_on_cells(plates, tmp_path):
    surrogate, _ = surrogate_of(plates, NODES | {"on": "cells"})
    prediction = predict(surrogate, plates / "train/p1_load2.5.vtu")
    assert prediction.num_points == 24
    prediction.save(tmp_path / "cells.vtu")
    mesh = read_mesh(tmp_path / "cells.vtu")
    assert {"predicted_u", "error_u", "u", "predicted_stress"} <= mesh.cell_fields.keys()
    torch.testing.assert_close(mesh.cell_fields["predicted_u"], prediction.predicted["u"])


def test_numbers_of_the_case_by_value_table_or_name(plates, tmp_path):
    surrogate, _ = surrogate_of(plates, NODES)
    write_plate(tmp_path / "new.vtu", 4, 5, load=2.0)
    with pytest.raises(ValueError, match="does not match the pattern .*; or give load by values"):
        predict(surrogate, tmp_path / "new.vtu")
    by_value = predict(surrogate, tmp_path / "new.vtu", values={"load": 2})
    (tmp_path / "new.vtu").rename(tmp_path / "new_load2.0.vtu")
    by_name = predict(surrogate, tmp_path / "new_load2.0.vtu")
    assert torch.equal(by_value.predicted["u"], by_name.predicted["u"])
    other = predict(surrogate, tmp_path / "new_load2.0.vtu", values={"load": 4.0})
    assert not torch.equal(other.predicted["u"], by_name.predicted["u"])

    (plates / "loads.csv").write_text(
        "case,load\n" + "".join(f"{p.stem},{p.stem[-3:]}\n" for p in plates.glob("*/*.vtu"))
    )
    surrogate, _ = surrogate_of(plates, {**NODES, "name_pattern": None, "table": "loads.csv"})
    file = plates / "train/p0_load1.5.vtu"
    with pytest.raises(ValueError, match=r"no field \['load'\]; it has .*'stiffness'.*by values"):
        predict(surrogate, file)  # its folder has no such table
    by_table = predict(surrogate, file, table=plates / "loads.csv")
    by_value = predict(surrogate, file, values={"load": 1.5})
    assert torch.equal(by_value.predicted["u"], by_table.predicted["u"])
    with pytest.raises(ValueError, match=r"model's inputs \['load', .*got \['lod'\]"):
        predict(surrogate, file, values={"lod": 1.5})
    predictor = Predictor(surrogate)
    found = find_prediction_files([plates], predictor.recipe)
    assert [source.name for source in found][:1] == ["train/p0_load1.5"]
    torch.testing.assert_close(predictor.read(found[0]).data.x, by_x(file, 1.5))


def by_x(file, load):
    """Stiffness, averaged to the nodes, thickness and load."""
    mesh = read_mesh(file)
    stiffness = mesh.cell_to_node(mesh.cell_fields["stiffness"][:, None])
    return torch.cat([stiffness, mesh.thickness[:, None], torch.full((20, 1), load)], 1)


def test_batches_give_the_prediction_of_each_mesh(plates):
    surrogate, _ = surrogate_of(plates, NODES)
    predictor = Predictor(surrogate, batch_size=3)
    sources = find_prediction_files([plates], predictor.recipe)
    found = list(predictor.run(sources))
    assert [source for source, _ in found] == sources
    for source, prediction in found:
        alone = predict(surrogate, source.file)
        torch.testing.assert_close(prediction.predicted["u"], alone.predicted["u"])
        assert prediction.name == str(source.file)


def test_a_mesh_in_memory(plates):
    surrogate, _ = surrogate_of(plates, NODES)
    file = plates / "train/p0_load1.5.vtu"
    expected = predict(surrogate, file).predicted["u"]
    mesh = read_mesh(file)
    got = predict(surrogate, mesh, values={"load": 1.5})
    assert torch.equal(got.predicted["u"], expected)
    bare = MeshData(mesh.pos, quad=mesh.quad, x=by_x(file, 1.5))
    assert torch.equal(predict(surrogate, bare).predicted["u"], expected)
    assert predict(surrogate, bare).truth == {}


def test_a_cloud_of_points_in_the_plane(tmp_path):
    """A surrogate without any record of its data, as built by hand."""
    torch.manual_seed(0)
    model = FLAREOperator(0, 1, pos_dim=2, **TINY)
    surrogate = Surrogate(model, {"p": 1})
    points = np.random.default_rng(0).random((9, 2))
    meshio.Mesh(np.pad(points, ((0, 0), (0, 1))), []).write(tmp_path / "cloud.vtu")
    expected = surrogate.model(None, torch.tensor(points, dtype=torch.float32))
    got = predict(surrogate, tmp_path / "cloud.vtu").predicted["p"]
    torch.testing.assert_close(got, expected.detach())
    meshio.Mesh(np.random.default_rng(0).random((9, 3)), []).write(tmp_path / "solid.vtu")
    with pytest.raises(ValueError, match=r"solid.vtu: expected coordinates in 2 dimensions"):
        predict(surrogate, tmp_path / "solid.vtu")


def test_warns_once_outside_the_training_range(plates, tmp_path):
    surrogate, _ = surrogate_of(plates, NODES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predict(surrogate, plates / "train/p2_load3.5.vtu")
    write_plate(tmp_path / "load9.0.vtu", 9, 9, load=9.0, thickness=np.full(81, 3.0))
    with pytest.warns(OutsideTrainingRangeWarning) as warned:
        predict(surrogate, tmp_path / "load9.0.vtu")
    assert [str(one.message) for one in warned] == [
        f"{tmp_path / 'load9.0.vtu'}: outside of the training range: 81 nodes, trained on 20 to "
        f"30; thickness 3, trained on 1 to 2; load 9, trained on 1.5 to 4.5"
    ]


PLANE = [{"geometry_features": {"kind": "plane", "weight": True}}]


@pytest.mark.parametrize("on", ["nodes", "cells"])
def test_geometry_features_are_those_of_training(plates, tmp_path, on):
    kind = "plane" if on == "nodes" else "points"
    features = [{"geometry_features": {"kind": kind, "weight": True}}]
    surrogate, cases = surrogate_of(plates, NODES | {"on": on}, features=features)
    assert surrogate.inputs == {"stiffness": 1, "thickness": 1, "load": 1}
    surrogate.save(tmp_path / "run")
    predictor = Predictor(tmp_path / "run")
    for number, name in enumerate(cases.case_ids):
        [files] = find_prediction_files([plates / f"{name}.vtu"], predictor.recipe)
        case = predictor.read(files)  # no warning
        assert torch.equal(case.data.x, cases[number].x)
        assert torch.equal(case.data.pos, cases[number].pos)


def test_a_moved_mesh_has_the_same_prediction(plates, tmp_path):
    surrogate, _ = surrogate_of(plates, NODES, features=PLANE)
    file = plates / "train/p2_load3.5.vtu"
    mesh = meshio.read(file)
    mesh.points += [256.0, -64.0, 8.0]
    mesh.write(tmp_path / "moved.vtu")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        here = predict(surrogate, file).predicted
        moved = predict(surrogate, tmp_path / "moved.vtu", values={"load": 3.5}).predicted
    for name, values in here.items():
        torch.testing.assert_close(moved[name], values, rtol=1e-5, atol=1e-5)


def test_another_size_is_named(plates, tmp_path):
    surrogate, _ = surrogate_of(plates, NODES, features=PLANE)
    mesh = meshio.read(plates / "train/p2_load3.5.vtu")
    mesh.points *= [3.0, 1.0, 1.0]
    mesh.write(tmp_path / "long_load2.0.vtu")
    with pytest.warns(OutsideTrainingRangeWarning) as warned:
        predict(surrogate, tmp_path / "long_load2.0.vtu")
    assert str(warned[0].message).endswith(
        "training range: size along x 3, trained on 1; area 3, trained on 1"
    )


@ignore_range
def test_geometry_features_of_a_time_series(series, tmp_path):
    from flare_mesh.training import RolloutConfig

    surrogate, cases = surrogate_of(series, SERIES, features=PLANE, rollout=RolloutConfig())
    assert surrogate.inputs == {"T_in": 2, "thickness_in": 2}
    expected = surrogate.predict_prepared([cases[1]])[0]["T_out"]
    prediction = predict(surrogate, series / "train/s1")
    torch.testing.assert_close(prediction.predicted["T"], expected)


def test_bad_meshes(plates, tmp_path):
    surrogate, _ = surrogate_of(plates, NODES)
    file = tmp_path / "a_load2.0.vtu"
    write_plate(file, 4, 5, thickness=np.ones((20, 2)))
    with pytest.raises(
        ValueError, match=r"expected 'thickness' of shape \[20, 1\] \(got \[20, 2\]\)"
    ):
        predict(surrogate, file)
    write_plate(file, 4, 5, thickness=np.r_[np.nan, np.ones(19)])
    with pytest.raises(ValueError, match=r"load2.0.vtu: 1 values of 'thickness' are NaN"):
        predict(surrogate, file)
    grid(4, 5).write(file)
    with pytest.raises(
        ValueError,
        match=r"load2.0.vtu: no field \['stiffness', 'thickness'\]; .*by values",
    ):
        predict(surrogate, file)
    file.write_bytes((plates / "train/p0_load1.5.vtu").read_bytes()[:900])
    with pytest.raises(ValueError, match=r"load2.0.vtu: cannot be read as a mesh"):
        predict(surrogate, file)
    with pytest.raises(ValueError, match="simulate: the model was trained on mesh files"):
        predict(surrogate, file, simulate=True)
    with pytest.raises(ValueError, match="num_steps: expected at least 1, and a model"):
        predict(surrogate, file, num_steps=3)
    with pytest.raises(ValueError, match="expected one mesh or time series .got 4."):
        predict(surrogate, plates)
    predictor = Predictor(surrogate)
    sources = find_prediction_files([file, plates / "train/p0_load1.5.vtu"], predictor.recipe)
    with pytest.warns(UserWarning, match=r"left out: .*a_load2.0.vtu: cannot be read"):
        assert len(list(predictor.run(sources, skip_bad=True))) == 1
    with (
        pytest.warns(UserWarning, match="left out"),
        pytest.raises(ValueError, match="none of the 1 meshes can be used"),
    ):
        list(predictor.run(sources[:1], skip_bad=True))


@ignore_range
def test_inputs_without_a_logarithm_leave_out_their_mesh_alone(plates, tmp_path):
    data = FieldDataModule(
        "mesh_folder", str(plates), options={"inputs": ["thickness"], "targets": ["u"]}
    )
    surrogate = build_module(data, options=dict(TINY), normalizers={"x": "log"}).surrogate
    surrogate.fit_normalizers(data.cases("train"))
    write_plate(tmp_path / "bad.vtu", 4, 5, thickness=-np.ones(20))
    predictor = Predictor(surrogate)
    sources = find_prediction_files(
        [tmp_path / "bad.vtu", plates / "train/p0_load1.5.vtu"], predictor.recipe
    )
    with pytest.warns(UserWarning, match="left out: .*bad.*expected positive values"):
        found = list(predictor.run(sources, skip_bad=True))
    assert len(found) == 1
    assert "p0_load1.5" in found[0][1].name


@ignore_range
def test_one_step_of_a_file(plates, tmp_path):
    write_plate(plates / "train/p9_load2.0.xdmf", 4, 5)
    surrogate, _ = surrogate_of(plates, {"inputs": ["thickness"], "targets": ["u"], "step": 0})
    mesh = grid(4, 5)
    with meshio.xdmf.TimeSeriesWriter(tmp_path / "run.xdmf", data_format="XML") as writer:
        writer.write_points_cells(mesh.points, mesh.cells)
        for step in range(2):
            writer.write_data(0.5 * step, point_data={"thickness": 1 + mesh.points[:, 0] + step})
    inputs = [Predictor(surrogate), Predictor(surrogate, step=-1)]
    thickness = [
        float(one.read(find_prediction_files([tmp_path / "run.xdmf"], one.recipe)[0]).data.x.max())
        for one in inputs
    ]
    assert thickness == [2.0, 3.0]
    surrogate, _ = surrogate_of(plates, {"inputs": ["thickness"], "targets": ["u"]})
    with pytest.raises(ValueError, match=r"run.xdmf.*has 2 time steps, .* their times are 0, 0.5"):
        predict(surrogate, tmp_path / "run.xdmf")
    (tmp_path / "case.foam").touch()
    with pytest.raises(ValueError, match="case.foam: .* convert the case by foamToVTK"):
        predict(surrogate, tmp_path / "case.foam")


def test_out_of_memory_is_reported(plates, monkeypatch):
    surrogate, _ = surrogate_of(plates, NODES)

    def fail(*args, **kwargs):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")

    monkeypatch.setattr(surrogate.model, "forward", fail)
    with pytest.raises(ValueError, match="not enough memory for a batch of 20 nodes; lower"):
        predict(surrogate, plates / "train/p0_load1.5.vtu")


SERIES = {"inputs": ["T", "thickness"], "targets": ["T"], "window": [2, 2], "mode": "rollout"}


@pytest.fixture
def series(tmp_path):
    for number in range(3):
        for step in range(6):
            write_plate(
                tmp_path / f"series/train/s{number}/step_{step}.vtu",
                4 + number,
                5,
                T=np.full((4 + number) * 5, 10.0 * number + step),
            )
    return tmp_path / "series"


@ignore_range
@pytest.mark.parametrize("steps", ["all at once", "one by one", "with history"])
def test_time_series(series, tmp_path, steps):
    from flare_mesh.training import RolloutConfig

    options = {**SERIES, "inputs": ["T"], "units": {"T": "K"}}
    rollout = None if steps == "all at once" else RolloutConfig()
    model = {**TINY, "history": "fading"} if steps == "with history" else TINY
    surrogate, cases = surrogate_of(series, options, rollout=rollout, model=model)
    surrogate.save(tmp_path / "run")
    expected = surrogate.predict(cases[1])["T_out"]
    prediction = predict(tmp_path / "run", series / "train/s1")
    torch.testing.assert_close(prediction.predicted["T"], expected)
    assert torch.equal(prediction.truth["T"], cases[1].y)
    assert prediction.times == (2.0, 3.0)
    with pytest.raises(ValueError, match="expected .pvd for a time series of 2 steps"):
        prediction.save(tmp_path / "out.vtu")
    prediction.save(tmp_path / "out.pvd")
    second = read_mesh(tmp_path / "out/out_0001.vtu")
    torch.testing.assert_close(second.predicted_T, expected[:, 1])
    torch.testing.assert_close(second.error_T, expected[:, 1] - 13.0)
    assert second.units["predicted_T"] == "K"


@ignore_range
def test_more_steps_than_in_training(series, tmp_path):
    from flare_mesh.training import RolloutConfig

    surrogate, cases = surrogate_of(series, {**SERIES, "inputs": ["T"]}, rollout=RolloutConfig())
    expected = surrogate.predict(cases[0], num_steps=7)["T_out"]
    prediction = predict(surrogate, series / "train/s0", num_steps=7)
    torch.testing.assert_close(prediction.predicted["T"], expected)
    assert prediction.times == (2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
    assert prediction.truth["T"][0].tolist() == [2.0, 3.0, 4.0, 5.0]
    error = (expected[:, :4] - prediction.truth["T"]).norm() / prediction.truth["T"].norm()
    assert prediction.relative_l2["T"] == pytest.approx(float(error), rel=1e-5)
    prediction.save(tmp_path / "out.pvd")
    last = read_mesh(tmp_path / "out/out_0006.vtu")
    assert last.node_fields.keys() == {"predicted_T"}
    torch.testing.assert_close(last.predicted_T, expected[:, 6])

    # The written collection is a time series that can be predicted further.
    (tmp_path / "more.pvd").write_text(
        '<VTKFile type="Collection"><Collection>'
        '<DataSet timestep="0.5" file="series/train/s0/step_0.vtu"/>'
        '<DataSet timestep="0.75" file="series/train/s0/step_1.vtu"/>'
        "</Collection></VTKFile>"
    )
    prediction = predict(surrogate, tmp_path / "more.pvd")
    torch.testing.assert_close(prediction.predicted["T"], expected[:, :2])
    assert prediction.times == (1.0, 1.25)
    with pytest.raises(ValueError, match=r"needs 2 steps of a time series \(got 1\)"):
        predict(surrogate, series / "train/s0/step_0.vtu")
    write_plate(series / "train/s0/step_1.vtu", 4, 4, T=np.zeros(16))
    with pytest.raises(
        ValueError, match="the mesh changes within the series, from 16 to 20 points"
    ):
        predict(surrogate, series / "train/s0")


def test_predictions_do_not_depend_on_chunks_and_batches(monkeypatch):
    torch.manual_seed(0)
    surrogate = Surrogate(FLAREOperator(2, 3, **TINY), {"u": 3})
    cases = [random_graph(n, 2, seed=n) for n in (7, 50, 120)]
    for case in cases:
        case.y = torch.randn(len(case.pos), 3)
    surrogate.fit_normalizers(cases)
    whole = [surrogate(case).detach() for case in cases]
    monkeypatch.setattr("flare_mesh.surrogate.surrogate._CHUNK_SIZE", 16)
    for fields, expected in zip(surrogate.predict_prepared(cases), whole, strict=True):
        torch.testing.assert_close(fields["u"], expected)
    torch.testing.assert_close(surrogate.predict(cases[2])["u"], whole[2])


def test_bands_and_a_warning_of_a_foreign_shape(plates, tmp_path):
    surrogate, cases = surrogate_of(plates, NODES)
    surrogate.calibrate([cases[i] for i in range(4)])
    file = plates / "train/p0_load1.5.vtu"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prediction = predict(surrogate, file)
    assert prediction.band.keys() == {"u", "stress"}
    assert (prediction.coverage, prediction.is_unlike) == (0.9, False)
    band = surrogate.calibration.bands["u"].half_width(prediction.predicted["u"])
    torch.testing.assert_close(prediction.band["u"], band)
    for suffix in (".vtu", ".xdmf", ".vtp"):
        prediction.save(tmp_path / f"out{suffix}")
        assert is_prediction(tmp_path / f"out{suffix}")
        mesh = read_mesh(tmp_path / f"out{suffix}")
        torch.testing.assert_close(mesh.u_band.reshape(-1, 1), band)
    mesh = read_mesh(tmp_path / "out.vtu")
    assert float(mesh.ood_score) == pytest.approx(prediction.ood_score)
    assert mesh.units["u_band"] == "mm"

    shape = surrogate.calibration.unlikeness["shape"]
    surrogate.calibration.unlikeness["shape"] = replace(shape, center=shape.center + 1)
    with pytest.warns(UnlikeTrainingCasesWarning, match="in shape: .* times the usual distance"):
        prediction = predict(surrogate, file)
    assert prediction.is_unlike
    assert prediction.ood_kind == "shape"
