import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lpbf import HexMesh
from lpbf.convert.read_netfabb import read_netfabb


def test_the_last_state(tmp_path, grown, write_case):
    case = read_netfabb(write_case(tmp_path / "a"))
    mesh = grown.meshes[-1]
    assert_allclose(case.points, mesh.points, atol=1e-6)
    assert_array_equal(case.cells, mesh.cells)
    assert_allclose(case.displacement, 0.008 * mesh.points, atol=1e-6)
    assert_allclose(case.von_mises, 800 + mesh.points[:, 0], rtol=1e-6)
    assert_allclose(case.temperature, 32.0)
    assert_array_equal(case.edge_index, mesh.edge_index)
    assert case.max_aspect_ratio == pytest.approx(1.0)
    assert case.metadata == {
        "source": "Netfabb",
        "file": "mechanical.case",
        "time": pytest.approx(500.1),
        "plate": "keep",
    }


@pytest.mark.parametrize("header", ["Fortran Binary", "C Binary"])
def test_each_state_has_its_mesh_and_fields(tmp_path, grown, write_case, header):
    """VTK rounds times to single precision."""
    path = write_case(tmp_path / "a", header=header, name="bracket_")
    for frame, number in enumerate(grown.mesh_of):
        case = read_netfabb(path, step=frame)
        mesh = grown.meshes[number]
        assert_allclose(case.points, mesh.points, atol=1e-6)
        assert_allclose(case.displacement, grown.fields[frame][0], atol=1e-6)
        assert_allclose(case.von_mises, grown.fields[frame][1], rtol=1e-6)
        assert_allclose(case.temperature, 25.0 + frame)
        assert case.metadata["time"] == pytest.approx(grown.times[frame])
    assert_array_equal(read_netfabb(path, step=-8).points, read_netfabb(path, step=0).points)
    for step in (8, -9):
        with pytest.raises(ValueError, match=rf"expected a step from 0 to 7 \(got {step}\)"):
            read_netfabb(path, step=step)


def test_without_the_plate(tmp_path, grown, write_case):
    case = read_netfabb(write_case(tmp_path / "a"), plate="drop")
    mesh = HexMesh.from_mask(np.ones((3, 2, 3)), 2.0, (-3.0, -2.0, 0.0))
    assert_allclose(case.points, mesh.points, atol=1e-6)
    assert_array_equal(case.cells, mesh.cells)
    assert_allclose(case.displacement, 0.008 * mesh.points, atol=1e-6)
    with pytest.raises(ValueError, match="unknown plate 'cut'; choose from"):
        read_netfabb("a.case", plate="cut")


def test_hanging_nodes_are_read(tmp_path, ensight, write_case):
    """Four small hexahedra on a large one: the middles of its edges have values of their own."""
    large = HexMesh.from_mask(np.ones((1, 1, 1)), 2.0)
    small = HexMesh.from_mask(np.ones((2, 2, 1)), 1.0, (0.0, 0.0, 2.0))
    points = np.unique(np.concatenate([large.points, small.points]), axis=0)

    def numbers(mesh):
        near = np.linalg.norm(points[None] - mesh.points[:, None], axis=2)
        return near.argmin(axis=1)[mesh.cells]

    cells = np.concatenate([numbers(large), numbers(small)])
    path = write_case(tmp_path / "a")
    results = path.parent
    (results / "mechanical_5.geo").write_bytes(ensight.geometry(points, cells))
    for name, values in (("dis", points), ("svm", points[:, 0]), ("tmp", points[:, 1])):
        (results / f"mechanical00_8.{name}.ens").write_bytes(ensight.variable(values))
    case = read_netfabb(path)
    assert_allclose(case.points, points)
    assert_array_equal(case.cells, cells)
    assert_allclose(case.displacement, points)
    assert len(case.points) == 4 + 18 - 4 + 4
    hanging = np.flatnonzero((points == [1.0, 0.0, 2.0]).all(axis=1))[0]
    assert (case.edge_index[0] == hanging).sum() == 4  # of the small cells only


def test_names_of_fields(tmp_path, write_case):
    path = write_case(tmp_path / "a")
    text = path.read_text()
    path.write_text(text.replace("Displacement", "u").replace("Von_Mises", "s"))
    assert read_netfabb(path).displacement.shape == (60, 3)  # by its file's name
    moved = text
    for suffix in ("dis", "svm", "tmp"):
        moved = moved.replace(f"{suffix}.ens", f"{suffix}.bin")
        for file in path.parent.glob(f"*.{suffix}.ens"):
            file.rename(file.with_suffix(".bin"))
    path.write_text(moved)
    assert read_netfabb(path).displacement.shape == (60, 3)  # by its description
    path.write_text(moved.replace("Displacement", "u"))
    message = r"expected one vector per node as displacement in a file \*.dis.ens .got 'u' \(vector"
    with pytest.raises(ValueError, match=message):
        read_netfabb(path)
    case = read_netfabb(path, fields={"displacement": "u"})
    assert_allclose(case.displacement, 0.008 * case.points, atol=1e-6)
    with pytest.raises(ValueError, match="expected one vector per node as displacement named 'T"):
        read_netfabb(path, fields={"displacement": "Temperature"})


def test_damaged_and_missing_files(tmp_path, write_case):
    def damaged(name, keep):
        path = write_case(tmp_path / f"{name}{keep}")
        file = path.parent / name
        if keep:
            file.write_bytes(file.read_bytes()[:keep])
        else:
            file.unlink()
        return path

    for name, keep in (
        ("mechanical_5.geo", 0),
        ("mechanical_5.geo", 300),
        ("mechanical_5.geo", 700),
        ("mechanical_5.geo", 1600),
        ("mechanical00_8.dis.ens", 0),
        ("mechanical00_8.dis.ens", 200),
        ("mechanical00_8.dis.ens", 700),
        ("mechanical00_8.svm.ens", 0),
        ("mechanical00_8.svm.ens", 300),
        ("mechanical00_8.tmp.ens", 1),
    ):
        path = damaged(name, keep)
        message = "mechanical.case: .*(cannot be read|at this step .got none)"
        if (name, keep) == ("mechanical_5.geo", 300):
            message = "mechanical_5.geo: expected the header of an EnSight Gold binary geometry"
        with pytest.raises(ValueError, match=message):
            read_netfabb(path)
    with pytest.raises(FileNotFoundError, match=r"none.case: no such file"):
        read_netfabb(tmp_path / "none.case")


@pytest.mark.parametrize("tail", ["truncated", "zeros"])
def test_a_damaged_geometry_never_gives_a_mesh(tmp_path, ensight, grown, write_case, tail):
    path = write_case(tmp_path / "a")
    file = path.parent / "mechanical_5.geo"
    whole = file.read_bytes()
    for length in range(480, len(whole), 61):  # shorter ones fail for their header
        missing = len(whole) - length if tail == "zeros" else 0
        file.write_bytes(whole[:length] + bytes(missing))
        with pytest.raises(ValueError, match="mechanical.case: "):
            read_netfabb(path)


def test_other_meshes_are_refused(tmp_path, ensight, write_case):
    path = write_case(tmp_path / "a")
    file = path.parent / "mechanical_5.geo"
    points = HexMesh.from_mask(np.ones((3, 2, 4)), 2.0).points
    file.write_bytes(ensight.geometry(points, [[0, 1, 2, 12]], kind="tetra4"))
    with pytest.raises(ValueError, match=r"eight-node hexahedra only \(got VTK cell types \[10\]"):
        read_netfabb(path)
    file.write_bytes(ensight.geometry(points, [[0, 1, 2, 3, 12, 13, 14, 480]]))
    with pytest.raises(ValueError, match=r"expected node numbers from 0 to 59 .*\(got 0 to 480\)"):
        read_netfabb(path)


def test_several_parts(tmp_path, ensight, write_case):
    path = write_case(tmp_path / "a")
    mesh = HexMesh.from_mask(np.ones((2, 1, 1)), 2.0)
    both = ensight.geometry(mesh.points, mesh.cells)
    both += ensight.part(mesh.points + 9, mesh.cells, number=2)
    (path.parent / "mechanical_5.geo").write_bytes(both)
    for name, values in (
        ("dis", mesh.points),
        ("svm", mesh.points[:, 0]),
        ("tmp", mesh.points[:, 1]),
    ):
        data = ensight.variable(values) + ensight.field(2 * values, number=2)
        (path.parent / f"mechanical00_8.{name}.ens").write_bytes(data)
    with pytest.raises(ValueError, match=r"expected one part \(got \['part 1', 'part 2'\]\)"):
        read_netfabb(path)
    with pytest.raises(ValueError, match=r"the part 'part 3' \(got \['part 1', 'part 2'\]\)"):
        read_netfabb(path, part="part 3")
    case = read_netfabb(path, part="part 2")
    assert_allclose(case.points, mesh.points + 9)
    assert_allclose(case.displacement, 2 * mesh.points)


def test_files_of_vtks_own_writer(tmp_path):
    """Written by another program: nodes and elements with numbers, one state."""
    pyvista = pytest.importorskip("pyvista")
    from vtkmodules.vtkIOParallel import vtkEnSightWriter

    mesh = HexMesh.from_mask(np.ones((2, 3, 2)), (2.0, 1.0, 0.5))
    grid = pyvista.UnstructuredGrid({12: mesh.cells}, mesh.points.astype(np.float32))
    columns = {"u": 0.1 * mesh.points, "s": mesh.points[:, 0], "t": mesh.points[:, 1]}
    for name, values in columns.items():
        grid.point_data[name] = values.astype(np.float32)
    grid.cell_data["BlockId"] = np.ones(grid.n_cells, dtype=np.int32)
    writer = vtkEnSightWriter()
    writer.SetInputData(grid)
    writer.SetPath(str(tmp_path))
    writer.SetBaseName("a")
    writer.SetFileName(str(tmp_path / "a.case"))
    writer.Write()
    writer.WriteCaseFile(1)
    (path,) = tmp_path.glob("*.case")
    names = {"displacement": "u_n", "von_mises": "s_n", "temperature": "t_n"}
    case = read_netfabb(path, fields=names)
    assert_allclose(case.points, mesh.points, atol=1e-6)
    assert_array_equal(case.cells, mesh.cells)
    assert_allclose(case.displacement, columns["u"], atol=1e-6)
    assert_allclose(case.von_mises, columns["s"], atol=1e-6)
    assert_allclose(case.temperature, columns["t"], atol=1e-6)
    assert case.metadata["time"] is None
    with pytest.raises(ValueError, match="expected step 0, its only state .got 1"):
        read_netfabb(path, fields=names, step=1)
