"""Files are written by hand from the EnSight User Manual, "EnSight Gold Casefile Format"."""

import numpy as np
import pytest

from flare_mesh.io import MeshFileWarning, mesh_times, read_mesh

CORNERS = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], float)
HEXA = np.concatenate([CORNERS, CORNERS + np.array([0, 0, 1])])
TETRA = np.array([(5, 0, 0), (6, 0, 0), (5, 1, 0), (5, 0, -1)], float)
KINDS = ("ascii", "C Binary little", "C Binary big", "Fortran Binary little", "Fortran Binary big")


class Writer:
    """A file in one of the five encodings."""

    def __init__(self, kind, is_geometry=True):
        self.parts = []
        self.text = kind == "ascii"
        self.order = ">" if kind.endswith("big") else "<"
        self.fortran = kind.startswith("Fortran")
        if is_geometry and not self.text:
            self.line(kind.rpartition(" ")[0])

    def record(self, content):
        mark = np.array([len(content)], self.order + "i4").tobytes() if self.fortran else b""
        self.parts.append(mark + content + mark)

    def line(self, *lines):
        for line in lines:
            if self.text:
                self.parts.append(line.encode() + b"\n")
            else:
                self.record(line.encode().ljust(80))
        return self

    def ints(self, values, columns=1):
        return self.numbers(np.ravel(values), "i4", "{:10d}", columns)

    def floats(self, values, columns=1):
        return self.numbers(np.ravel(values), "f4", "{:12.5e}", columns)

    def numbers(self, values, code, form, columns):
        if self.text:
            for at in range(0, len(values), columns):
                row = "".join(form.format(value) for value in values[at : at + columns])
                self.parts.append(row.encode() + b"\n")
        else:
            self.record(np.array(values, self.order + code).tobytes())
        return self

    def write(self, path):
        path.write_bytes(b"".join(self.parts))


def write_gold(folder, kind, steps=1, ids="given"):
    """A hexahedron, and a part of a tetrahedron and a triangle, with all kinds of variables."""
    geometry = Writer(kind).line("", "title", f"node id {ids}", f"element id {ids}")
    geometry.line("extents").floats([0, 6, 0, 1, -1, 1], 2)
    stored = ids in ("given", "ignore")
    for number, points, blocks in (
        (1, HEXA, {"hexa8": [range(8)]}),
        (7, TETRA, {"tetra4": [(0, 2, 1, 3)], "tria3": [(0, 1, 2)]}),
    ):
        geometry.line("part").ints([number]).line("", "coordinates").ints([len(points)])
        if stored:
            geometry.ints(np.arange(len(points)) + 100)
        for column in points.T:
            geometry.floats(column)
        for name, nodes in blocks.items():
            geometry.line(name).ints([len(nodes)])
            if stored:
                geometry.ints(np.arange(len(nodes)) + 9)
            geometry.ints(np.array(nodes) + 1, len(nodes[0]))
    geometry.write(folder / "m.geo")
    for step in range(steps):
        for name, channels in (("t", 1), ("v", 3), ("s", 6)):
            file = Writer(kind, False).line("node values")
            for number, points in ((1, HEXA), (7, TETRA)):
                file.line("part").ints([number]).line("coordinates")
                for channel in range(channels):
                    file.floats(points[:, 0] + 10 * channel + 100 * step)
            file.write(folder / f"m.{name}{10 + 5 * step:03d}")
        file = Writer(kind, False).line("element values")
        for number, name, value in ((1, "hexa8", 1), (7, "tetra4", 2), (7, "tria3", 3)):
            file.line("part").ints([number]) if name != "tria3" else None
            file.line(name).floats([value + 100 * step])
        file.write(folder / f"m.c{10 + 5 * step:03d}")
    times = " ".join(f"{0.5 * step}" for step in range(steps - 1))
    (folder / "m.case").write_text(
        "# written by hand\nFORMAT\ntype:  ensight gold\n\nGEOMETRY\nmodel:   m.geo\n\nVARIABLE\n"
        "scalar per node: 1 t m.t***\nvector per node: 1 v m.v***\n"
        "tensor symm per node: 1 s m.s***\nscalar per element: 1 c m.c***\n"
        "constant per case: 1 load " + " ".join(map(str, range(steps))) + "\n"
        "constant per case: speed 2.5\n\nTIME\ntime set: 1 model\n"
        f"number of steps: {steps}\nfilename start number: 10\nfilename increment: 5\n"
        f"time values: {times}\n {0.5 * (steps - 1)}\n"
    )
    return folder / "m.case"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ids", ["off", "given", "assign", "ignore"])
def test_gold(tmp_path, kind, ids):
    path = write_gold(tmp_path, kind, steps=3, ids=ids)
    assert mesh_times(path) == [0, 0.5, 1]
    with pytest.raises(ValueError, match=r"has 3 time steps, .*; their times are 0, 0\.5, 1"):
        read_mesh(path)
    for step, chosen in ((0, 0), (2, 2), (-1, 2)):
        mesh = read_mesh(path, step=step)
        points = np.concatenate([HEXA, TETRA])
        np.testing.assert_array_equal(mesh.pos, points)
        assert mesh.hexahedron.tolist() == [list(range(8))]
        assert mesh.tetra.tolist() == [[8, 10, 9, 11]]
        assert mesh.triangle.tolist() == [[8, 9, 10]]
        values = points[:, 0] + 100 * chosen
        np.testing.assert_array_equal(mesh.t, values)
        for name, channels in (("v", 3), ("s", 6)):
            columns = [values + 10 * channel for channel in range(channels)]
            np.testing.assert_array_equal(mesh[name], np.stack(columns, 1))
        assert mesh.cell_c.tolist() == [1 + 100 * chosen, 2 + 100 * chosen, 3 + 100 * chosen]
        assert (mesh.load.tolist(), mesh.speed.tolist()) == ([[chosen]], [[2.5]])


def write_six(folder, kind, ids="given"):
    """EnSight 6: all parts share the nodes, whose ids name them in the elements."""
    geometry = Writer(kind).line("a", "b", f"node id {ids}", f"element id {ids}", "coordinates")
    points = np.concatenate([HEXA, TETRA]) - 3
    stored, numbers = ids != "off", np.arange(len(points)) * 3 + 5
    if kind == "ascii":
        rows = [f"{len(points):8d}"]
        for number, point in zip(numbers, points, strict=True):
            head = f"{number:8d}" if stored else ""
            rows.append(head + "".join(f"{value:12.5e}" for value in point))
        geometry.line(*rows)
    else:
        geometry.ints([len(points)])
        if stored:
            geometry.ints(numbers)
        geometry.floats(points)
    nodes = {"hexa8": np.arange(8), "tetra4": np.array([8, 10, 9, 11])}
    for number, (name, places) in enumerate(nodes.items(), 1):
        named = numbers[places] if ids == "given" else places + 1
        geometry.line(f"part{number:8d}", "description", name)
        if kind == "ascii":
            head = f"{77:8d}" if stored else ""
            geometry.line(f"{1:8d}", head + "".join(f"{value:8d}" for value in named))
        else:
            geometry.ints([1])
            if stored:
                geometry.ints([77])
            geometry.ints(named)
    geometry.write(folder / "m.geo")
    Writer(kind, False).line("v").floats(points, 6).write(folder / "m.v")
    file = Writer(kind, False).line("c", "part       1", "hexa8").floats([4])
    file.line("part       2", "tetra4").floats([-5]).write(folder / "m.c")
    (folder / "m.case").write_text(
        "FORMAT\ntype: ensight\nGEOMETRY\nmodel: m.geo\nVARIABLE\n"
        "vector per node: v m.v\nscalar per element: c m.c\n"
    )
    return folder / "m.case", points


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ids", ["off", "given", "ignore"])
def test_six(tmp_path, kind, ids):
    """Text is in columns of 12 characters, where negative numbers have no blank before them."""
    path, points = write_six(tmp_path, kind, ids)
    mesh = read_mesh(path)
    np.testing.assert_array_equal(mesh.pos, points)
    np.testing.assert_array_equal(mesh.v, points)
    assert mesh.hexahedron.tolist() == [list(range(8))]
    assert mesh.tetra.tolist() == [[8, 10, 9, 11]]
    assert mesh.cell_c.tolist() == [4, -5]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "shape", ["block", "block curvilinear", "block rectilinear", "block uniform"]
)
def test_blocks(tmp_path, kind, shape):
    geometry = Writer(kind).line("a", "b", "node id off", "element id off", "part").ints([1])
    geometry.line("grid", shape).ints([2, 3, 1], 3)
    points = np.array([(x, y, 0) for y in (1, 2, 3) for x in (0, 0.5)])
    if shape == "block uniform":
        geometry.floats([0, 1, 0, 0.5, 1, 1])
    elif shape == "block rectilinear":
        geometry.floats([0, 0.5]).floats([1, 2, 3]).floats([0])
    else:
        for column in points.T:
            geometry.floats(column)
    geometry.write(tmp_path / "m.geo")
    for name, values in (("t", range(6)), ("c", range(2))):
        Writer(kind, False).line(name, "part").ints([1]).line("block").floats(list(values)).write(
            tmp_path / f"m.{name}"
        )
    (tmp_path / "m.case").write_text(
        "FORMAT\ntype: ensight gold\nGEOMETRY\nmodel: m.geo\nVARIABLE\n"
        "scalar per node: t m.t\nscalar per element: c m.c\n"
    )
    mesh = read_mesh(tmp_path / "m.case")
    np.testing.assert_array_equal(mesh.pos, points)
    assert mesh.quad.tolist() == [[0, 1, 3, 2], [2, 3, 5, 4]]
    assert (mesh.t.tolist(), mesh.cell_c.tolist()) == ([0, 1, 2, 3, 4, 5], [0, 1])


@pytest.mark.parametrize("kind", KINDS)
def test_several_steps_in_one_file(tmp_path, kind):
    write_gold(tmp_path, kind)
    file = Writer(kind, False)
    for step in range(2):
        file.line("BEGIN TIME STEP", "t")
        for number, points in ((1, HEXA), (7, TETRA)):
            file.line("part").ints([number]).line("coordinates").floats(points[:, 1] + step)
        file.line("END TIME STEP")
    file.write(tmp_path / "m.t")
    path = tmp_path / "m.case"
    head = "FORMAT\ntype: ensight gold\nGEOMETRY\nmodel: m.geo\nVARIABLE\n"
    path.write_text(
        head + "scalar per node: 1 1 t m.t\nTIME\ntime set: 1\nnumber of steps: 2\n"
        "time values: 0 1\nFILE\nfile set: 1\nnumber of steps: 2\n"
    )
    values = np.concatenate([HEXA, TETRA])[:, 1]
    for step in range(2):
        np.testing.assert_array_equal(read_mesh(path, step=step).t, values + step)
    content = (tmp_path / "m.t").read_bytes()
    (tmp_path / "m.t").write_bytes(content[: len(content) * 3 // 4])
    with pytest.raises(ValueError, match=r"expected 2 time steps in one file \(got 1 whole ones\)"):
        read_mesh(path, step=0)


def test_ghost_elements_are_left_out(tmp_path):
    write_gold(tmp_path, "ascii")
    for name in ("m.geo", "m.c010"):
        text = (
            (tmp_path / name).read_text().replace("tetra4", "g_tetra4").replace("tria3", "g_tria3")
        )
        (tmp_path / name).write_text(text)
    mesh = read_mesh(tmp_path / "m.case")
    assert list(mesh.cells) == ["hexahedron"]
    assert (mesh.num_nodes, mesh.cell_c.tolist()) == (8, [1])


def test_variable_of_some_parts(tmp_path):
    path = write_gold(tmp_path, "ascii")
    text = (tmp_path / "m.t010").read_text()
    (tmp_path / "m.t010").write_text(text[: text.index("part", 30)])
    with pytest.warns(
        MeshFileWarning, match=r"the variable 't' is not read: the parts \[7\] do not"
    ):
        mesh = read_mesh(path)
    assert set(mesh.node_fields) == {"v", "s"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [KINDS[0], KINDS[1], KINDS[4]])
@pytest.mark.parametrize("name", ["m.geo", "m.t010", "m.v010", "m.c010", "m.case"])
def test_cuts_of_gold(tmp_path, refuse_cuts, kind, name):
    """A cut between two parts leaves a variable that one part does not have."""
    path = write_gold(tmp_path, kind)
    refuse_cuts(path, tmp_path / name)


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[1], KINDS[4]])
@pytest.mark.parametrize("name", ["m.geo", "m.v", "m.c"])
def test_cuts_of_six(tmp_path, refuse_cuts, kind, name):
    path, _ = write_six(tmp_path, kind)
    refuse_cuts(path, tmp_path / name)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("m.geo", "tetra4", "nfaced", r"polyhedra \(nfaced\) are not supported; decompose"),
        ("m.geo", "tria3", "nsided", r"polygons \(nsided\) are not supported; decompose"),
        ("m.geo", "tria3", "tria5", r"m\.geo, line \d+: expected elements of one of point, bar2"),
        ("m.geo", " 8\n", " 9\n", r"m\.geo, line \d+: expected"),
        ("m.geo", "node id given", "node id", "expected 'node id' and one of off, assign, given"),
        ("m.t010", "coordinates", "coordinates partial", "'partial' of 't' is not read"),
        (
            "m.t010",
            "         7",
            "         8",
            r"m\.t010, .*expected a part of the geometry \(got 8",
        ),
        ("m.t010", " 5.00000e+00", " 5.0000oe+00", r"m\.t010, line \d+: expected 4 numbers"),
        ("m.case", "m.t***", "../m.t***", "refers to '../m.t.*', which is outside"),
        ("m.case", "m.t***", "m.missing", "refers to 'm.missing', which is missing"),
        ("m.case", "scalar per node: 1", "scalar per node: 2", "expected the time set 2 in TIME"),
        ("m.case", "number of steps: 1", "number of steps: 2", "expected 2 times"),
        ("m.case", "ensight gold", "ensight five", "expected the type 'ensight' or 'ensight gold'"),
        ("m.case", "model:   m.geo", "rigid_body: m.r", "'rigid_body' of GEOMETRY is not read"),
        ("m.case", "model:   m.geo", "model: m.geo change_coords_only", "store every step whole"),
    ],
)
def test_damage_is_named(tmp_path, name, old, new, message):
    path = write_gold(tmp_path, "ascii")
    text = (tmp_path / name).read_text()
    assert old in text
    (tmp_path / name).write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=message) as told:
        read_mesh(path)
    assert "m.case: " in str(told.value)
    assert len(str(told.value).splitlines()) == 1


def test_times_of_a_damaged_case(tmp_path):
    path = write_gold(tmp_path, "ascii", steps=2)
    path.write_text(path.read_text().replace("time values: 0.0", "time values: x"))
    with pytest.raises(ValueError, match=r"m\.case: line \d+: could not convert string to float"):
        mesh_times(path)


def test_blank_lines_of_texts(tmp_path):
    """Blank lines separate the parts of files that are written by hand; a title may be blank."""
    path = write_gold(tmp_path, "ascii")
    expected = read_mesh(path)
    for file in ("m.geo", "m.t010"):
        text = (tmp_path / file).read_text()
        for word in ("part\n", "coordinates\n", "tria3\n", "tetra4\n"):
            text = text.replace(word, f"\n \n{word}")
        (tmp_path / file).write_text(text + "\n")
    got = read_mesh(path)
    assert got.pos.tolist() == expected.pos.tolist()
    assert got.cell_index.tolist() == expected.cell_index.tolist()
    assert got["t"].tolist() == expected["t"].tolist()


@pytest.mark.parametrize("kind", ["C Binary little", "C Binary big"])
def test_reason_in_the_order_of_bytes_of_the_file(tmp_path, kind):
    path = write_gold(tmp_path, kind)
    content = (tmp_path / "m.geo").read_bytes()
    (tmp_path / "m.geo").write_bytes(content.replace(b"tetra4", b"nfaced"))
    with pytest.raises(ValueError, match=r"m\.geo, at byte .*: polyhedra \(nfaced\) are not"):
        read_mesh(path)


def test_what_is_not_read_is_told(tmp_path):
    path = write_gold(tmp_path, "ascii")
    text = path.read_text()
    for old, new, message in (
        (
            "VARIABLE\n",
            "VARIABLE\ncomplex scalar per node: p a b 1\n",
            "'complex scalar per node: p",
        ),
        ("VARIABLE\n", "VARIABLE\nscalar per measured node: p a\n", "'scalar per measured node: p"),
        ("model:", "measured: m.mea\nmodel:", "'measured' of GEOMETRY is not read"),
    ):
        path.write_text(text.replace(old, new))
        (tmp_path / "m.mea").touch()
        with pytest.warns(MeshFileWarning, match=message):
            mesh = read_mesh(path)
        assert set(mesh.node_fields) == {"t", "v", "s"}


def test_time_sets_that_differ(tmp_path):
    path = write_gold(tmp_path, "ascii", steps=2)
    text = path.read_text().replace("vector per node: 1", "vector per node: 2")
    second = "time set: 2\nnumber of steps: 2\nfilename numbers: 10 15\ntime values: 0 {}\n"
    path.write_text(text + second.format(0.5))
    np.testing.assert_array_equal(read_mesh(path, step=1).v[:, 0], read_mesh(path, step=1).t)
    path.write_text(text + second.format(0.7))
    with pytest.raises(ValueError, match="its variables have different times, which are not read"):
        read_mesh(path, step=1)
