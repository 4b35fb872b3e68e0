"""ANSYS Fluent's format, from the appendix "Mesh File Format" of its user's guide."""

import struct

import numpy as np
import pytest
import torch

from flare_mesh.io import mesh_times, read_mesh
from flare_mesh.mesh.cells import CELL_TYPES

# A cube below a pyramid, which shares its upper face; a wedge beside the cube, and a tetrahedron
# beside the pyramid.
POINTS = [
    *((0, 0, 0), (2, 0, 0), (2, 2, 0), (0, 2, 0), (0, 0, 2), (2, 0, 2), (2, 2, 2), (0, 2, 2)),
    *((1, 1, 4), (3, 0, 0), (3, 0, 2), (2, 1, 4)),
]
CELLS = [
    ("hexahedron", (0, 1, 2, 3, 4, 5, 6, 7)),
    ("pyramid", (4, 5, 6, 7, 8)),
    ("wedge", (1, 9, 2, 5, 10, 6)),
    ("tetra", (5, 6, 8, 11)),
]
VOLUMES = {"hexahedron": 8.0, "pyramid": 8 / 3, "wedge": 2.0, "tetra": 2 / 3}
NUMBERS = {"triangle": 1, "tetra": 2, "quad": 3, "hexahedron": 4, "pyramid": 5, "wedge": 6}


def faces_of(cells):
    """Nodes of each face with its one or two cells, interior faces first."""
    found = {}
    for number, (kind, nodes) in enumerate(cells, 1):
        for _, corners in CELL_TYPES[kind].faces:
            face = [nodes[corner] + 1 for corner in corners]
            found.setdefault(frozenset(face), [face]).append(number)
    return sorted(found.values(), key=lambda face: -len(face))


def fluent(points, cells, *, form=0, mixed_faces=True, order="<", seed=None):
    """A file of one zone of cells and two of faces; ``form`` 2 or 3 is binary."""
    dim, faces = len(points[0]), faces_of(cells)
    if seed is not None:
        rng = np.random.default_rng(seed)
        for face in faces:
            face[0] = np.roll(face[0], rng.integers(4))[:: rng.choice([-1, 1])].tolist()
    inside = [face for face in faces if len(face) == 3]
    outside = [(*face, 0) for face in faces if len(face) == 2]

    def section(index, head, numbers, kind="i"):
        if not form:
            text = " ".join(format(n, "x") if kind == "i" else repr(float(n)) for n in numbers)
            return f"({index} ({head})(\n{text}\n))\n".encode()
        kind = {2: "f", 3: "d"}[form] if kind == "d" else kind
        data = struct.pack(f"{order}{len(numbers)}{kind}", *numbers)
        begin = f"({form}0{index} ({head})(".encode()
        return begin + data + f")\nEnd of Binary Section   {form}0{index})\n".encode()

    def rows(chosen):
        numbers = []
        for nodes, *sides in chosen:
            numbers += [*([len(nodes)] if mixed_faces else []), *nodes, *sides]
        return numbers

    face_kind = 0 if mixed_faces else len(faces[0][0])
    kinds = [NUMBERS[kind] for kind, _ in cells]
    n, c, i, f = len(points), len(cells), len(inside), len(faces)
    return b"".join(
        [
            b'(0 "by hand (with a parenthesis")\n(1 "test ) 1.0")\n',
            f"({2} {dim})\n(4 ({60 if order == '<' else 1} 0 0 1 2 4 4 4 8 4 4))\n".encode(),
            f"(10 (0 1 {n:x} 0 {dim}))\n".encode(),
            section(10, f"1 1 {n:x} 1 {dim}", np.ravel(points).tolist(), "d"),
            f"(12 (0 1 {c:x} 0))\n(13 (0 1 {f:x} 0))\n".encode(),
            section(12, f"a 1 {c:x} 1 0", kinds),
            section(13, f"b 1 {i:x} 2 {face_kind:x}", rows(inside)) if inside else b"",
            section(13, f"c {i + 1:x} {f:x} 3 {face_kind:x}", rows(outside)),
            b'(37 (\n(title "a \\" b")\n(nested ((1 2) ()))))\n',
            b"(45 (10 fluid water)())\n(45 (11 interior middle)())\n(39 (12 wall skin 1)())\n",
        ]
    )


@pytest.fixture
def write(tmp_path):
    def write(content, name="m.msh"):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return write


@pytest.mark.parametrize("name", ["m.msh", "m.cas"])
@pytest.mark.parametrize(("form", "order"), [(0, "<"), (2, "<"), (3, "<"), (3, ">")])
def test_cells_from_faces(write, form, order, name):
    path = write(fluent(POINTS, CELLS, form=form, order=order), name)
    got = read_mesh(path)
    assert mesh_times(path) == []
    assert list(got.cells) == [kind for kind, _ in CELLS]
    volumes = dict(zip(got.cells, got.measures.tolist(), strict=True))
    assert volumes == pytest.approx(VOLUMES)
    for kind, nodes in CELLS:
        assert sorted(got[kind][0].tolist()) == sorted(nodes)
    assert got.cell_fields["water"].tolist() == [1, 1, 1, 1]
    assert "middle" not in got
    assert got.skin.tolist() == [1] * 12
    got.check()


@pytest.mark.parametrize("seed", range(3))
def test_order_of_nodes_in_the_faces(write, seed):
    """Whatever node a face begins with, and on which side its cells are, volumes are positive."""
    got = read_mesh(write(fluent(POINTS, CELLS, seed=seed)))
    assert got.measures.tolist() == pytest.approx(list(VOLUMES.values()))


def test_flat_mesh(write):
    points = [(0, 0), (1, 0), (1, 1), (0, 1), (2, 0)]
    cells = [("quad", (0, 1, 2, 3)), ("triangle", (1, 4, 2))]
    got = read_mesh(write(fluent(points, cells, mixed_faces=False)))
    assert got.measures.tolist() == [1, 0.5]
    assert got.pos[:, 2].tolist() == [0] * 5
    assert torch.equal(got.quad.sort().values, torch.tensor([[0, 1, 2, 3]]))


@pytest.mark.parametrize("form", [0, 3])
def test_cuts(write, form, refuse_cuts):
    refuse_cuts(write(fluent(POINTS, CELLS, form=form).rpartition(b"(45 (10")[0]))


def test_boundary_of_part_of_the_nodes(write):
    text = fluent(POINTS, CELLS).replace(b"(39 (12 wall skin 1)())", b"(39 (12 wall skin 1)")
    with pytest.raises(ValueError, match="a section does not end; the file is cut off"):
        read_mesh(write(text))
    cube = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)]
    points = [*cube, *((x, y, z + 1) for x, y, z in cube[4:])]
    cells = [("hexahedron", tuple(range(8))), ("hexahedron", tuple(range(4, 12)))]
    text = fluent(points, cells, mixed_faces=False)
    # The first face of the boundary is the lower one, a zone of its own.
    text = text.replace(b"(13 (c 2 b 3 4)(\n", b"(13 (d 2 2 3 4)(\n")
    first, rest = text.split(b"(13 (d 2 2 3 4)(\n")
    numbers = rest.split(b"\n))")[0].split()
    lower = next(i for i in range(0, 60, 6) if set(numbers[i : i + 4]) == {b"1", b"2", b"3", b"4"})
    zone = numbers[lower : lower + 6]
    others = numbers[:lower] + numbers[lower + 6 :]
    parts = (b" ".join(zone), b"\n))\n(13 (c 3 b 3 4)(\n", b" ".join(others))
    text = first + b"(13 (d 2 2 3 4)(\n" + b"".join(parts) + b"\n))" + rest.partition(b"\n))")[2]
    got = read_mesh(write(text + b"(45 (13 wall floor)())"))
    assert got.floor.tolist() == [1] * 4 + [0] * 8
    assert len(got.hexahedron) == 2


WHOLE = fluent(POINTS, CELLS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (WHOLE + b"(58 (1 2 3 4)(\n2 1 2))", "tree of cells, thus hanging nodes"),
        (WHOLE.replace(b"(12 (a 1 4 1 0)", b"(12 (a 1 4 20 0)"), "inactive parent cells"),
        (WHOLE.replace(b"\n4 5 6 2\n", b"\n4 5 6 6\n"), "cell 4 has the faces of a tetra"),
        (WHOLE.replace(b"(12 (0 1 4 0))", b"(12 (0 1 5 0))"), r"declares 5 cells \(got 4\)"),
        (WHOLE.replace(b"(10 (0 1 c", b"(10 (0 1 d"), r"declares 13 nodes \(got 12\)"),
        (WHOLE.replace(b"(10 (1 1 c", b"(10 (1 2 c"), "nodes 1 to 1 are missing or repeated"),
        (WHOLE.replace(b"2.0 0.0 0.0", b"2.0 0.0"), r"12 nodes of 3 coordinates.*got 33 numbers"),
        (WHOLE.replace(b"(13 (b 1 3 2 0)(\n4 ", b"(13 (b 1 3 2 0)(\n5 "), "faces of 5 nodes: poly"),
        (WHOLE.replace(b" 3 6 7 9 2 4", b" 3 6 7 9 2 9"), "a cell that the file does not define"),
        (WHOLE.replace(b" 3 6 7 9 2 4", b" 3 6 7 c 2 4"), "the faces of some cells do not enclose"),
        (WHOLE.replace(b" 3 6 7 9 2 4", b" 3 6 7 x 2 4"), "hexadecimal integers in section 13"),
        (
            WHOLE.replace(b"(12 (a 1 4 1 0)", b"(12 (a 1 ffffffffff 1 2)"),
            "declares 4 cells|too few",
        ),
        (b"(0 x)", "expected one of the sections 10, 2010 and 3010 with its nodes"),
        (b"(" * 1000, "expected a section"),
        (b"(1 " + b"(" * 100_000, "a section does not end"),
    ],
)
def test_refused(write, text, message):
    assert text != WHOLE
    with pytest.raises(ValueError, match=rf"m\.msh: cannot be read as a mesh \(.*(?:{message})"):
        read_mesh(write(text))


def test_polygons_and_polyhedra(write):
    ring = [(np.cos(a), np.sin(a)) for a in np.arange(5) * 2 * np.pi / 5]
    lines = [f"{i + 1} {(i + 1) % 5 + 1} 1 0" for i in range(5)]
    text = "(2 2)(10 (1 1 5 1 2)(" + " ".join(f"{x} {y}" for x, y in ring) + "))"
    text += "(12 (2 1 1 1 7))(13 (3 1 5 3 2)(" + "\n".join(lines) + "))"
    with pytest.raises(ValueError, match=r"1 cells, the first of them 1, are polyhedra, polygons"):
        read_mesh(write(text.encode()))


def test_step(write):
    with pytest.raises(ValueError, match=r"expected a step from -1 to 0 \(got 3\)"):
        read_mesh(write(WHOLE), step=3)
