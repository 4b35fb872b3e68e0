"""Files are written by SciPy and h5py from "EXODUS II: A Finite Element Data Model"."""

from itertools import pairwise

import h5py
import numpy as np
import pytest
from scipy.io import netcdf_file

from flare_mesh.io import MeshFileWarning, mesh_times, read_mesh
from flare_mesh.mesh.cells import CELL_TYPES

POINTS = np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)], float)
NAMES = ("disp_x", "disp_y", "disp_z", "temperature", "velx", "vely")


def text(*words):
    return np.stack([np.array(list(word.ljust(33, "\0")), "S1") for word in words])


def contents(times=(0.0, 1.0)):
    """Variables with the names of their dimensions: two blocks of a tetrahedron."""
    steps = np.asarray(times, float)
    on_nodes = steps[:, None] * (300 + np.arange(5.0))
    found = {
        "eb_status": (("num_el_blk",), np.ones(2, "i4")),
        "eb_prop1": (("num_el_blk",), np.array([10, 20], "i4")),
        "connect1": (("num_el_in_blk1", "four"), np.array([[1, 2, 3, 4]], "i4")),
        "connect2": (("num_el_in_blk2", "four"), np.array([[2, 3, 4, 5]], "i4")),
        "ns_status": (("num_node_sets",), np.ones(2, "i4")),
        "ns_prop1": (("num_node_sets",), np.array([5, 6], "i4")),
        "ns_names": (("num_node_sets", "len_name"), text("left", "")),
        "node_ns1": (("num_nod_ns1",), np.array([1, 3], "i4")),
        "node_ns2": (("num_nod_ns2",), np.array([5], "i4")),
        "name_nod_var": (("num_nod_var", "len_name"), text(*NAMES)),
        "name_elem_var": (("num_elem_var", "len_name"), text("p")),
        "name_glo_var": (("num_glo_var", "len_name"), text("energy", "load")),
        "vals_glo_var": (("time_step", "num_glo_var"), np.stack([steps, 2 * steps], 1)),
        "time_whole": (("time_step",), steps),
        "vals_elem_var1eb1": (("time_step", "num_el_in_blk1"), 7 + steps[:, None]),
        "vals_elem_var1eb2": (("time_step", "num_el_in_blk2"), 8 + steps[:, None]),
    }
    for axis, name in enumerate("xyz"):
        found[f"coord{name}"] = (("num_nodes",), POINTS[:, axis])
    for i in range(len(NAMES)):
        found[f"vals_nod_var{i + 1}"] = (("time_step", "num_nodes"), on_nodes + i)
    return found


def write(path, found, version=1, kind="TETRA4"):
    if version == "HDF5":
        with h5py.File(path, "w") as file:
            for name, (_, values) in found.items():
                file[name] = values
                if name.startswith("connect"):
                    file[name].attrs["elem_type"] = np.bytes_(kind)
        return
    with netcdf_file(path, "w", version=version) as file:
        file.title = b"two tetrahedra"
        file.createDimension("time_step", None)
        for dimensions, values in found.values():
            for name, size in zip(dimensions, values.shape, strict=True):
                if name not in file.dimensions:
                    file.createDimension(name, size)
        for name, (dimensions, values) in found.items():
            code = "c" if values.dtype.kind == "S" else values.dtype.char
            variable = file.createVariable(name, code, dimensions)
            if dimensions[0] == "time_step":
                for row, part in enumerate(values):
                    variable[row] = part
            else:
                variable[:] = values
            if name.startswith("connect"):
                variable.elem_type = kind.encode()


@pytest.mark.parametrize("version", [1, 2, "HDF5"])
def test_steps(tmp_path, version):
    path = tmp_path / "m.e"
    write(path, contents(), version)
    assert mesh_times(path) == [0, 1]
    with pytest.raises(ValueError, match=r"has 2 time steps, .*; their times are 0, 1"):
        read_mesh(path)
    for step, time in ((0, 0), (1, 1), (-1, 1)):
        mesh = read_mesh(path, step=step)
        assert mesh.tetra.tolist() == [[0, 1, 2, 3], [1, 2, 3, 4]]
        # The displacements are not added to the points.
        assert mesh.pos.tolist() == POINTS.tolist()
        on_nodes = time * (300 + np.arange(5.0))
        np.testing.assert_array_equal(mesh.disp_, np.stack([on_nodes + i for i in range(3)], 1))
        assert mesh.temperature.tolist() == (on_nodes + 3).tolist()
        np.testing.assert_array_equal(mesh.vel, np.stack([on_nodes + 4, on_nodes + 5], 1))
        assert mesh.cell_p.tolist() == [7 + time, 8 + time]
        assert mesh.cell_ObjectId.tolist() == [10, 20]
        assert (mesh.energy.tolist(), mesh.load.tolist()) == ([[time]], [[2 * time]])
        assert mesh.left.tolist() == [1, 0, 1, 0, 0]
        assert mesh.node_set_6.tolist() == [0, 0, 0, 0, 1]
    with pytest.raises(ValueError, match=r"expected a step from -2 to 1 \(got 2\)"):
        read_mesh(path, step=2)


def test_one_step_needs_no_choice(tmp_path):
    write(tmp_path / "m.exo", contents([3.0]))
    assert mesh_times(tmp_path / "m.exo") == [3]
    assert read_mesh(tmp_path / "m.exo").cell_p.tolist() == [10, 11]


def test_mesh_without_steps(tmp_path):
    found = {k: v for k, v in contents().items() if "time_step" not in v[0]}
    write(tmp_path / "m.e", found)
    assert mesh_times(tmp_path / "m.e") == []
    assert set(read_mesh(tmp_path / "m.e").node_fields) == {"left", "node_set_6"}


@pytest.mark.parametrize(
    ("element", "kind", "moved"),
    [
        ("HEX20", "hexahedron20", {12: 16, 16: 12}),
        ("HEX27", "hexahedron27", {12: 16, 16: 12, 20: 23, 24: 21, 26: 20}),
        ("WEDGE15", "wedge15", {9: 12, 12: 9}),
        ("WEDGE18", "wedge18", {9: 12, 12: 9, 15: 15}),
        ("PYRAMID14", "pyramid14", {}),
        ("TETRA10", "tetra10", {}),
        ("SHELL9", "quad9", {}),
        ("TRI", "triangle", {}),
        ("BEAM2", "line", {}),
    ],
)
def test_node_order(tmp_path, element, kind, moved):
    """A place of VTK's order has a node of Exodus's order; nodes between them follow."""
    reference = np.array(CELL_TYPES[kind].reference)
    points = np.zeros((len(reference), 3))
    points[:, : reference.shape[1]] = reference
    order = np.arange(len(points))
    groups = [*sorted(moved), len(points)]
    for first, last in pairwise(groups):
        size = min(last - first, 4 if first in (12, 16, 20) else 3)
        order[first : first + size] = moved[first] + np.arange(size)
    # The node of number order[i] in the element lies at the place i.
    placed = np.empty_like(points)
    placed[order] = points
    found = {f"coord{n}": (("num_nodes",), placed[:, i]) for i, n in enumerate("xyz")}
    found["eb_status"] = (("num_el_blk",), np.ones(1, "i4"))
    numbers = np.arange(1, len(points) + 1, dtype="i4")[None]
    found["connect1"] = (("num_el_in_blk1", "num_nod_per_el1"), numbers)
    write(tmp_path / "m.e", found, kind=element)
    mesh = read_mesh(tmp_path / "m.e")
    assert list(mesh.cells) == [kind]
    np.testing.assert_array_equal(mesh.pos[mesh.cells[kind][0]], points)


def test_variable_of_some_blocks(tmp_path):
    found = contents([1.0])
    del found["vals_elem_var1eb2"]
    found["elem_var_tab"] = (("num_el_blk", "num_elem_var"), np.array([[1], [0]], "i4"))
    write(tmp_path / "m.e", found)
    with pytest.warns(MeshFileWarning, match=r"'p' is not read: the element blocks \[20\] do not"):
        mesh = read_mesh(tmp_path / "m.e")
    assert set(mesh.cell_fields) == {"ObjectId"}


@pytest.mark.parametrize("version", [1, 2, "HDF5"])
def test_cuts(tmp_path, refuse_cuts, version):
    write(tmp_path / "m.e", contents(), version)
    refuse_cuts(tmp_path / "m.e", step=1)


def test_damage_is_named(tmp_path):
    path = tmp_path / "m.e"
    for change, message in (
        ({"connect1": (("n", "m"), np.ones((1, 7), "i4"))}, "'TETRA4' with 7 nodes in block 1 are"),
        ({"connect2": (("n2", "four"), np.full((1, 4), 9, "i4"))}, "node numbers from 0 to 4"),
        ({"ebepecnt1": (("n3",), np.ones(1, "i4"))}, "block 1 has polygons or polyhedra"),
        ({"eb_prop1": (("n4",), np.ones(1, "i4"))}, "expected 2 integers in 'eb_prop1'"),
    ):
        write(path, contents([1.0]) | change)
        with pytest.raises(ValueError, match=message) as told:
            read_mesh(path)
        assert "m.e: " in str(told.value)
    path.write_bytes(b"nonsense")
    for function in (read_mesh, mesh_times):
        with pytest.raises(ValueError, match=r"m\.e: .*it begins neither as NetCDF nor as HDF5"):
            function(path)
    # A header that declares 2^31 dimensions.
    path.write_bytes(b"CDF\1" + bytes(4) + b"\0\0\0\12" + b"\x7f\xff\xff\xff" + bytes(100))
    with pytest.raises(ValueError, match="its header ends before its 2,147,483,647 entries"):
        read_mesh(path)
