"""I-deas universal files, from the descriptions of the universal datasets."""

import numpy as np
import pytest
import torch

from flare_mesh.io import MeshFileWarning, read_mesh
from flare_mesh.mesh.cells import CELL_TYPES

POINTS = {40: (0, 0, 0), 10: (1, 0, 0), 30: (1, 1, 0), 7: (0, 1, 0), 25: (0, 0, 1)}


def ints(*values):
    lines = [values[i : i + 8] for i in range(0, len(values), 8)]
    return "".join("".join(f"{value:10d}" for value in line) + "\n" for line in lines)


def reals(*values):
    return "".join(f"{value:25.16E}" for value in values).replace("E", "D") + "\n"


def dataset(number, *records):
    return f"    -1\n{number:6d}\n{''.join(records)}    -1\n"


def nodes(points=POINTS, number=2411, system=1):
    records = [ints(tag, system, 1, 11) + reals(*point) for tag, point in points.items()]
    return dataset(number, *records)


def element(label, descriptor, *corners):
    beam = ints(0, 1, 1) if descriptor in (11, 21, 22, 23, 24) else ""
    return ints(label, descriptor, 2, 1, 7, len(corners)) + beam + ints(*corners)


ELEMENTS = dataset(
    2412,
    element(8, 11, 40, 10),
    element(3, 91, 40, 10, 30),
    element(5, 91, 40, 30, 7),
    element(4, 111, 40, 10, 7, 25),
)


def group(number, name, *members):
    values = [value for kind, label in members for value in (kind, label, 0, 0)]
    return ints(number, 0, 0, 0, 0, 0, 0, len(members)) + name + "\n" + ints(*values)


GROUPS = dataset(
    2467, group(1, "base plate", (8, 3), (8, 5)), group(2, "fixed", (7, 7), (7, 40), (8, 4))
)


@pytest.fixture
def write(tmp_path):
    def write(*parts):
        path = tmp_path / "m.unv"
        path.write_bytes("".join(parts).encode())
        return path

    return write


def check(got):
    assert got.pos.tolist() == [list(point) for point in POINTS.values()]
    assert got.line.tolist() == [[0, 1]]
    assert got.triangle.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert got.tetra.tolist() == [[0, 1, 3, 4]]
    assert got.measures[-1] == pytest.approx(1 / 6)
    assert got.fixed.tolist() == [1, 0, 0, 1, 0]
    assert {name: values.tolist() for name, values in got.cell_fields.items()} == {
        "base plate": [0, 1, 1, 0],
        "fixed": [0, 0, 0, 1],
    }


def test_nodes_elements_and_groups(write):
    check(read_mesh(write(nodes(), ELEMENTS, GROUPS)))


def test_any_order_and_other_datasets(write):
    other = dataset(151, "a model\n-1 is no line of its own\n")
    check(read_mesh(write(GROUPS, other, ELEMENTS, nodes())))
    check(read_mesh(write((nodes() + ELEMENTS + GROUPS).replace("\n", "\r\n"))))
    half = dict(list(POINTS.items())[:2]), dict(list(POINTS.items())[2:])
    check(read_mesh(write(*map(nodes, half), ELEMENTS, GROUPS)))


def test_older_datasets(write):
    """Dataset 781 is like 2411, dataset 15 has a line per node, 780 more numbers per element."""
    older = dataset(
        780,
        *(
            ints(label, kind, 0, 2, 0, 1, 7, len(corners)) + beam + ints(*corners)
            for label, kind, corners, beam in (
                (8, 11, (40, 10), ints(0, 1, 1)),
                (3, 91, (40, 10, 30), ""),
                (5, 91, (40, 30, 7), ""),
                (4, 111, (40, 10, 7, 25), ""),
            )
        ),
    )
    single = dataset(
        15,
        *(
            f"{tag:10d}{0:10d}{1:10d}{11:10d}" + "".join(f"{x:13.5E}" for x in point) + "\n"
            for tag, point in POINTS.items()
        ),
    )
    for places in (nodes(number=781, system=0), single):
        check(read_mesh(write(places, older, GROUPS)))
    with pytest.raises(ValueError, match="dataset 781 are in the coordinate system 2, which"):
        read_mesh(write(nodes(number=781, system=2), ELEMENTS))


# Nodes along the edges in turn, as the figures of I-deas number parabolic elements.
FIGURES = {
    "line3": (24, "0 01 1"),
    "triangle6": (92, "0 01 1 12 2 02"),
    "quad8": (95, "0 01 1 12 2 23 3 03"),
    "tetra10": (118, "0 01 1 12 2 02 03 13 23 3"),
    "wedge15": (113, "0 01 1 12 2 02 03 14 25 3 34 4 45 5 35"),
    "hexahedron20": (116, "0 01 1 12 2 23 3 03 04 15 26 37 4 45 5 56 6 67 7 47"),
    "wedge": (112, "0 1 2 3 4 5"),
    "hexahedron": (115, "0 1 2 3 4 5 6 7"),
    "quad": (94, "0 1 2 3"),
}


@pytest.mark.parametrize("kind", FIGURES)
def test_cell_types(write, kind):
    descriptor, text = FIGURES[kind]
    reference = np.array(CELL_TYPES[kind].reference)
    places = [np.mean([reference[int(c)] for c in node], axis=0) for node in text.split()]
    points = {i + 1: (*place, 0.0, 0.0)[:3] for i, place in enumerate(places)}
    elements = dataset(2412, element(1, descriptor, *points))
    got = read_mesh(write(nodes(points), elements))
    corners = got.pos[got.cells[kind][0], : reference.shape[1]]
    torch.testing.assert_close(corners, torch.tensor(reference).float())
    assert (got.measures > 0).all()


def test_cuts(write, refuse_cuts):
    refuse_cuts(write(nodes(), ELEMENTS, GROUPS))


def test_units(write):
    unit = f"{5:10d}{'mm (milli-newton)':20s}{2:10d}\n" + reals(1000.0, 1.0, 1.0) + reals(273.15)
    path = write(dataset(164, unit), nodes(), ELEMENTS)
    with pytest.warns(MeshFileWarning, match=r"in units of 1/1000 m \(mm \(milli-newton\)\), and"):
        assert read_mesh(path).pos.max() == 1
    read_mesh(
        write(dataset(164, unit.replace("1.0000000000000000D+03", "1.0D+00")), nodes(), ELEMENTS)
    )


def test_what_is_left_out(write):
    spring = dataset(2412, element(99, 136, 40, 10), element(98, 161, 7))
    with pytest.warns(MeshFileWarning, match="2 springs, masses and rigid elements are left out"):
        check(read_mesh(write(nodes(), ELEMENTS, spring, GROUPS)))
    with pytest.warns(MeshFileWarning, match="the results of the datasets 55, 2414 are not read"):
        check(read_mesh(write(nodes(), ELEMENTS, GROUPS, dataset(2414, "x\n"), dataset(55, "x\n"))))


def system(number, kind, shift):
    rows = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (shift, 0, 0)]
    return ints(number, kind, 0) + f"CS{number}\n" + "".join(reals(*row) for row in rows)


def test_coordinate_systems(write):
    text = dataset(2420, ints(1), "part\n", system(1, 0, 0.0), system(5, 1, 0.0), system(6, 0, 2.0))
    check(read_mesh(write(text, nodes(), ELEMENTS, GROUPS)))
    for number in (5, 6):  # a cylindrical and a shifted one
        with pytest.raises(ValueError, match=f"the coordinate system {number}, which is not supp"):
            read_mesh(write(text, nodes(system=number), ELEMENTS))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (("solid x",), "whose datasets begin and end with a line of -1"),
        ((nodes(),), "has no elements .dataset 2412"),
        ((ELEMENTS,), "has no nodes .dataset 2411"),
        ((nodes(), ELEMENTS, "x y\n"), "between two lines of -1 .got 'x' outside"),
        (
            (nodes(), ELEMENTS.replace("        30\n", "        31\n")),
            "refer to node 31, which",
        ),
        ((nodes(), ELEMENTS, ELEMENTS), "element 3 is defined twice"),
        ((nodes(), nodes(), ELEMENTS), "node 7 is defined twice"),
        ((nodes(), dataset(2412, element(1, 117, *POINTS))), "FE descriptor 117, which is not"),
        ((nodes(), dataset(2412, element(1, 111, 7, 40, 10))), "descriptor 111 has 3 nodes"),
        ((nodes(), ELEMENTS.replace("        25\n", "\n")), "incomplete element"),
        ((nodes(), ELEMENTS, GROUPS.replace("         3\n", "        99\n", 1)), "declares 99"),
        ((nodes().replace("1.0000000000000000D+00\n", "\n"), ELEMENTS), "expected 7 numbers on 2"),
        ((nodes().replace("1.0000000000000000D+00\n", "1.0F\n"), ELEMENTS), "got '1.0F'"),
    ],
)
def test_refused(write, parts, message):
    path = write(*parts)
    with pytest.raises(ValueError, match=rf"m\.unv: cannot be read as a mesh \(.*{message}"):
        read_mesh(path)
