import os
import pickle

import h5py
import meshio
import numpy as np
import pytest
import pyvista
import torch
from torch_geometric.loader import DataLoader

from flare_mesh import MeshData
from flare_mesh.data.transforms import RandomNodes
from flare_mesh.datasets import MeshFolder
from flare_mesh.io import MeshFileWarning, write_mesh
from flare_mesh.prediction import Prediction


def plate(cells, *, kind="quad", shift=0.0):
    """A plate of ``cells`` squares or twice as many triangles, with fields on nodes and cells."""
    grid = pyvista.ImageData(
        dimensions=(cells + 1, cells + 1, 1), spacing=(1 / cells, 1 / cells, 1)
    )
    mesh = grid.cast_to_unstructured_grid()
    mesh = mesh if kind == "quad" else mesh.triangulate()
    data = MeshData.from_pyvista(mesh, edges=False)
    data.load = data.pos[:, :1] + shift
    data.wind = 2 * data.pos
    data.cell_stress = data.centroids[:, 1]
    return data


@pytest.fixture
def root(tmp_path):
    for number in range(10):
        kind = ("quad", "triangle")[number % 2]
        suffix = {4: ".vtk", 5: ".xdmf"}.get(number, ".vtu")
        mesh = plate(2 + number, kind=kind, shift=number)
        write_mesh(tmp_path / "meshes" / f"plate_u{number / 2}_n{number}{suffix}", mesh)
    return tmp_path / "meshes"


def test_folder_becomes_x_and_y(root):
    train = MeshFolder(root, inputs=["wind", "load"], targets=["stress"])
    test = MeshFolder(root, "test", inputs=["wind", "load"], targets=["stress"])
    assert (len(train), len(test)) == (8, 2)
    assert not set(train.cases) & set(test.cases)
    assert train.input_channels == {"wind": 3, "load": 1}
    assert train.target_channels == {"stress": 1}
    for case in [*train, *test]:
        number = int(case.case_id.rsplit("n", 1)[1])
        expected = plate(2 + number, kind=("quad", "triangle")[number % 2], shift=number)
        assert torch.equal(case.x, torch.cat([expected.wind, expected.load], 1))
        torch.testing.assert_close(case.y[:, 0], expected.cell_to_node(expected.cell_stress))
        assert torch.equal(case.cell_index, expected.cell_index)


def test_batches_in_workers_and_transforms(root):
    data = MeshFolder(root, None, targets=["wind"], weights=True, edges=True)
    assert data[0].x is None
    batch = next(iter(DataLoader(data, batch_size=10, num_workers=2)))
    assert batch.num_graphs == 10
    assert torch.equal(batch.y, 2 * batch.pos)
    assert float(batch.weight.sum()) == pytest.approx(10.0)
    assert bool((batch.batch[batch.edge_index[0]] == batch.batch[batch.edge_index[1]]).all())
    few = MeshFolder(root, None, targets=["wind"], transform=RandomNodes(5))
    assert few[3].y.shape == (5, 3)
    assert len(pickle.loads(pickle.dumps(data))) == 10


def test_files_are_read_again_only_if_they_changed(root, monkeypatch):
    MeshFolder(root, None, targets=["wind"], workers=2)
    read = []
    import flare_mesh.cases.recipe as recipe

    real = recipe.read_mesh
    monkeypatch.setattr(
        recipe, "read_mesh", lambda path, **k: read.append(path.name) or real(path, **k)
    )
    again = MeshFolder(root, None, targets=["wind"])
    assert not read
    changed = root / "plate_u0.0_n0.vtu"
    write_mesh(changed, plate(7))
    (root / "plate_u4.5_n9.vtu").unlink()
    again = MeshFolder(root, None, targets=["wind"])
    assert read == [changed.name]
    assert len(again) == 9
    assert again[0].num_nodes == 64
    # A damaged cached file is replaced.
    cached = next((root / "processed").glob("*/plate_u0.0_n0.vtu.npz"))
    cached.write_bytes(cached.read_bytes()[:300])
    assert again[0].num_nodes == 64
    assert len(read) == 2
    # Other fields have a cache of their own.
    MeshFolder(root, None, targets=["stress"])
    assert len(read) == 2 + 9
    assert not list((root / "processed").rglob("*u4.5_n9*"))


def test_cells_as_points(root):
    data = MeshFolder(root, None, inputs=["wind"], targets=["stress"], on="cells", weights=True)
    case = data[0]
    expected = plate(2)
    torch.testing.assert_close(case.pos, expected.centroids)
    torch.testing.assert_close(case.y[:, 0], expected.cell_stress)
    torch.testing.assert_close(case.x, 2 * expected.centroids)
    assert float(case.weight.sum()) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="edges connect nodes"):
        MeshFolder(root, targets=["stress"], on="cells", edges=True)


def test_numbers_of_the_case(root):
    (root / "runs.csv").write_text(
        "name,temperature,note\n"
        + "".join(f"plate_u{n / 2}_n{n},{20 + n},some text\n" for n in range(10))
    )
    data = MeshFolder(
        root,
        None,
        inputs=["speed", "load", "temperature"],
        targets=["wind"],
        name_pattern=r"_u(?P<speed>[\d.]+)_",
        table="runs.csv",
    )
    for number, case in enumerate(data):
        assert case.x[:, 0].unique().tolist() == [number / 2]
        assert case.x[:, 2].unique().tolist() == [20 + number]
    assert next(iter(DataLoader(data, batch_size=10))).speed.shape == (10, 1)


def test_field_data(tmp_path):
    for number in range(3):
        grid = plate(2).to_pyvista()
        grid.field_data["load"] = [1.0 * number, 7.0]
        del grid.point_data["load"]
        grid.save(tmp_path / f"{number}.vtu")
    data = MeshFolder(tmp_path, None, inputs=["load"], targets=["wind"])
    assert data[2].x.tolist() == [[2.0, 7.0]] * 9


def test_folders_of_splits(tmp_path):
    for number in range(4):
        write_mesh(tmp_path / ("train" if number else "test") / f"{number}.vtu", plate(2))
    train = MeshFolder(tmp_path, targets=["wind"])
    assert list(train.cases) == ["train/1", "train/2", "train/3"]
    assert list(MeshFolder(tmp_path, "test", targets=["wind"]).cases) == ["test/0"]
    with pytest.raises(FileNotFoundError, match="has a folder 'train' but no folder 'val'"):
        MeshFolder(tmp_path, "val", targets=["wind"])
    with pytest.raises(ValueError, match="leave out 'fractions'"):
        MeshFolder(tmp_path, targets=["wind"], fractions={"train": 1.0})


def moving(path, steps):
    for step in range(steps):
        data = plate(2)
        data.u = data.pos[:, :2] + 10 * step
        write_mesh(path(step), data)


def expect_windows(data, steps):
    assert len(data) == steps - 2
    for start, case in enumerate(data):
        base = plate(2).pos[:, :2]
        assert torch.equal(case.x, torch.cat([base + 10 * start, base + 10 * (start + 1)], 1))
        assert torch.equal(case.y, base + 10 * (start + 2))
    assert data.target_channels == {"u_out": 2}
    assert data.input_channels == {"u_in": 4}


def test_numbered_files(tmp_path):
    moving(lambda step: tmp_path / f"flow_{step:03d}.vtu", 5)
    options = {"inputs": ["u"], "targets": ["u"]}
    data = MeshFolder(tmp_path, None, window=(2, 1), **options)
    expect_windows(data, 5)
    assert list(data.cases) == ["flow_t0", "flow_t1", "flow_t2"]
    assert data[0].time.tolist() == [1.0]
    rollout = MeshFolder(tmp_path, None, window=(1, 4), mode="rollout", **options)
    assert len(rollout) == 1
    assert rollout[0].y.shape == (9, 8)
    with pytest.raises(ValueError, match=r"'flow': expected a window .* at most 5"):
        MeshFolder(tmp_path, None, window=(3, 3), **options)
    write_mesh(tmp_path / "flow_002.vtu", plate(3))
    with pytest.raises(ValueError, match=r"flow_002\.vtu: no field \['u'\]"):
        MeshFolder(tmp_path, None, window=(2, 1), **options)


def test_mesh_that_changes_in_time(tmp_path):
    for step in range(3):
        write_mesh(tmp_path / f"{step}.vtu", plate(2 + step // 2))
    data = MeshFolder(tmp_path, None, inputs=["wind"], targets=["wind"], window=(1, 1))
    assert len(data[0].pos) == 9
    with pytest.raises(ValueError, match="changes within the series, from 9 to 16 nodes"):
        data[1]


def test_collections(tmp_path):
    moving(lambda step: tmp_path / "parts" / f"{step}_flow.vtu", 4)
    entries = "".join(
        f'<DataSet timestep="{0.5 * step}" part="0" file="parts/{step}_flow.vtu"/>'
        for step in (2, 0, 3, 1)
    )
    (tmp_path / "run.pvd").write_text(
        f'<VTKFile type="Collection"><Collection>{entries}</Collection></VTKFile>'
    )
    data = MeshFolder(tmp_path, None, inputs=["u"], targets=["u"], window=(2, 1))
    expect_windows(data, 4)
    assert data[1].time.tolist() == [1.0]
    # Without a window each file is a case, but the collection is not.
    assert len(MeshFolder(tmp_path, None, targets=["u"])) == 4


def test_xdmf_series(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where meshio writes the HDF5 file
    mesh = plate(2).to_meshio()
    with meshio.xdmf.TimeSeriesWriter(tmp_path / "run.xdmf") as writer:
        writer.write_points_cells(mesh.points, mesh.cells)
        for step in range(4):
            writer.write_data(0.5 * step, point_data={"u": mesh.points[:, :2] + 10 * step})
    data = MeshFolder(tmp_path, None, inputs=["u"], targets=["u"], window=(2, 1))
    expect_windows(data, 4)
    assert data[0].time.tolist() == [0.5]


def write_steps(path, steps):
    """An XDMF file whose field u is 10 at each node times the step."""
    mesh = plate(2).to_meshio()
    with meshio.xdmf.TimeSeriesWriter(path) as writer:
        writer.write_points_cells(mesh.points, mesh.cells)
        for step in range(steps):
            writer.write_data(0.5 * step, point_data={"u": mesh.points[:, :1] * 0 + 10 * step})


def test_one_step_of_each_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where meshio writes the HDF5 file
    write_steps(tmp_path / "a.xdmf", 3)
    write_steps(tmp_path / "b.xdmf", 2)
    data = plate(2)
    data.u = torch.full((9, 1), 7.0)
    write_mesh(tmp_path / "c.vtu", data)
    for step, expected in ((-1, [20.0, 10.0, 7.0]), (0, [0.0, 0.0, 7.0])):
        data = MeshFolder(tmp_path, None, targets=["u"], step=step)
        assert [case.y.unique().tolist() for case in data] == [[value] for value in expected]
        assert data.recipe().step == step
    with pytest.raises(ValueError, match=r"a\.xdmf.*has 3 time steps, .* times are 0, 0.5, 1"):
        MeshFolder(tmp_path, None, targets=["u"])
    with pytest.raises(ValueError, match=r"b\.xdmf.*expected a step from -2 to 1 \(got 2\)"):
        MeshFolder(tmp_path, None, targets=["u"], step=2)
    with pytest.raises(ValueError, match=r"c\.vtu.*expected a step from -1 to 0 \(got 2\)"):
        MeshFolder(tmp_path, None, targets=["u"], step=2, pattern="*.vtu")
    with pytest.raises(ValueError, match="a window takes all time steps; leave out 'step'"):
        MeshFolder(tmp_path, None, targets=["u"], step=2, window=(1, 1))


def write_exodus(path, times):
    """A tetrahedron with the field T, 100 times the time plus 0 to 3 at its nodes."""
    names = np.array([list("T".ljust(33, "\0"))], "S1")
    with h5py.File(path, "w") as file:
        file["connect1"] = np.array([[1, 2, 3, 4]], "i4")
        file["connect1"].attrs["elem_type"] = np.bytes_("TETRA4")
        file["eb_prop1"] = np.array([1], "i4")
        for axis, name in enumerate("xyz"):
            file[f"coord{name}"] = np.eye(4)[:, axis]
        file["name_nod_var"] = names
        file["time_whole"] = np.array(times)
        file["vals_nod_var1"] = 100 * np.array(times)[:, None] + np.arange(4.0)


def test_series_in_exodus_files(tmp_path):
    write_exodus(tmp_path / "a.e", [0.0, 0.5, 1.0])
    write_exodus(tmp_path / "b.exo", [0.0, 0.5, 1.0])
    data = MeshFolder(tmp_path, None, inputs=["T"], targets=["T"], window=(1, 1))
    assert list(data.cases) == ["a_t0", "a_t1", "b_t0", "b_t1"]
    assert data[1].x[:, 0].tolist() == [50.0, 51.0, 52.0, 53.0]
    assert data[1].y[:, 0].tolist() == [100.0, 101.0, 102.0, 103.0]
    assert data[1].time.tolist() == [0.5]
    last = MeshFolder(tmp_path, None, targets=["T"], step=-1)
    assert [case.y[0].tolist() for case in last] == [[100.0], [100.0]]
    with pytest.raises(ValueError, match=r"a\.e: .*has 3 time steps.*their times are 0, 0.5, 1"):
        MeshFolder(tmp_path, None, targets=["T"])
    write_exodus(tmp_path / "c.e", [0.0, 0.5, 2.0])
    with pytest.warns(MeshFileWarning, match=r"unequal intervals .*'c' \(0.5 to 2, usually 0.5 ap"):
        MeshFolder(tmp_path, None, inputs=["T"], targets=["T"], window=(1, 1))


def test_predictions_are_not_cases(tmp_path):
    for number in range(4):
        write_mesh(tmp_path / f"{number}.vtu", plate(2))
    train, test = (
        MeshFolder(tmp_path, split, targets=["wind"]).cases for split in ("train", "test")
    )
    data = plate(2)
    u = data.load[:, :1]
    for number in range(4):
        Prediction("a", data, {"load": u + 1}, {"load": u}).save(
            tmp_path / "predicted" / f"{number}.vtu"
        )
    with pytest.warns(
        MeshFileWarning, match=r"predictions were written to \(predicted/0.vtu, .*3.v"
    ):
        again = MeshFolder(tmp_path, "train", targets=["load"])
    assert (again.cases, len(test)) == (train, 1)
    # A model of the errors is trained on predictions.
    errors = MeshFolder(
        tmp_path / "predicted", None, inputs=["predicted_load"], targets=["error_load"]
    )
    assert errors[0].y.unique().tolist() == [1.0]


def test_predicted_series_are_not_cases(tmp_path):
    moving(lambda step: tmp_path / f"flow_{step}.vtu", 3)
    predicted = {"u": torch.zeros(9, 4)}
    Prediction("a", plate(2), predicted, {}, times=(1.0, 2.0)).save(tmp_path / "out" / "flow.pvd")
    with pytest.warns(MeshFileWarning, match=r"\(out/flow.pvd, out/flow/flow_0000.vtu, "):
        data = MeshFolder(tmp_path, None, inputs=["u"], targets=["u"], window=(1, 1))
    assert list(data.cases) == ["flow_t0", "flow_t1"]


def test_links_out_of_the_folder(tmp_path):
    root = tmp_path / "data"
    write_mesh(root / "0.vtu", plate(2))
    write_mesh(tmp_path / "scratch" / "1.vtu", plate(2))
    (root / "more").symlink_to(tmp_path / "scratch")
    with pytest.warns(MeshFileWarning, match=r"links out of the folder \(more\)"):
        assert len(MeshFolder(root, None, targets=["wind"])) == 1
    data = MeshFolder(root, None, targets=["wind"], follow_links=True)
    assert list(data.cases) == ["0", "more/1"]


def break_one(root, mesh=None, text=None):
    path = root / "plate_u2.0_n4.vtk"
    if mesh is not None:
        write_mesh(path, mesh)
    else:
        path.write_text(text)


def bad_meshes():
    lacking, wide, infinite = (plate(3) for _ in range(3))
    del lacking.wind
    wide.wind = wide.wind.repeat(1, 2)
    infinite.wind[:4] = float("nan")
    infinite.wind[0, 0] = float("inf")
    solid = pyvista.ImageData(dimensions=(2, 2, 2))
    inverted = MeshData.from_pyvista(solid)
    inverted.hexahedron = inverted.hexahedron[:, [4, 5, 6, 7, 0, 1, 2, 3]]
    inverted.wind = inverted.pos.clone()
    return [
        ({"text": "nonsense"}, r"n4\.vtk: cannot be read as a mesh"),
        ({"mesh": lacking}, r"n4\.vtk: no field \['wind'\]; it has the node fields \['load'\]"),
        (
            {"mesh": wide},
            r"n4\.vtk: expected 'wind' with 3 channels, as in most files \(got 6",
        ),
        ({"mesh": infinite}, r"n4\.vtk: 12 values of 'wind' are NaN or infinite"),
        ({"mesh": inverted}, r"n4\.vtk: 1 of 1 cells of 'hexahedron' .* inverted"),
    ]


@pytest.mark.parametrize(("change", "message"), bad_meshes())
def test_bad_files(root, change, message, caplog):
    break_one(root, **change)
    with pytest.raises(ValueError, match=message):
        MeshFolder(root, None, targets=["wind"])
    data = MeshFolder(root, None, targets=["wind"], skip_bad=True)
    assert len(data) == 9
    assert "case 'plate_u2.0_n4' is left out" in caplog.text


def test_inverted_cells_can_be_allowed(root):
    change = bad_meshes()[-1][0]
    break_one(root, **change)
    allow = ["inverted", "duplicate_nodes"]
    assert len(MeshFolder(root, None, targets=["wind"], allow=allow)) == 10


def test_bad_choices(root, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        MeshFolder(tmp_path / "none", targets=["wind"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no mesh files; expected"):
        MeshFolder(tmp_path / "empty", targets=["wind"])
    with pytest.raises(FileNotFoundError, match="no time series"):
        MeshFolder(tmp_path / "empty", targets=["wind"], window=(1, 1))
    with pytest.raises(ValueError, match="unknown split 'val'"):
        MeshFolder(root, "val", targets=["wind"])
    with pytest.raises(ValueError, match="at least one target"):
        MeshFolder(root, targets=[])
    with pytest.raises(ValueError, match=r"does not match the pattern 'x\(\?P<a>\.\)'"):
        MeshFolder(root, targets=["wind"], name_pattern="x(?P<a>.)")
    (root / "runs.csv").write_text("name,a\nplate_u0.0_n0,1\n")
    with pytest.raises(ValueError, match=r"runs\.csv: no row for case 'plate_u0\.5_n1'"):
        MeshFolder(root, None, targets=["wind"], table="runs.csv")
    write_mesh(root / "plate_u0.0_n0.vtk", plate(2))
    with pytest.raises(ValueError, match="makes a case of the same name"):
        MeshFolder(root, None, targets=["wind"])


@pytest.mark.parametrize("name", ["../secret.vtu", "/etc/secret.vtu"])
def test_collections_do_not_leave_the_folder(tmp_path, name):
    write_mesh(tmp_path / "secret.vtu", plate(2))
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "run.pvd").write_text(
        '<VTKFile type="Collection"><Collection>'
        f'<DataSet timestep="0" file="{name}"/></Collection></VTKFile>'
    )
    with pytest.raises(ValueError, match=r"run\.pvd: refers to .*, which is outside"):
        MeshFolder(folder, None, targets=["wind"], window=(1, 1))
    (folder / "grid.pvtu").write_text(
        '<VTKFile type="PUnstructuredGrid" version="0.1"><PUnstructuredGrid>'
        f'<Piece Source="{name}"/></PUnstructuredGrid></VTKFile>'
    )
    with pytest.raises(ValueError, match=r"grid\.pvtu: refers to .*, which is outside"):
        MeshFolder(folder, None, targets=["wind"])


def test_hostile_sizes(root):
    path = root / "plate_u0.0_n0.vtu"
    text = path.read_bytes()
    path.write_bytes(text.replace(b'NumberOfPoints="9"', b'NumberOfPoints="99999999999"'))
    with pytest.raises(ValueError, match="declares 99999999999 entries, more than the limit"):
        MeshFolder(root, None, targets=["wind"])
    path.write_bytes(b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]>' + text)
    os.utime(path, (1, 1))
    with pytest.raises(ValueError, match="defines XML entities"):
        MeshFolder(root, None, targets=["wind"])


def test_only_requested_numbers_are_read(root):
    rows = "".join(f"plate_u{n / 2}_n{n},{n},9,{100 + n},oops\n" for n in range(10))
    (root / "runs.csv").write_text("name,load,pos,wind,x\n" + rows)
    data = MeshFolder(root, None, inputs="load", targets="stress", table="runs.csv")
    assert data[2].x.unique().tolist() == [2.0]
    assert data[2].num_nodes == 25
    assert "wind" not in data[2]
    for name in ("pos", "x", "triangle", "cell_load", "case_id"):
        with pytest.raises(ValueError, match=f"the name '{name}' is reserved"):
            MeshFolder(root, None, inputs=[name], targets="stress", table="runs.csv")


def test_options_that_do_not_fit(root):
    with pytest.raises(ValueError, match="split=None selects all cases"):
        MeshFolder(root, None, targets="wind", fractions={"train": 1.0})
    with pytest.raises(ValueError, match=r"got units of \['speed'\]"):
        MeshFolder(root, None, targets="wind", units={"speed": "m/s"})
    data = MeshFolder(root, None, targets="wind", units={"wind": "m/s"}, pattern="**/*.vtu")
    assert len(data) == 8
    assert data[0].units == {"wind": "m/s"}


def test_names_that_look_like_windows(tmp_path):
    for step in range(3):
        data = plate(2)
        data["T"] = torch.full((9, 1), 1.0 + step)
        data["T_in"] = torch.full((9, 1), 10.0 + step)
        write_mesh(tmp_path / f"{step}.vtu", data)
    names = ["T", "T_in"]
    data = MeshFolder(
        tmp_path, None, inputs=names, targets=names, window=(1, None), units={"T": "K"}
    )
    assert data[0].x[0].tolist() == [1.0, 10.0]
    assert data[0].y[0].tolist() == [2.0, 3.0, 11.0, 12.0]
    assert data[0].time.dtype == torch.float64
    assert data[0].units == {"T_in": "K", "T_out": "K"}
    assert data.target_channels == {"T_out": 2, "T_in_out": 2}


def test_series_that_differ(tmp_path, caplog):
    for name, steps in (("a", 4), ("b", 2), ("c", 4)):
        moving(lambda step, name=name: tmp_path / f"{name}_{step}.vtu", steps)
    (tmp_path / "broken.pvd").write_text("<VTKFile>")
    options = {"inputs": "u", "targets": "u", "skip_bad": True}
    data = MeshFolder(tmp_path, None, window=(2, 1), **options)
    assert list(data.cases) == ["a_t0", "a_t1", "c_t0", "c_t1"]
    assert "case 'b' is left out" in caplog.text
    assert "case 'broken' is left out" in caplog.text
    caplog.clear()
    assert list(MeshFolder(tmp_path, None, window=(1, None), **options).cases) == ["a", "c"]
    assert "expected 3 steps out, as in most series (got 1)" in caplog.text


def test_bad_cases_of_every_kind(root, caplog):
    wide = plate(2)
    wide.wind = wide.wind.repeat(1, 2)
    write_mesh(root / "plate_u0.0_n0.vtu", wide)  # the first, and the only one of its kind
    write_mesh(root / "odd.vtu", plate(2))
    (root / "all.pvtu").write_text('<VTKFile><Piece Source="../x.vtu"/></VTKFile>')
    rows = "".join(f"plate_u{n / 2}_n{n},{n}\n" for n in range(10) if n != 3)
    (root / "runs.csv").write_text("name,heat\nodd,1\n" + rows)
    data = MeshFolder(
        root,
        None,
        inputs=["heat", "speed"],
        targets="wind",
        table="runs.csv",
        name_pattern=r"_u(?P<speed>[\d.]+)_",
        skip_bad=True,
    )
    assert len(data) == 8
    assert data.target_channels == {"wind": 3}
    for name in ("plate_u0.0_n0", "plate_u1.5_n3", "odd", "all"):
        assert f"case '{name}' is left out" in caplog.text
