"""Gmsh's format, from the section "MSH file format" of its reference manual."""

import struct

import numpy as np
import pytest
import torch

from flare_mesh import MeshData
from flare_mesh.io import MeshFileWarning, mesh_times, read_mesh, write_mesh
from flare_mesh.mesh.cells import CELL_TYPES

# A square of two triangles whose tags have gaps and no order, and its lower edge.
POINTS = {30: (0, 0, 0), 10: (1, 0, 0), 7: (1, 1, 0), 22: (0, 1, 0)}
LINES = {5: (30, 10)}
TRIANGLES = {9: (30, 10, 7), 4: (30, 7, 22)}
NAMES = '$PhysicalNames\n2\n1 1 "lower edge"\n2 2 "plate"\n$EndPhysicalNames\n'


def head(version, order=None):
    text = f"$MeshFormat\n{version} {0 if order is None else 1} 8\n".encode()
    binary = b"" if order is None else struct.pack(f"{order}i", 1) + b"\n"
    return text + binary + b"$EndMeshFormat\n"


def section(name, content):
    content = content.encode() if isinstance(content, str) else content
    return b"$" + name.encode() + b"\n" + content + b"\n$End" + name.encode() + b"\n"


class Packer:
    """Numbers of a section as text, or in binary with a byte order."""

    def __init__(self, order):
        self.order, self.parts = order, []

    def add(self, kind, *values):
        if self.order is None:
            self.parts.append((" ".join(map(repr, values)) + "\n").encode())
        else:
            self.parts.append(struct.pack(f"{self.order}{len(values)}{kind}", *values))
        return self

    def bytes(self):
        return b"".join(self.parts)


def mesh_22(order=None, group=2):
    nodes, elements = Packer(order), Packer(order)
    for tag, point in POINTS.items():
        nodes.add("i", tag).add("d", *map(float, point))
    for kind, tags, cells in ((1, (1, 1), LINES), (2, (group, 1), TRIANGLES)):
        if order is not None:
            elements.add("i", kind, len(cells), 2)
        for tag, corners in cells.items():
            between = (kind, 2) if order is None else ()
            elements.add("i", tag, *between, *tags, *corners)
    return section("Nodes", b"4\n" + nodes.bytes()) + section("Elements", b"3\n" + elements.bytes())


def mesh_41(order=None, groups=(2,)):
    box = [0.0, 0.0, 0.0, 1.0, 1.0, 0.0]
    entities = Packer(order).add("Q", 0, 1, 1, 0)
    entities.add("i", 1).add("d", *box).add("Q", 1).add("i", 1).add("Q", 0)
    entities.add("i", 1).add("d", *box).add("Q", len(groups)).add("i", *groups).add("Q", 1)
    entities.add("i", -1)
    nodes = Packer(order).add("Q", 2, 4, 7, 30)
    for dim, chosen in ((1, [30, 10]), (2, [7, 22])):
        nodes.add("i", dim, 1, int(dim == 1)).add("Q", len(chosen)).add("Q", *chosen)
        for tag in chosen:  # the nodes of the line have a parametric coordinate
            nodes.add("d", *map(float, POINTS[tag]), *([0.25] if dim == 1 else []))
    elements = Packer(order).add("Q", 2, 3, 4, 9)
    for dim, kind, cells in ((1, 1, LINES), (2, 2, TRIANGLES)):
        elements.add("i", dim, 1, kind).add("Q", len(cells))
        for tag, corners in cells.items():
            elements.add("Q", tag, *corners)
    packed = {"Entities": entities, "Nodes": nodes, "Elements": elements}
    return b"".join(section(name, numbers.bytes()) for name, numbers in packed.items())


def view(kind, name, values, *, step=0, time=0.0, order=None):
    width = np.size(next(iter(values.values())))
    numbers = Packer(order)
    for tag, value in values.items():
        numbers.add("i", tag).add("d", *map(float, np.ravel(value)))
    text = f'1\n"{name}"\n1\n{time}\n3\n{step}\n{width}\n{len(values)}\n'
    return section(kind, text.encode() + numbers.bytes())


def write(path, *parts):
    path.write_bytes(b"".join(part.encode() if isinstance(part, str) else part for part in parts))
    return path


FORMS = [("2.2", mesh_22), ("4.1", mesh_41)]


@pytest.mark.parametrize("order", [None, "<", ">"])
@pytest.mark.parametrize(("version", "mesh"), FORMS)
def test_mesh_and_fields_by_tag(tmp_path, version, mesh, order):
    by_node = {tag: [10 * x, y, tag] for tag, (x, y, _) in sorted(POINTS.items())}
    by_element = {4: 40.0, 5: 50.0, 9: 90.0}
    fields = view("NodeData", "u", by_node, order=order)
    fields += view("ElementData", "s", by_element, order=order)
    path = write(tmp_path / "m.msh", head(version, order), NAMES, mesh(order), fields)
    got = read_mesh(path)
    assert got.pos.tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
    assert got.line.tolist() == [[0, 1]]
    assert got.triangle.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert got.u.tolist() == [[0, 0, 30], [10, 0, 10], [10, 1, 7], [0, 1, 22]]
    assert got.cell_fields["s"].tolist() == [50, 90, 40]
    assert got.cell_fields["gmsh:physical"].tolist() == [1, 2, 2]
    assert got.cell_fields["lower edge"].tolist() == [1, 0, 0]
    assert got.cell_fields["plate"].tolist() == [0, 1, 1]


@pytest.mark.parametrize("order", [None, "<"])
@pytest.mark.parametrize(("version", "mesh"), FORMS)
def test_cuts(tmp_path, version, mesh, order, refuse_cuts):
    fields = view("NodeData", "u", dict.fromkeys(POINTS, 1.0), order=order)
    refuse_cuts(write(tmp_path / "m.msh", head(version, order), NAMES, mesh(order), fields))


def test_orders_of_sections_and_unknown_sections(tmp_path):
    """Sections that do not change the mesh are skipped, whatever their place."""
    other = section("Comments", "$ by hand") + section("Periodic", "1\n0 2 1\n1\n30 10")
    data = view("NodeData", "u", {tag: tag for tag in POINTS})
    path = write(tmp_path / "m.msh", head(4.1), data, other, mesh_41(), NAMES)
    assert read_mesh(path).u.tolist() == list(POINTS)


def test_windows_line_ends(tmp_path):
    text = (head(2.2) + mesh_22()).replace(b"\n", b"\r\n")
    assert read_mesh(write(tmp_path / "m.msh", text)).triangle.tolist() == [[0, 1, 2], [0, 2, 3]]


def test_view_that_lacks_elements_or_nodes(tmp_path):
    """What a view does not give is NaN on elements, and refused at nodes: it is not made up."""
    on_plate = view("ElementData", "s", {9: 90.0, 4: 40.0})
    path = write(tmp_path / "m.msh", head(2.2), mesh_22(), on_plate)
    with pytest.warns(MeshFileWarning, match=r"m\.msh: 's' has no value on 1 of 3 elements: NaN"):
        got = read_mesh(path).cell_fields["s"]
    assert got[0].isnan()
    assert got[1:].tolist() == [90, 40]
    path = write(path, head(2.2), mesh_22(), view("NodeData", "u", {30: 1.0, 7: 2.0}))
    with pytest.raises(ValueError, match=r"the view 'u' has no value at 2 of 4 nodes"):
        read_mesh(path)
    path = write(path, head(2.2), mesh_22(), view("ElementData", "s", {4: 1, 5: 1, 9: 1, 77: 1}))
    with pytest.warns(MeshFileWarning, match=r"1 values of 's' belong to nodes or elements not in"):
        read_mesh(path)


def test_partitions_of_a_view(tmp_path):
    """A view of one step may come in several sections, each with some of the elements."""
    first, rest = view("ElementData", "s", {9: 9.0}), view("ElementData", "s", {4: 4.0, 5: 5.0})
    path = write(tmp_path / "m.msh", head(2.2), mesh_22(), first, rest)
    assert read_mesh(path).cell_fields["s"].tolist() == [5, 9, 4]
    path = write(path, head(2.2), mesh_22(), rest, view("ElementData", "s", {9: 9.0, 4: 4.5}))
    with pytest.raises(ValueError, match="'s' has two values for one node or element"):
        read_mesh(path)


def test_steps_of_a_view(tmp_path):
    """The steps are in the order of their index, whatever that of the sections."""
    parts = [
        view("NodeData", "u", {t: time * t for t in POINTS}, step=k, time=time)
        for k, time in ((1, 0.5), (0, 0.25), (2, 2.0))
    ]
    once = view("ElementData", "s", dict.fromkeys((4, 5, 9), 1.0), step=2, time=2.0)
    path = write(tmp_path / "m.msh", head(4.1), mesh_41(), *parts, once)
    assert mesh_times(path) == [0.25, 0.5, 2.0]
    with pytest.raises(ValueError, match=r"has 3 time steps.*0\.25, 0\.5, 2"):
        read_mesh(path)
    last = read_mesh(path, step=-1)
    assert last.u.tolist() == [60, 20, 14, 44]
    assert last.cell_fields["s"].tolist() == [1, 1, 1]
    with pytest.warns(MeshFileWarning, match=r"the views \['s'\] have no values at the chosen"):
        assert read_mesh(path, step=1).u.tolist() == [15, 5, 3.5, 11]


def test_views_that_are_not_fields(tmp_path):
    """Values at the nodes of each element have no place in a mesh, and are not averaged."""
    content = '1\n"w"\n1\n0\n3\n0\n1\n1\n9 3 1 2 3'
    path = write(tmp_path / "m.msh", head(2.2), mesh_22(), section("ElementNodeData", content))
    with pytest.warns(MeshFileWarning, match=r"the view 'w' is left out: its values belong to"):
        assert "w" not in read_mesh(path)


def test_view_with_the_name_of_a_group(tmp_path):
    data = view("ElementData", "plate", {4: 4.0, 5: 5.0, 9: 9.0})
    path = write(tmp_path / "m.msh", head(2.2), NAMES, mesh_22(), data)
    with pytest.warns(MeshFileWarning, match="the view 'plate' has the name of a group"):
        assert read_mesh(path).cell_fields["plate"].tolist() == [5, 9, 4]


def test_entity_in_several_groups(tmp_path):
    names = '$PhysicalNames\n2\n2 2 "plate"\n2 3 "all"\n$EndPhysicalNames\n'
    path = write(tmp_path / "m.msh", head(4.1), names, mesh_41(groups=(-2, 3)))
    got = read_mesh(path).cell_fields
    assert got["plate"].tolist() == got["all"].tolist() == [0, 1, 1]
    assert got["gmsh:physical"].tolist() == [1, 2, 2]


def test_element_written_for_each_group(tmp_path):
    """Version 2.2 repeats an element for each of its groups; it is one element of the mesh."""
    names = '$PhysicalNames\n2\n2 2 "plate"\n2 3 "half"\n$EndPhysicalNames\n'
    rows = "1 2 2 2 1 30 10 7\n2 2 2 2 1 30 7 22\n3 2 2 3 1 30 10 7\n"
    nodes = mesh_22().partition(b"$Elements")[0]
    data = view("ElementData", "s", {1: 1.0, 2: 2.0, 3: 1.0})
    path = write(
        tmp_path / "m.msh", head(2.2), names, nodes, section("Elements", "3\n" + rows), data
    )
    got = read_mesh(path)
    assert got.triangle.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert {name: values.tolist() for name, values in got.cell_fields.items()} == {
        **{"gmsh:physical": [2, 2], "plate": [1, 1], "half": [1, 0], "s": [1, 2]}
    }
    twice = rows.replace(
        "3 2 2 3", "3 2 2 2"
    )  # twice in one group: a fault of the mesh, which stays
    write(path, head(2.2), nodes, section("Elements", "3\n" + twice))
    assert len(read_mesh(path).triangle) == 3


def test_elements_without_group(tmp_path):
    path = write(tmp_path / "m.msh", head(2.2), mesh_22(group=0))
    assert read_mesh(path).cell_fields["gmsh:physical"].tolist() == [1, 0, 0]


# The node numbers of the middles in the figures of the manual's section "Node ordering".
FIGURES = {
    "tetra10": (11, "01 12 02 03 23 13"),
    "hexahedron20": (17, "01 03 04 12 15 23 26 37 45 47 56 67"),
    "hexahedron27": (
        12,
        "01 03 04 12 15 23 26 37 45 47 56 67 0321 0154 0473 1265 2376 4567 01234567",
    ),
    "wedge15": (18, "01 02 03 12 14 25 34 35 45"),
    "wedge18": (13, "01 02 03 12 14 25 34 35 45 0143 0352 1254"),
    "pyramid13": (19, "01 03 04 12 14 23 24 34"),
    "pyramid14": (14, "01 03 04 12 14 23 24 34 0321"),
    "quad8": (16, "01 12 23 03"),
    "quad9": (10, "01 12 23 03 0123"),
    "triangle6": (9, "01 12 02"),
    "line3": (8, "01"),
}


@pytest.mark.parametrize("kind", FIGURES)
def test_second_order(tmp_path, kind):
    """Each node comes to its place in the reference cell, and is written back to its number."""
    number, middles = FIGURES[kind]
    reference = np.array(CELL_TYPES[kind].reference).reshape(CELL_TYPES[kind].num_nodes, -1)
    groups = [list(map(int, text)) for text in middles.split()]
    corners = reference[: len(reference) - len(groups)]
    places = [*corners, *(corners[group].mean(axis=0) for group in groups)]
    nodes = "".join(
        f"{i + 1} {' '.join(map(repr, map(float, [*p, 0, 0][:3])))}\n" for i, p in enumerate(places)
    )
    tags = " ".join(str(i + 1) for i in range(len(places)))
    path = write(
        tmp_path / "m.msh",
        head(2.2),
        section("Nodes", f"{len(places)}\n{nodes}"),
        section("Elements", f"1\n1 {number} 2 0 1 {tags}"),
    )
    got = read_mesh(path)
    corners = got.pos[got.cells[kind][0], : reference.shape[1]]
    torch.testing.assert_close(corners, torch.tensor(reference).float())
    if kind not in ("wedge15", "pyramid13"):  # which meshio cannot write
        write_mesh(path, got)
        assert f" {number} 2 0 0 {tags}\n" in path.read_text().partition("$Elements")[2]


@pytest.mark.parametrize(
    "names", ['2\n1 "lower edge"\n2 "plate"', '2\n       1"lower edge"\n       2"plate"']
)
def test_names_without_dimension(tmp_path, names):
    # As Gmsh 2.0 wrote them: the number of the group and its name.
    section_of_names = section("PhysicalNames", names)
    data = read_mesh(write(tmp_path / "m.msh", head("2"), section_of_names, mesh_22()))
    assert data.cell_fields["lower edge"].tolist() == [1, 0, 0]
    assert data.cell_fields["plate"].tolist() == [0, 1, 1]
    path = write(tmp_path / "m.msh", head("4.1"), section_of_names, mesh_41())
    with pytest.raises(ValueError, match=r"expected dimension, tag and name of a group"):
        read_mesh(path)


def test_names_are_written(tmp_path):
    write(tmp_path / "m.msh", head(2.2), NAMES, mesh_22())
    got = read_mesh(tmp_path / "m.msh")
    write_mesh(tmp_path / "again.msh", got)
    again = read_mesh(tmp_path / "again.msh")
    assert {name: values.tolist() for name, values in again.cell_fields.items()} == {
        **{"gmsh:physical": [1, 2, 2], "lower edge": [1, 0, 0], "plate": [0, 1, 1]}
    }
    got["cell_other"] = torch.tensor([0, 1, 0], dtype=torch.uint8)  # not all cells of a group
    with pytest.raises(ValueError, match=r"cannot hold the fields \['other'\]"):
        write_mesh(tmp_path / "m.msh", got)


NODES, ELEMENTS = mesh_22().partition(b"$Elements")[0], mesh_22().partition(b"$EndNodes\n")[2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (head("4.0") + mesh_41(), r"version 4\.0 of Gmsh's format.*save it as MSH 4\.1 or 2\.2"),
        (b"$NOD\n0\n$ENDNOD\n", "in version 1 of the format; save it as MSH 4.1"),
        (head(2.2) + NODES, r"has no section \$Elements"),
        (head(2.2) + ELEMENTS, r"has no section \$Nodes"),
        (head(2.2) + NODES.replace(b"30\n0.0", b"7\n0.0") + ELEMENTS, "node 7 is defined twice"),
        (
            head(2.2) + NODES + ELEMENTS.replace(b"30 7 22", b"30 7 99"),
            "elements of type triangle refer to node 99, which the file does not define",
        ),
        (head(2.2) + NODES + ELEMENTS.replace(b"4 2 2", b"9 2 2"), "element 9 is defined twice"),
        (
            head(2.2) + NODES + section("Elements", "1\n1 21 2 0 1 1 2 3 4 5 6 7 8 9 10"),
            r"type 21 \(10-node triangle\) are not supported; save the mesh with elements of order",
        ),
        (head(2.2) + section("ParametricNodes", "0") + ELEMENTS, "without parametric coordinates"),
        (
            head(2.2) + NODES + NODES.replace(b"1.0", b"1.5") + ELEMENTS,
            "several different sections",
        ),
        (head(2.2) + NODES.replace(b"4\n", b"400000000000\n", 1) + ELEMENTS, "declares 4000000000"),
        (head(2.2) + NODES + ELEMENTS.replace(b"3\n", b"900000000000\n", 1), "declares 9000000000"),
        (head(4.1) + mesh_41().replace(b"2 4 7 30", b"99999999 4 7 30"), "has fewer numbers"),
        (head(4.1) + mesh_41().replace(b"2 4 7 30", b"2 5 7 30"), "declares 5 entries .got 4"),
        (head(4.1) + mesh_41().replace(b"0.25", b"x", 1), "got 'x'"),
        (head(4.1) + mesh_41() + b"12 13", "expected a section after \\$EndElements"),
    ],
)
def test_refused(tmp_path, content, message):
    path = write(tmp_path / "m.msh", content)
    with pytest.raises(ValueError, match=rf"m\.msh: cannot be read as a mesh \(.*(?:{message})"):
        read_mesh(path)


def test_small_file_with_large_fields(tmp_path):
    views = [view("ElementData", f"s{i}", {9: 1.0}) for i in range(100)]
    path = write(tmp_path / "m.msh", head(2.2), mesh_22(), *views)
    with pytest.raises(ValueError, match="fields take more than 1,000 bytes"):
        read_mesh(path, max_bytes=1000)


def test_neither_gmsh_nor_fluent(tmp_path):
    path = write(tmp_path / "m.msh", "solid\n")
    with pytest.raises(ValueError, match=r"expected a Gmsh file.*or an ANSYS Fluent file"):
        read_mesh(path)
    path = write(tmp_path / "m.msh", "** mesh\n*NODE, NSET=NALL\n1, 0, 0, 0\n")
    with pytest.raises(ValueError, match=r"CalculiX or Abaqus, end its name in \.inp"):
        read_mesh(path)


def test_round_trip_with_many_types(tmp_path):
    pos = torch.rand(40, 3, generator=torch.Generator().manual_seed(0))
    kinds = ("line", "triangle", "tetra", "hexahedron27", "wedge18", "pyramid14")
    cells = {k: torch.arange(CELL_TYPES[k].num_nodes)[None] for k in kinds}
    write_mesh(tmp_path / "m.msh", MeshData(pos, **cells))
    got = read_mesh(tmp_path / "m.msh")
    for kind in kinds:
        expected = cells[kind]
        if not kind.startswith("wedge"):  # whose orientation is that of the volume
            assert torch.equal(got[kind], expected), kind
