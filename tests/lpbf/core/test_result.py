import resource

import meshio
import numpy as np
import pytest
import pyvista

from flare_mesh.cases.case_files import series_steps
from flare_mesh.io import read_mesh
from lpbf import HexMesh
from lpbf.core.report import Report
from lpbf.core.result import LayerState, Result


def mesh():
    mask = np.ones((2, 3, 3), dtype=bool)
    mask[0, :, 2] = False
    return HexMesh.from_mask(mask, (1.0, 2.0, 0.5), origin=(-1.0, 0.0, 0.0))


def result(**fields):
    part, rng = mesh(), np.random.default_rng(0)
    n = part.num_nodes
    given = {
        "displacement": rng.normal(size=(n, 3)),
        "stress": 100 * rng.normal(size=(n, 6)),
        "temperature": rng.uniform(20, 80, n),
    }
    return Result(part, **{**given, **fields})


def history(part):
    states = []
    for layer in range(3):
        cells = int((part.cell_index[:, 2] <= layer).sum())
        nodes = int(part.cells[:cells].max()) + 1
        u = np.full((nodes, 3), 0.1 * layer, dtype=np.float32)
        scalar = np.arange(nodes, dtype=np.float32)
        states.append(
            LayerState(layer, f"layer {layer}", 0.5 * (layer + 1), cells, nodes, u, scalar, scalar)
        )
    return tuple(states)


def test_saved_fields_are_read_back_by_other_programs(tmp_path):
    whole = result(
        plastic_strain=np.random.default_rng(1).normal(size=(mesh().num_nodes, 6)),
        equivalent_plastic_strain=np.linspace(0, 1, mesh().num_nodes),
        displacement_on_plate=np.ones((mesh().num_nodes, 3)),
    )
    names = (
        *("displacement", "von_mises", "stress", "principal_stress", "temperature"),
        *("plastic_strain", "equivalent_plastic_strain", "displacement_on_plate"),
    )
    for suffix in (".vtu", ".vtk", ".xdmf"):
        path = tmp_path / "out" / f"part{suffix}"
        whole.save(path)
        read = meshio.read(path)
        np.testing.assert_allclose(read.points, whole.points)
        np.testing.assert_array_equal(read.cells_dict["hexahedron"], whole.cells)
        assert set(read.point_data) == set(names)
        for name in names:
            np.testing.assert_allclose(read.point_data[name], getattr(whole, name))


def test_saved_fields_are_read_back_with_units(tmp_path):
    whole = result(recoater_clearance=np.array([0.1, 0.2, -0.3]))
    whole.save(tmp_path / "part.vtu")
    read = read_mesh(tmp_path / "part.vtu")
    assert read.num_nodes == whole.mesh.num_nodes
    np.testing.assert_allclose(read.stress, whole.stress, rtol=1e-6)
    np.testing.assert_allclose(read.recoater_clearance.ravel(), [0.1, 0.2, -0.3], rtol=1e-6)
    assert read.units == {
        "displacement": "mm",
        "von_mises": "MPa",
        "stress": "MPa",
        "principal_stress": "MPa",
        "temperature": "C",
        "recoater_clearance": "mm",
    }
    grid = pyvista.read(tmp_path / "part.vtu")
    array = grid.GetPointData().GetArray("principal_stress")
    assert [array.GetComponentName(i) for i in range(3)] == ["I", "II", "III"]
    # VTK's own order of the nodes: no cell is inverted.
    np.testing.assert_allclose(grid.compute_cell_sizes()["Volume"], 1.0)


def test_series(tmp_path):
    whole = result(history=history(mesh()))
    whole.save_series(tmp_path / "out" / "part.pvd")

    steps = series_steps(tmp_path / "out" / "part.pvd")
    assert steps is not None
    assert [step.time for step in steps] == [0.0, 1.0, 2.0]
    for step, state in zip(steps, whole.history, strict=True):
        read = read_mesh(step.file)
        assert read.num_nodes == state.num_nodes
        assert read.hexahedron.shape == (state.num_cells, 8)
        np.testing.assert_array_equal(read.displacement, state.displacement)
        np.testing.assert_array_equal(read.von_mises, state.von_mises)
        np.testing.assert_array_equal(read.temperature, state.temperature)
        assert float(read.pos[:, 2].max()) == state.height
        assert read.units["von_mises"] == "MPa"

    reader = pyvista.get_reader(tmp_path / "out" / "part.pvd")
    assert reader.time_values == [0.0, 1.0, 2.0]
    reader.set_active_time_value(2.0)
    grid = reader.read()[0]
    assert grid.n_cells == mesh().num_cells
    assert "displacement" in grid.point_data


def test_a_series_is_written_whole_or_not_at_all(tmp_path):
    broken = history(mesh())
    fields = {**broken[2].__dict__, "displacement": np.zeros((1, 3), np.float32)}
    whole = result(history=(*broken[:2], LayerState(**fields)))
    with pytest.raises(ValueError):
        whole.save_series(tmp_path / "part.pvd")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("suffix", [".vtu", ".vtk", ".xdmf"])
def test_a_full_disk_leaves_no_partial_file(tmp_path, suffix):
    path = tmp_path / f"part{suffix}"
    result().save(path)
    whole = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError):
            result(temperature=np.ones(mesh().num_nodes)).save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path] == list(tmp_path.iterdir())
    assert path.read_bytes() == whole


def test_solver_and_seconds_come_from_the_report():
    assert (result().solver, result().seconds) == (None, None)
    reported = result(report=Report("direct", 1.5, 10))
    assert (reported.solver, reported.seconds) == ("direct", 1.5)


def test_principal_stress_of_the_nodes():
    principal = result().principal_stress
    assert principal.shape == (mesh().num_nodes, 3)
    assert (np.diff(principal, axis=1) <= 0).all()


def test_bad_input(tmp_path):
    with pytest.raises(ValueError, match=r"'stress' of shape \[44, 6\] \(got \[44, 3\]\)"):
        result(stress=np.zeros((44, 3)))
    with pytest.raises(ValueError, match="the result has no history; simulate with history=True"):
        result().save_series(tmp_path / "part.pvd")
    with pytest.raises(ValueError, match="expected a file of type .pvd"):
        result(history=history(mesh())).save_series(tmp_path / "part.vtu")
    with pytest.raises(ValueError, match="part.stl: expected a file of type .vtu, .vtk, .xdmf"):
        result().save(tmp_path / "part.stl")
    assert list(tmp_path.iterdir()) == []
