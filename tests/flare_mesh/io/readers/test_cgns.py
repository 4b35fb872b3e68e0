"""Files are written by h5py from "CGNS File Mapping Manual", HDF5."""

import h5py
import numpy as np
import pytest

from flare_mesh.io import MeshFileWarning, mesh_times, read_mesh

POINTS = np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)], float)


def node(parent, name, label, data=None, kind="MT"):
    group = parent.create_group(name)
    for key, value, size in (("name", name, 33), ("label", label, 33), ("type", kind, 3)):
        dtype = h5py.string_dtype("ascii", size)
        group.attrs.create(key, np.bytes_(value), dtype=dtype)
    group.attrs["flags"] = np.array([1], "i4")
    if data is not None:
        group[" data"] = data
    return group


def text(words, size=None):
    rows = [np.frombuffer(word.ljust(size or len(word)).encode(), "i1") for word in words]
    return np.stack(rows) if size else rows[0]


def write(path, times=None, *, zones=1, element=10, pointers=True, name="TimeValues"):
    """Zones of a tetrahedron, each with its temperature at nodes and pressure in the cell."""
    with h5py.File(path, "w") as file:
        file.attrs.create(
            "name", np.bytes_("HDF5 MotherNode"), dtype=h5py.string_dtype("ascii", 33)
        )
        file.attrs.create("label", np.bytes_("Root Node of HDF5 File"))
        file.attrs.create("type", np.bytes_("MT"), dtype=h5py.string_dtype("ascii", 3))
        file[" format"] = text(["IEEE_LITTLE_32\0"])
        file[" hdf5version"] = text(["HDF5 Version 1.8.0".ljust(33, "\0")])
        node(file, "CGNSLibraryVersion", "CGNSLibraryVersion_t", np.array([3.4], "f4"), "R4")
        base = node(file, "Base", "CGNSBase_t", np.array([3, 3], "i4"), "I4")
        count = 1 if times is None else len(times)
        if times is not None:
            steps = np.array([count], "i4")
            data = node(base, "TimeIterValues", "BaseIterativeData_t", steps, "I4")
            values = np.array(times, float if name == "TimeValues" else "i4")
            node(data, name, "DataArray_t", values, "R8" if name == "TimeValues" else "I4")
        for number in range(zones):
            sizes = np.array([[4], [1], [0]], "i4")
            zone = node(base, f"Zone{number}", "Zone_t", sizes, "I4")
            node(zone, "ZoneType", "ZoneType_t", text(["Unstructured"]), "C1")
            grid = node(zone, "GridCoordinates", "GridCoordinates_t")
            for axis, letter in enumerate("XYZ"):
                values = POINTS[:, axis] + 3 * number
                node(grid, f"Coordinate{letter}", "DataArray_t", values, "R8")
            cells = node(zone, "Cells", "Elements_t", np.array([element, 0], "i4"), "I4")
            node(cells, "ElementRange", "IndexRange_t", np.array([1, 1], "i4"), "I4")
            nodes = np.array([1, 2, 3, 4], "i4")
            node(cells, "ElementConnectivity", "DataArray_t", nodes, "I4")
            for step in range(count):
                for suffix, place, field, values in (
                    ("v", "Vertex", "T", np.arange(4.0) + 100 * step),
                    ("c", "CellCenter", "p", np.array([7.0 + 100 * step])),
                ):
                    found = node(zone, f"Flow{step}{suffix}", "FlowSolution_t")
                    node(found, "GridLocation", "GridLocation_t", text([place]), "C1")
                    node(found, field, "DataArray_t", values, "R8")
                    if number == 1:
                        node(found, f"more_{field}", "DataArray_t", values, "R8")
            if times is not None and pointers:
                links = node(zone, "ZoneIterativeData", "ZoneIterativeData_t")
                for key, suffix in (("FlowSolutionPointers", "v"), ("FlowCellPointers", "c")):
                    names = text([f"Flow{step}{suffix}" for step in range(count)], 32)
                    key = key.replace("FlowCell", "FlowSolutionCell")
                    node(links, key, "DataArray_t", names, "C1")
    return path


@pytest.mark.parametrize("name", ["TimeValues", "IterationValues"])
def test_steps(tmp_path, name):
    times = [0, 10, 25] if name == "IterationValues" else [0, 0.5, 1]
    path = write(tmp_path / "m.cgns", times, name=name)
    assert mesh_times(path) == times
    with pytest.raises(ValueError, match=r"has 3 time steps, .*; their times are 0, "):
        read_mesh(path)
    for step, chosen in ((0, 0), (1, 1), (-1, 2)):
        mesh = read_mesh(path, step=step)
        np.testing.assert_array_equal(mesh.pos, POINTS)
        assert mesh.tetra.tolist() == [[0, 1, 2, 3]]
        assert mesh.T.tolist() == [100 * chosen + i for i in range(4)]
        assert mesh.cell_p.tolist() == [7 + 100 * chosen]


def test_one_solution(tmp_path):
    path = write(tmp_path / "m.cgns")
    assert mesh_times(path) == []
    assert read_mesh(path).cell_p.tolist() == [7]


def test_variables_of_some_zones(tmp_path):
    path = write(tmp_path / "m.cgns", zones=2)
    lost = r"the fields \['more_T', 'more_p'\] are not read: not all of its blocks have them"
    with pytest.warns(MeshFileWarning, match=lost):
        mesh = read_mesh(path)
    assert (mesh.num_nodes, set(mesh.node_fields)) == (8, {"T"})
    assert mesh.tetra.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_what_is_refused(tmp_path):
    path = tmp_path / "m.cgns"
    for options, message in (
        ({"element": 23}, r"polyhedra \(NFACE_n\) of '/Base/Zone0' are not supported; decompose"),
        ({"times": [0, 0]}, "several steps have the same time in '/Base'"),
    ):
        write(path, **options)
        with pytest.raises(ValueError, match=message):
            read_mesh(path)
    write(path, [0, 1], pointers=False)
    with pytest.raises(
        ValueError, match="'/Base/Zone0' has several solutions of '[Tp]' without Zone"
    ):
        read_mesh(path, step=0)
    path.write_bytes(b"ADF Database Version")
    with pytest.raises(ValueError, match="it is no HDF5 file; convert it by adf2hdf"):
        read_mesh(path)


def test_cuts(tmp_path, refuse_cuts):
    refuse_cuts(write(tmp_path / "m.cgns", [0.0, 1.0]), step=1)
