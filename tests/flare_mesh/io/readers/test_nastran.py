"""Values by hand from the "Format of Bulk Data Entries" and the cards' own pages."""

import random

import numpy as np
import pytest
import torch

from flare_mesh.io import MeshFileWarning, read_mesh
from flare_mesh.mesh.cells import CELL_TYPES

THREE = "GRID,1,,0.,0.,0.\nGRID,2,,1.,0.,0.\nGRID,3,,0.,1.,0.\n"
FIVE = THREE + "GRID,4,,1.,1.,0.\nGRID,5,,0.,0.,1.\n"


@pytest.fixture
def read(tmp_path):
    def read(text, **options):
        file = tmp_path / "m.bdf"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_mesh(file, dtype=torch.float64, **options)

    return read


def bulk(text):
    return "BEGIN BULK\n" + text + "ENDDATA\n"


def small(*fields):
    return "".join(f"{field:<8}" for field in fields) + "\n"


def large(*fields):
    return f"{fields[0]:<8}" + "".join(f"{field:>16}" for field in fields[1:]) + "\n"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        *((text, 7.0) for text in ("7.0", ".7E1", "0.7+1", ".70+1", "7.E+0", "70.-1")),
        *(("1.5-3", 1.5e-3), ("-1.5-3", -1.5e-3), ("2.D+0", 2.0), ("2.d0", 2.0), ("-.5", -0.5)),
        *(("-1.", -1.0), ("+3.", 3.0), ("", 0.0), ("1.+10", 1e10), ("1.0e5", 1e5), ("4", 4.0)),
    ],
)
def test_real_numbers(read, written, value):
    for line in (f"GRID,2,,{written},0.,0.\n", small("GRID", 2, "", written, "0.", "0.")):
        data = read(bulk("GRID,1\n" + line))
        assert data.pos.tolist() == [[0, 0, 0], [value, 0, 0]]


@pytest.mark.parametrize("written", ["1.5e", "x", "nan", "inf", "1_0.", "1. 5", "--1.", "1.5E+400"])
def test_no_real_numbers(read, written):
    with pytest.raises(
        ValueError, match=r"m\.bdf: .*line 3: expected a .*in field 5 of GRID \(got"
    ):
        read(bulk("GRID,1\n" + f"GRID,2,,0.,{written},0.\n"))


def test_formats_of_the_same_card(read):
    cards = [
        "GRID,7,,1.,2.,3.\n",
        "grid, 7, , 1., 2., 3.\n",
        "GRID,7,,1.,2.,3.,,,\n",
        small("GRID", 7, "", "1.", "2.", "3."),
        small("grid", "   7", "", "    1.", " 2. ", "3."),
        "GRID\t7\t\t1.\t2.\t3.\n",
        "GRID,7,,1.,2.,3. $ comment, with a comma\n",
        large("GRID*", 7, "", "1.", "2.") + large("*", "3."),
        large("GRID*", 7, "", "1.", "2.")[:-1] + "*A\n" + large("*A", "3."),
        "$ comment\n" + large("GRID*", 7, "", "1.", "2.") + "$ comment\n\n" + large("*", "3."),
        "GRID*,7,,1.,2.\n*,3.\n",
        "GRID*,7,,1.,2.,+\n*,3.\n",
    ]
    for card in cards:
        for end in ("\n", "\r\n", "\r"):
            data = read(bulk(card).replace("\n", end))
            assert data.pos.tolist() == [[1, 2, 3]], card


def test_continuation_lines(read):
    nodes = "".join(
        f"GRID,{i},,{x}.,{y}.,{z}.\n" for i, (z, y, x) in enumerate(np.ndindex(2, 2, 2), 1)
    )
    first = ("CHEXA", 9, 5, 1, 2, 4, 3, 5, 6)
    cards = [
        small(*first) + small("", 8, 7),
        small(*first, "+") + small("+", 8, 7),
        small(*first, "+E9") + small("+E9", 8, 7),
        "CHEXA,9,5,1,2,4,3,5,6,+E\n+E,8,7\n",
        "CHEXA,9,5,1,2,4,3,5,6\n,8,7\n",
        "CHEXA,9,5,1,2,4,3,5,6\n" + small("+", 8, 7),
        large("CHEXA*", 9, 5, 1, 2) + large("*", 4, 3, 5, 6) + large("*", 8, 7),
        small(*first) + large("*", 8, 7),
    ]
    for card in cards:
        data = read(bulk(nodes + card))
        assert data.hexahedron.tolist() == [[0, 1, 3, 2, 4, 5, 7, 6]], card
        assert data["cell_nastran:ref"].tolist() == [5]
        assert data.measures.tolist() == pytest.approx([1])


@pytest.mark.parametrize(
    ("card", "reason"),
    [
        (
            small("CTRIA3", 1, 1, 1, 2, "", "", "", "", "+A") + small("+B", 3),
            "line 6: expected the continu",
        ),
        (large("GRID*", 7, "", "1.", "2.") + large("", "3."), r"line 6: expected '\*' in column 1"),
        (
            large("GRID*", 7, "", 1, 2)[:-1] + "*A\nSPC,1,1,1\n" + large("*A", 3),
            r"line 5: expected the continuation '\*A' on the next line",
        ),
        ("GRID*,7,,1.,2.,3.\n", "line 5: more than 4 values on a line"),
        ("CHEXA,9,5,1,2,4,3,5,6,8,7\n", "line 5: more than 8 values on a line"),
        (f"CTRIA3,1,1,1,2,{'3' * 40}\n", "line 5: a field of 40 characters"),
        ("=,*(1),=,=,=\n", "line 5: replication"),
        ("include 'other.bdf'\n", "line 5: INCLUDE is not read"),
        ("BEGIN SUPER=1\n", "line 5: 'BEGIN SUPER=1' begins another model"),
        ("SELOC,1,1,2,3\n", r"line 5: SELOC \(superelements\) is not read"),
        ("CTRIA3,1,1,1,2,9\n", "line 5: CTRIA3 has the node 9, for which there is no GRID"),
        ("CTRIA3,1,1,1,2,999999999\n", "line 5: CTRIA3 has the node 999999999"),
        ("CTRIA3,1,1,1,2\n", r"line 5: expected CTRIA3 with 3 nodes \(got 2\)"),
        ("CTRIA6,1,1,1,,3,1,2\n", r"line 5: expected CTRIA6 with 3 or 6 nodes \(got 4\)"),
        ("CTRIA3,,1,1,2,3\n", "line 5: expected the number of an element"),
        (
            "CTRIA3,1,1,1,2,3.\n",
            r"line 5: expected a whole number in field 6 of CTRIA3 \(got '3.'\)",
        ),
        ("CTRIA3,1,1,1,2,3\nCTRIA3,1,1,2,3,1\n", "line 6: the element 1 is defined twice"),
        ("GRID,2,,5.,0.,0.\n", "line 5: the grid point 2 is defined twice, at different places"),
        ("GRID,0,,5.,0.,0.\n", "line 5: expected the number of a grid point"),
        ("GRID,4,77,5.,0.,0.\n", "line 5: grid point 4 is in the coordinate system 77, which no"),
        ("GRDSET\nGRDSET\n", "line 5: expected only one GRDSET"),
    ],
)
def test_refused(read, card, reason):
    with pytest.raises(ValueError, match=rf"m\.bdf: cannot be read as a mesh \({reason}"):
        read(bulk(THREE + card))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (THREE, "it has no ENDDATA"),
        (
            "SOL 101\nCEND\n" + THREE + "ENDDATA\n",
            "line 1: case control without a line 'BEGIN BULK'",
        ),
        (bulk("PSHELL,1,1\n"), "it has no GRID"),
        (bulk("+,1\n"), "line 2: a continuation line without a card"),
        (b"\0\1\2ENDDATA\n", "got a binary file"),
    ],
)
def test_refused_files(read, text, reason):
    with pytest.raises(ValueError, match=reason):
        read(text)


def test_sections(read):
    head = "SOL 101\nCEND\nTITLE = $ of a part\nSUBCASE 1\n  LOAD = 3\nbegin bulk\n"
    tail = "CTRIA3,4,2,1,2,3\nenddata\nGRID,nonsense\n"
    for text in (
        head + THREE + tail,
        "\ufeff$ made by X\n" + THREE + tail,
        "BEGIN\n" + THREE + tail,
    ):
        data = read(text)
        assert data.triangle.tolist() == [[0, 1, 2]]
    # A comment in another encoding than UTF-8.
    assert len(read("$ Länge\n".encode("latin-1") + (THREE + tail).encode()).pos) == 3


def test_elements_before_grid_points_and_in_their_order(read):
    cards = (
        "CQUAD4,30,3,1,2,4,3\nCTRIA3,10,1,1,2,3\nCQUAD4,20,2,2,1,3,4\nCROD,5,7,1,5\n"
        "CTRIA3,10,1,1,2,3\n"
    )
    data = read(bulk(cards + FIVE + "GRID,5,,0.,0.,1.\n"))
    assert data.cell_type.tolist() == [9, 5, 9, 3]
    assert data.cell_index.tolist() == [0, 1, 3, 2, 0, 1, 2, 1, 0, 2, 3, 0, 4]
    assert data["cell_nastran:ref"].tolist() == [3, 1, 2, 7]
    assert data["cell_nastran:ref"].dtype == torch.int64


def test_default_properties(read):
    cards = "CBAR,8,,1,2,0.,0.,1.\nCONROD,9,1,3,77,1.\nCTRIA3,6,,1,2,3\nCROD,4,,2,3\n"
    data = read(bulk(THREE + cards))
    assert data["cell_nastran:ref"].tolist() == [8, 0, 6, 4]
    data = read(bulk(THREE + cards + "BAROR,,39,,,0.6,2.9,-5.87\n"))
    assert data["cell_nastran:ref"].tolist() == [39, 0, 6, 4]
    assert data.cells["line"].tolist() == [[0, 1], [0, 2], [1, 2]]


def test_angles_and_offsets_of_shells_are_no_nodes(read):
    """Field 7 of CTRIA3 and field 8 of CQUAD4 are an angle or a coordinate system."""
    cards = [
        "CTRIA3,1,1,1,2,3,45.,0.1\n",
        "CTRIA3,2,1,1,2,3,4\n,,,0.1,0.1,0.1\n",
        "CQUAD4,3,1,1,2,4,3,45.,0.1\n",
        "CQUAD4,4,1,1,2,4,3,5,0.1\n,,,0.1,0.1,0.1,0.1\n",
        "CTRIA6,5,1,1,2,3,,,\n,,45.\n",
        "CQUAD8,6,1,1,2,4,3,0,0\n,0,0,0.1,0.1,0.1,0.1,45.\n",
    ]
    data = read(bulk(FIVE + "".join(cards)))
    assert data.cells["triangle"].tolist() == [[0, 1, 2]] * 3
    assert data.cells["quad"].tolist() == [[0, 1, 3, 2]] * 3


def reference_deck(card, kind, order):
    """The reference cell of a type, whose nodes the card lists in ``order``."""
    points = np.zeros((CELL_TYPES[kind].num_nodes, 3))
    points[:, : CELL_TYPES[kind].dim] = CELL_TYPES[kind].reference
    lines = [f"GRID,{i + 1},,{x},{y},{z}\n" for i, (x, y, z) in enumerate(points)]
    words = [card, "1", "1", *(str(node + 1) for node in order)]
    parts = [words[0], *words[1:9]], *(["", *words[i : i + 8]] for i in range(9, len(words), 8))
    return bulk("".join(lines) + "".join(",".join(part) + "\n" for part in parts))


@pytest.mark.parametrize(
    ("card", "kind", "order"),
    [
        *((card, "line", range(2)) for card in ("CBAR", "CBEAM", "CROD", "CTUBE", "CBUSH")),
        ("CBEAM3", "line3", range(3)),
        *((card, "triangle", range(3)) for card in ("CTRIA3", "CTRIAR", "CPLSTS3", "CTRIA6")),
        *((card, "triangle6", range(6)) for card in ("CTRIA6", "CPLSTN6", "CTRIAX")),
        ("CTRIAX6", "triangle6", (0, 3, 1, 4, 2, 5)),
        *((card, "quad", range(4)) for card in ("CQUAD4", "CQUADR", "CSHEAR", "CQUAD8", "CQUAD")),
        *((card, "quad8", range(8)) for card in ("CQUAD8", "CQUAD", "CPLSTS8")),
        *((card, "quad9", range(9)) for card in ("CQUAD", "CQUADX")),
        ("CTETRA", "tetra", range(4)),
        ("CTETRA", "tetra10", range(10)),
        ("CPYRAM", "pyramid", range(5)),
        ("CPYRA", "pyramid13", range(13)),
        ("CPENTA", "wedge", range(6)),
        # Corners, bottom edges, vertical edges, top edges.
        ("CPENTA", "wedge15", (*range(9), 12, 13, 14, 9, 10, 11)),
        ("CHEXA", "hexahedron", range(8)),
        ("CHEXA", "hexahedron20", (*range(12), 16, 17, 18, 19, 12, 13, 14, 15)),
    ],
)
def test_node_order(read, card, kind, order):
    data = read(reference_deck(card, kind, order))
    assert data.cells[kind].tolist() == [list(range(CELL_TYPES[kind].num_nodes))]
    assert data["cell_nastran:ref"].tolist() == [0 if card == "CTRIAX6" else 1]


def test_cards_that_are_left_out_are_counted(read):
    cards = (
        "RBE2,7,1,123,2,3\nCONM2,8,1,,0.1\nCONM2,9,2,,0.1\nMAT1,1,2.+5,,.3\nPSHELL,1,1,1.\n"
        "SPC1,1,123,1\nCQAUD4,4,1,1,2,3,1\nCQAUD4,5,1,1,2,3,1\nCBUSH,6,1,1\nSPOINT,99\n"
        "CBUSH,16,1,1,2\n"
    )
    with pytest.warns(MeshFileWarning) as caught:
        data = read(bulk(THREE + cards))
    texts = [str(one.message) for one in caught]
    assert len(texts) == 2
    assert texts[0].endswith(
        "cards without cells that are left out: CBUSH (1), CONM2 (2), RBE2 (1)"
    )
    assert texts[1].endswith("unknown cards that are left out: CQAUD4 (2)")
    assert data.cells["line"].tolist() == [[0, 1]]


def test_elements_with_some_of_their_middle_nodes(read):
    """The corners are required, the nodes on the edges are optional, each on its own."""
    cards = (
        "GRID,10,,0.,0.,1.\n"
        "CTRIA6,1,1,1,2,3,9\nCTRIA6,2,1,2,3,1,,9\nCTRIAX6,3,7,1,9,2,,3\n"
        "CTETRA,4,1,1,2,3,10,9\nCTRIA6,5,1,3,1,2,9,9,9\n"
    )
    with pytest.warns(MeshFileWarning) as caught:
        data = read(bulk(THREE + "GRID,9,,.5,0.,0.\n" + cards))
    assert [str(one.message).partition(": ")[2] for one in caught] == [
        "elements without some of their middle nodes, read as their corners: "
        "CTETRA (1), CTRIA6 (2), CTRIAX6 (1)"
    ]
    assert data.triangle.tolist() == [[0, 1, 2], [1, 2, 0], [0, 1, 2]]
    assert data.triangle6.tolist() == [[2, 0, 1, 3, 3, 3]]
    assert data.tetra.tolist() == [[0, 1, 2, 4]]


def test_continuation_lines_of_cards_that_are_not_read(read):
    """As Patran writes PBEAM, small fields after large ones; names of lines with blanks."""
    beam = large("PBEAM*", 1, 1, 1.5, 2.5) + large("*", 0.5, "0.") + small("", 5.5, 2.4, -5.5)
    plate = small("PCOMP", 1, "", "", "", "", "", "", "", "  +A") + small("+A", 1, 0.1)
    data = read(bulk(THREE + beam + plate + "CBEAM,1,1,1,2,0.,0.,1.\n"))
    assert data.cells["line"].tolist() == [[0, 1]]


def test_optistruct(read):
    deck = (
        '$$ HyperMesh\nSUBCASE 1\n  LOAD = 2\nBEGIN BULK\n$HMNAME COMP 1"shell"\n'
        + small("GRID", 1, "", "0.0", "0.0", "0.0")
        + small("GRID", 2, "", "1.0", "0.0", "0.0")
        + small("GRID", 3, "", "0.0", "1.0", "0.0")
        + small("SET", 1, "GRID", "LIST")
        + small("+", 1, 2, 3)
        + small("CTRIA3", 1, 1, 1, 2, 3)
        + "ENDDATA\n"
    )
    assert read(deck).triangle.tolist() == [[0, 1, 2]]


ROTATED = "CORD2R,1,0,1.,0.,0.,1.,0.,1.\n,1.,1.,0.\n"  # x along +y, y along -x, origin at x = 1


@pytest.mark.parametrize(
    ("cards", "point", "expected"),
    [
        (ROTATED, (2, 3, 4), (-2, 2, 4)),
        ("CORD2C,1,,0.,0.,0.,0.,0.,1.\n,1.,0.,0.\n", (2, 90, 5), (0, 2, 5)),
        ("CORD2S,1,0,0.,0.,0.,0.,0.,1.\n,1.,0.,0.\n", (2, 90, 90), (0, 2, 0)),
        ("CORD2S,1,0,0.,0.,0.,0.,0.,1.\n,1.,0.,0.\n", (2, 30, 0), (1, 0, 3**0.5)),
        # A cylinder about the x axis; the angle is counted from z.
        ("CORD2C,1,0,0.,0.,0.,1.,0.,0.\n,0.,0.,1.\n", (2, 90, 5), (5, -2, 0)),
        # Points of the system are in its own reference, a cylindrical one: origin (0, 2, 0).
        (
            "CORD2R,1,5,2.,90.,0.,2.,90.,1.\n,3.,90.,0.\n"
            + ROTATED.replace(",1,0", ",5,0").replace("2R", "2C"),
            (1, 0, 0),
            (-2, 0, 0),
        ),
        # x from grid point 1 to 3, z from 1 to 5; two systems on one card.
        ("CORD1R,3,1,2,3,1,1,5,3\n", (2, 0, 1), (0, 2, 1)),
        ("CORD1C,1,1,5,2\n", (3, 90, 1), (0, 3, 1)),
        ("CORD1S,1,1,5,2\n", (3, 90, 90), (0, 3, 0)),
    ],
)
def test_coordinate_systems(read, cards, point, expected):
    own = ",".join(f"{float(value)}" for value in point)
    for text in (f"GRID,9,1,{own}\n", f"GRID,9,,{own}\nGRDSET,,1\n"):
        others = FIVE.replace(",,", ",0,", 5) if "GRDSET" in text else FIVE
        data = read(bulk(cards + others + text))
        assert data.pos[5].tolist() == pytest.approx(expected, abs=1e-12)
        assert data.pos[1].tolist() == [1, 0, 0]
        assert "nastran:ref" not in data.node_fields


def test_coordinate_system_of_moved_grid_points(read):
    """The grid points of CORD1R are themselves in the system 1."""
    moved = "GRID,11,1,0.,0.,0.\nGRID,12,1,0.,0.,1.\nGRID,13,1,1.,0.,0.\nCORD1R,2,11,12,13\n"
    data = read(bulk("GRID,14,2,1.,0.,0.\n" + moved + ROTATED))
    assert data.pos[0].tolist() == pytest.approx([1, 1, 0])


@pytest.mark.parametrize(
    ("cards", "reason"),
    [
        (
            "CORD2R,1,2,0.,0.,0.,0.,0.,1.\n,1.,0.,0.\nCORD2R,2,1,0.,0.,0.,0.,0.,1.\n,1.,0.,0.\n",
            "line 5: the coordinate system 1 depends on itself or on a system that is not defined",
        ),
        ("CORD2R,1,8,0.,0.,0.,0.,0.,1.\n,1.,0.,0.\n", "line 5: the coordinate system 1 depends"),
        ("CORD1R,1,1,2,4\n", "line 5: the coordinate system 1 depends on itself"),
        ("CORD1R,1,1,2,77\n", "line 5: CORD1R has the grid point 77, which does not exist"),
        ("CORD2R,1,0,0.,0.,0.,0.,0.,1.\n,0.,0.,5.\n", "line 5: the three points .* are on a line"),
        ("CORD2R,1\n", "line 5: the three points"),
        (ROTATED + "CORD1R,1,1,2,3\n", "line 7: the coordinate system 1 is defined twice"),
        (ROTATED + ROTATED.replace("2R", "2C"), "line 7: the coordinate system 1 is defined twice"),
        ("CORD3R,1,1,2,3\n", "grid point 4 is in the coordinate system 1, which no"),
    ],
)
def test_wrong_coordinate_systems(read, cards, reason):
    with pytest.raises(ValueError, match=reason):
        read(bulk(THREE + cards + "GRID,4,1,0.,0.,0.\n"))


def test_chain_of_systems_in_any_order(read):
    """Each system is the one before moved by 1 along x; 3,000 of them need no recursion."""
    count = 3000
    card = "CORD2R,{0},{1},1.,0.,0.,1.,0.,1.\n,2.,0.,0.\n"
    chain = "".join(card.format(i, i - 1) for i in range(count, 0, -1))
    data = read(bulk(f"GRID,1,{count},0.,0.,0.\n" + chain))
    assert data.pos.tolist() == [[count, 0, 0]]


def test_cut_off(tmp_path, read):
    deck = bulk(
        FIVE
        + "CQUAD4,1,1,1,2,4,3\nCTRIA3,2,1,1,2,3\n"
        + large("GRID*", 9, "", 1, 2)
        + large("*", 3.5)
    )
    whole = read(deck)
    size = len(deck.rstrip("\n"))
    for cut in random.Random(0).sample(range(size), 25):
        with pytest.raises(ValueError, match=r"m\.bdf: "):
            read(deck[:cut])
    assert torch.equal(read(deck[:size]).pos, whole.pos)
