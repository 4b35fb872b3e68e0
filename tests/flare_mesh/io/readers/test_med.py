"""MED files, written by h5py in the structure of versions 3 and 4."""

import h5py
import numpy as np
import pytest
import torch

from flare_mesh.io import MeshFileWarning, mesh_times, read_mesh
from flare_mesh.mesh.cells import CELL_TYPES, reflected_order

POINTS = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1)], float)
# Nodes from 1; the pyramid as MED numbers it, with the base clockwise when seen from the apex.
CELLS = {"PY5": [(1, 4, 3, 2, 5)], "TR3": [(1, 2, 3), (1, 3, 4)]}
WHOLE = "MED_NO_PROFILE_INTERNAL"


def columns(group, name, rows, count=True):
    """A table as MED stores it, one column after the other."""
    rows = np.asarray(rows)
    group[name] = rows.ravel(order="F")
    if count:
        group[name].attrs["NBR"] = len(rows)


@pytest.fixture
def med(tmp_path):
    """Write a file and return it open, with a function that gives its path."""
    files = []

    def write(points=POINTS, cells=CELLS, **attributes):
        file = h5py.File(tmp_path / "m.med", "w")
        files.append(file)
        mesh = file.create_group("ENS_MAA/part")
        kinds = {"ESP": points.shape[1], "DIM": points.shape[1], "TYP": 0, "REP": 0}
        mesh.attrs.update(kinds | attributes)
        step = mesh.create_group("-0000000000000000001-0000000000000000001")
        columns(step.create_group("NOE"), "COO", points)
        for name, nodes in cells.items():
            columns(step.create_group(f"MAI/{name}"), "NOD", nodes)
        return file

    yield write
    for file in files:
        file.close()


def closed(file):
    path = file.filename
    file.close()
    return path


def mesh_of(file):
    return file["ENS_MAA/part/-0000000000000000001-0000000000000000001"]


def field(file, name, number, time, **supports):
    """Values of one step: by support, the rows or, for a profile, its name and rows."""
    group = file.require_group(f"CHA/{name}")
    step = group.create_group(f"{number:020d}{-1:020d}")
    step.attrs.update({"NDT": number, "NOR": -1, "PDT": time})
    for support, rows in supports.items():
        profile, rows = rows if isinstance(rows[0], str) else (WHOLE, rows)
        part = step.create_group(f"{support.replace('_', '.')}/{profile}")
        part.attrs.update({"NBR": len(rows), "NGA": 1})
        columns(part, "CO", rows, count=False)
        group.attrs.update({"NCO": np.size(rows[0]), "MAI": np.bytes_("part")})


def test_mesh(med):
    got = read_mesh(closed(med()))
    np.testing.assert_array_equal(got.pos, POINTS)
    assert got.triangle.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert got.pyramid.tolist() == [[0, 1, 2, 3, 4]]
    assert got.measures.tolist() == pytest.approx([1 / 3, 0.5, 0.5])


KINDS = {
    **{"TE4": "tetra", "T10": "tetra10", "PY5": "pyramid", "P13": "pyramid13", "PE6": "wedge"},
    **{"P15": "wedge15", "HE8": "hexahedron", "H20": "hexahedron20", "QU9": "quad9"},
}


@pytest.mark.parametrize("reflected", [False, True])
@pytest.mark.parametrize("name", KINDS)
def test_orientation(med, name, reflected):
    """MED's solid cells are the reflection of VTK's; some programs write VTK's order."""
    cell = CELL_TYPES[KINDS[name]]
    points = np.array(cell.reference, float)
    order = reflected_order(cell.name) if reflected and cell.dim == 3 else range(len(points))
    got = read_mesh(closed(med(points, {name: [[node + 1 for node in order]]})))
    assert got.measures[0] > 0
    corners = got.pos[got.cells[cell.name][0], : cell.dim]
    torch.testing.assert_close(corners, torch.tensor(cell.reference).float())


def test_groups(med):
    file = med()
    mesh_of(file)["NOE/FAM"] = [2, 0, 0, 2, 3]
    mesh_of(file)["MAI/TR3/FAM"] = [-6, 0]
    mesh_of(file)["MAI/PY5/FAM"] = [-7]
    families = {"NOEUD": {2: ["fixed"], 3: ["fixed", "tip"]}, "ELEME": {-6: ["base"], -7: ["body"]}}
    for kind, found in families.items():
        for number, names in found.items():
            family = file.create_group(f"FAS/part/{kind}/FAM_{number}")
            family.attrs["NUM"] = number
            text = [list(name.encode().ljust(80, b"\0")) for name in names]
            family["GRO/NOM"] = np.array(text, np.int8)
    got = read_mesh(closed(file))
    assert got.fixed.tolist() == [1, 0, 0, 1, 1]
    assert got.tip.tolist() == [0, 0, 0, 0, 1]
    assert got.cell_fields["base"].tolist() == [0, 1, 0]
    assert got.cell_fields["body"].tolist() == [1, 0, 0]


def test_fields(med):
    file = med()
    field(file, "u", 1, 0.0, NOE=2 * POINTS)
    field(file, "s", 1, 0.0, MAI_TR3=[3.0, 4.0], MAI_PY5=[5.0])
    path = closed(file)
    assert mesh_times(path) == []
    got = read_mesh(path)
    np.testing.assert_array_equal(got.u, 2 * POINTS)
    assert got.cell_fields["s"].tolist() == [5, 3, 4]


def test_steps(med):
    file = med()
    for number, time in ((2, 0.5), (1, 0.25), (3, 2.0)):
        field(file, "t", number, time, NOE=time * np.arange(5.0))
    field(file, "s", 3, 2.0, MAI_TR3=[1.0, 1.0], MAI_PY5=[1.0])
    path = closed(file)
    assert mesh_times(path) == [0.25, 0.5, 2.0]
    with pytest.raises(ValueError, match=r"has 3 time steps.*0\.25, 0\.5, 2"):
        read_mesh(path)
    assert read_mesh(path, step=-1).t.tolist() == [0, 2, 4, 6, 8]
    assert "s" in read_mesh(path, step=2).cell_fields
    with pytest.warns(MeshFileWarning, match="field 's' has no values at the chosen step"):
        assert read_mesh(path, step=0).t.tolist() == [0, 0.25, 0.5, 0.75, 1]


def test_parts_without_values(med):
    """A profile lists the nodes or cells that have values; the others have NaN."""
    file = med()
    file["PROFILS/some/PFL"] = [5, 2]
    field(file, "t", 1, 0.0, NOE=("some", [50.0, 20.0]))
    field(file, "s", 1, 0.0, MAI_TR3=[3.0, 4.0])
    path = closed(file)
    with pytest.warns(MeshFileWarning) as record:
        got = read_mesh(path)
    text = "\n".join(str(warning.message) for warning in record)
    assert "'t' has no value on 3 of 5 nodes: NaN there" in text
    assert "'s' has no value on 1 of 3 cells: NaN there" in text
    np.testing.assert_array_equal(got.t, [np.nan, 20, np.nan, np.nan, 50])
    np.testing.assert_array_equal(got.cell_fields["s"], [np.nan, 3, 4])


def test_values_that_are_left_out(med):
    file = med()
    field(file, "e", 1, 0.0, NOE_TR3=np.zeros(6))
    field(file, "g", 1, 0.0, MAI_TR3=np.zeros(6))
    file["CHA/g"].visititems(lambda _, o: o.attrs.update({"NGA": 3}) if "NGA" in o.attrs else None)
    field(file, "o", 1, 0.0, NOE=np.zeros(5))
    file["CHA/o"].attrs["MAI"] = np.bytes_("other")
    path = closed(file)
    with pytest.warns(MeshFileWarning) as record:
        got = read_mesh(path)
    text = "\n".join(str(warning.message) for warning in record)
    assert "the values of 'e' at 'NOE.TR3' are left out" in text
    assert "the values of 'g' at integration points are left out" in text
    assert "the field 'o' of the mesh 'other' is left out" in text
    assert not got.node_fields | got.cell_fields.keys()


def damage(file, what):
    mesh = mesh_of(file)
    if what == "meshes":
        file.create_group("ENS_MAA/second")
    elif what == "steps":
        file.create_group("ENS_MAA/part/another")
    elif what == "hexahedron27":
        columns(mesh.create_group("MAI/H27"), "NOD", [range(1, 28)])
    elif what == "coordinates":
        mesh["NOE/COO"].attrs["NBR"] = 6
    elif what == "nodes":
        mesh["MAI/TR3/NOD"][0] = 6
    elif what == "values":
        field(file, "t", 1, 0.0, NOE=[1.0, 2.0])
    elif what == "profile":
        file["PROFILS/some/PFL"] = [6, 2]
        field(file, "t", 1, 0.0, NOE=("some", [50.0, 20.0]))
    elif what == "old":
        file.create_group("CHA/t/MAI.TR3/1")
    else:
        del file[what]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("meshes", r"expected one mesh \(got \['part', 'second'\]\)"),
        ("steps", r"expected one step of the mesh \(got 2\)"),
        ("hexahedron27", "cells of MED's type H27 are not supported"),
        ("coordinates", r"expected 6 rows of 3 coordinates \(got 15 values\)"),
        ("nodes", "cells of type TR3 refer to nodes that do not exist"),
        ("values", r"expected 5 rows of 1 values of 't' on NOE \(got 2 values\)"),
        ("profile", "the profile 'some' refers to entries that do not exist"),
        ("old", "in an older version of MED; save it as version 3 or 4"),
        ("ENS_MAA", "damaged MED file"),
    ],
)
def test_refused(med, what, message):
    file = med()
    damage(file, what)
    path = closed(file)
    with pytest.raises(ValueError, match=rf"m\.med: cannot be read as a mesh \(.*{message}"):
        read_mesh(path)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"REP": 1}, "coordinates are cylindrical or spherical; make them Cartesian"),
        ({"TYP": 1}, "a structured mesh; convert it to an unstructured one"),
        ({"ESP": 7}, "a space of 1 to 3 dimensions .got 7"),
    ],
)
def test_other_kinds(med, attributes, message):
    path = closed(med(**attributes))
    with pytest.raises(ValueError, match=message):
        read_mesh(path)


def test_large_fields(med):
    file = med()
    file["PROFILS/some/PFL"] = [1]
    field(file, "t", 1, 0.0, NOE=("some", [np.zeros(900).tolist()]))
    path = closed(file)
    with pytest.raises(ValueError, match="the field 't' of 900 components is too large"):
        read_mesh(path, max_bytes=20_000)


def test_cuts(med, refuse_cuts, tmp_path):
    file = med()
    field(file, "u", 1, 0.0, NOE=2 * POINTS)
    closed(file)
    refuse_cuts(tmp_path / "m.med")
