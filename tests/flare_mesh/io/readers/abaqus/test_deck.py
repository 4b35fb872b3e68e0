import random
import warnings

import numpy as np
import pytest

from flare_mesh.io import MeshFileWarning, read_mesh, write_mesh
from flare_mesh.io.readers.abaqus import limits

# As programs write it: parts, comments, continued lines, sets, a step.
CAE = """*Heading
** Job name: a, Model name: b
*Part, name=P
*Node
      1,           0.,           0.,           0.
      2,         1.25,           0.,           0.
      3,         1.25,          0.5,           0.
      4,           0.,          0.5,           0.
     15,           0.,           0.,         2.75
     16,         1.25,           0.,         2.75
     17,         1.25,          0.5,         2.75
     18,           0.,          0.5,         2.75
*Element, type=C3D8R
1,   1,   2,   3,   4,
15,  16,  17,  18
*Nset, nset=Set-1, generate
  1,  18,   1
*Elset, elset=Set-1
 1,
** Section: Section-1
*Solid Section, elset=Set-1, material=Steel
,
*End Part
*Assembly, name=Assembly
*Instance, name=P-1, part=P
          0.,           0.,          12.5
*End Instance
*Nset, nset=Set-1, instance=P-1
 1,  2,  3,  4
*End Assembly
*Material, name=Steel
*Elastic
210000., 0.3
*Step, name=Step-1, nlgeom=NO
*Static
1., 1., 1e-05, 1.
*Boundary
Set-1, 1, 3
*Restart, write, frequency=0
*Output, field, variable=PRESELECT
*End Step
"""
FLAT = """** flat
*NODE, NSET=Nall
1, 0.25, 0.75, 0.5
2, 1.25, 0.75, 0.5
3, 1.25, 1.75, 0.5
4, 0.25, 1.75, 0.5
*ELEMENT, TYPE=S4R, ELSET=Eall
11, 1, 2, 3, 4
*NSET, NSET=FIX
1, 4
"""


def same(mesh, other):
    fields = {**mesh.node_fields, **mesh.cell_fields}
    others = {**other.node_fields, **other.cell_fields}
    return (
        np.array_equal(mesh.pos, other.pos)
        and np.array_equal(mesh.cell_index, other.cell_index)
        and fields.keys() == others.keys()
        and all(np.array_equal(fields[name], others[name]) for name in fields)
    )


@pytest.mark.parametrize("text", [CAE, FLAT])
def test_line_ends_and_encodings(read, text):
    whole = read(text)
    data = text.replace("** flat", "** Maß").encode("latin-1")
    for other in (
        text.replace("\n", "\r\n").encode(),
        text.replace("\n", "\r").encode(),
        b"\xef\xbb\xbf" + text.encode(),
        data,
        text.replace("*N", "*n").replace("type=", "TYPE =").replace("ELSET=", "elset=").encode(),
        text.replace("\n", "  \n\n").replace(", ", "\t,  ").replace("\n**", "\n  **").encode(),
    ):
        assert same(read(other), whole)


@pytest.mark.parametrize("text", [CAE, FLAT])
def test_cuts(read, text):
    """A cut is an error or leaves the whole mesh.

    A deck without parts has no end: if it is cut after a line, what follows cannot be missed. Only
    these cuts may leave less, and only sets and elements of later blocks.
    """
    whole = read(text)
    ends = [at for at, letter in enumerate(text) if letter == "\n"]
    for size in sorted({*range(0, len(text), 7), *ends, *(at + 1 for at in ends[:-1])}):
        try:
            with warnings.catch_warnings(action="ignore", category=MeshFileWarning):
                cut = read(text[:size])
        except ValueError:
            continue
        at_line_end = text[:size].endswith("\n")
        assert same(cut, whole) or (text is FLAT and at_line_end), text[:size]


def test_random_cuts_of_many_blocks(tmp_path):
    """Cuts of a larger deck with an assembly: error or the same mesh."""
    rng = np.random.default_rng(0)
    rows = enumerate(rng.random((300, 3)).tolist(), 1)
    nodes = "".join(f"{i}, {x!r}, {y!r}, {z!r}\n" for i, (x, y, z) in rows)
    elements = "".join(f"{i}, {i}, {i + 1}, {i + 2}, {i + 3}\n" for i in range(1, 290))
    text = (
        f"*Part, name=P\n*Node\n{nodes}*Element, type=C3D4\n{elements}*End Part\n"
        "*Assembly, name=A\n*Instance, name=I, part=P\n*End Instance\n*End Assembly\n"
    )
    path = tmp_path / "deck.inp"
    path.write_text(text)
    whole = read_mesh(path)
    for size in random.Random(0).sample(range(len(text)), 25):
        path.write_text(text[:size])
        try:
            assert same(read_mesh(path), whole)
        except ValueError:
            continue


def test_keyword_lines(read):
    """Continued lines, blanks, quotes, abbreviated parameters, comments between."""
    mesh = read(
        '** c\n *  NODE ,\n NSET = "A, b" ,\n** c\n SYST=R\n1,0\n2, 1\n3, 0, 1\n'
        "* Element,type = s 3\n1, 1, 2, 3\n*nset,nset=B,gen\n1,3,2\n*NODE PRINT, NSET=B\nU\n"
        "*EL PRINT\nS\n*HEADING\n1, 2, 3 * 4\n*END\n"
    )
    assert mesh["A, b"].tolist() == [1, 1, 1]
    assert mesh.B.tolist() == [1, 0, 1]


def test_keywords_that_do_not_change_the_mesh(read):
    text = (
        "*NSET, NSET=EARLY\n1, 3\n" + FLAT + "*TRANSFORM, NSET=FIX, TYPE=C\n0, 0, 0, 0, 0, 1\n"
        "*ORIENTATION, NAME=A, SYSTEM=CYLINDRICAL\n0, 0, 0, 0, 0, 1\n*NODE FILE\nU\n"
        "*SURFACE, NAME=S\nEall, S1\n*RESTART, WRITE\n*MODEL CHANGE, REMOVE\nEall\n"
        "*ELEMENT OUTPUT\nS\n*PARAMETER\na = 2*b\n*PHYSICAL CONSTANTS\n*EL FILE\nE\n"
    )
    mesh = read(text)
    assert mesh.EARLY.tolist() == [1, 0, 1, 0]
    del mesh["EARLY"]
    assert same(mesh, read(FLAT))


def test_own_decks_have_an_end(tmp_path, read):
    """A deck of this library has a last line; what a user adds below it does not matter."""
    path = tmp_path / "m.inp"
    write_mesh(path, read(FLAT))
    text = path.read_text()
    whole = read(text)
    for at, letter in enumerate(text[:-1]):
        if letter == "\n":
            with pytest.raises(ValueError, match="cannot be read as a mesh"):
                read(text[: at + 1])
    assert same(read(text + "*MATERIAL, NAME=STEEL\n"), whole)


def test_elements_at_the_end_that_leave_nodes(read):
    """Elements at the end of a deck without parts may be missing, which only nodes show."""
    deck = FLAT.partition("*NSET, NSET=FIX")[0]
    read(deck)
    with pytest.warns(
        MeshFileWarning, match="it ends with its elements, but 1 nodes belong to non"
    ):
        read(deck.replace("*ELEMENT", "5, 0, 0, 9\n*ELEMENT"))


def test_imperfection(read):
    with pytest.warns(MeshFileWarning, match=r"\*IMPERFECTION is not read"):
        read(FLAT + "*IMPERFECTION, FILE=buckling, STEP=1\n1, 0.1\n")


@pytest.mark.parametrize(
    ("deck", "message"),
    [
        ("", r"expected a keyword line such as \*NODE"),
        ("nonsense\n", "line 1: expected a keyword line that begins with '.' .got b'nonsense'"),
        ("\n** c\n1, 2\n*NODE\n", "line 3: expected a keyword line"),
        ("*HEADING\n*STEP\n", "line 2: .STEP does not end with .END STEP: the file is truncated"),
        ("*HEADING\na\n", "it has no nodes"),
        (FLAT[:-1], "line 9: .NSET ends in line 10 with the file, without a line end"),
        (FLAT + "*NODE", "line 11: .NODE ends in line 11 with the file"),
        (FLAT + "*INCLUDE, INPUT=a.inp\n", "line 11: .INCLUDE includes another file, which is"),
        (FLAT + "*include,\nINPUT=a.inp\n", "line 11: .INCLUDE includes another file"),
        (FLAT + "*IMPORT, STEP=1\nA\n", "line 11: .IMPORT takes the mesh from another analysis"),
        (FLAT + "*ELEMENT, TYPE=S4\n", "line 11: .ELEMENT ends the file without data lines"),
        (FLAT + "*END PART\n", "line 11: .END PART has no .PART before it"),
        (FLAT + "*ASSEMBLY\nNset\n", "line 11: .ASSEMBLY has data lines, which it cannot have"),
        (FLAT + "*NSET, NSET=A, =3\n1\n", "line 11: .NSET has the parameter '', which is not"),
        (FLAT + "*\n1\n", "line 11: . is not a keyword; repair the line"),
        (FLAT + "*OSET, NSET=A\n1\n", "line 11: .OSET is not a keyword; write .NSET in full"),
        (FLAT + "*NODES\n9, 1\n", "line 11: .NODES is not a keyword; write .NODE in full"),
        (FLAT + "*NDOE\n9, 1\n", "line 11: .NDOE is not a keyword; write .NODE in full"),
        (FLAT + "*SYMMETRIC MODEL GENERATION\n", "line 11: .SYMMETRICMODELGENERATION is not read"),
        (FLAT.encode("utf-16"), "expected text in UTF-8 or Latin-1"),
        (FLAT.encode() + bytes(9), "expected text in UTF-8 or Latin-1"),
    ],
)
def test_faults(read, deck, message):
    with pytest.raises(ValueError, match=message):
        read(deck)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ("*ELGEN\n11, 100000, 0, 1, 100000, 0, 100000\n", "leads to a mesh of more than"),
        ("*NODE\n1000000000001, 1\n*NGEN\n1, 1000000000001, 1\n", "leads to a mesh of more than"),
        (
            "*SYSTEM\n*NODE\n1, 0.25, 0.75, 0.5\n" * 6,
            "is one of more than 5 keywords that place or generate",
        ),
        ("".join(f"*K{i}\n" for i in range(2001)), "is one of more than 2000 unknown keywords"),
    ],
)
def test_more_than_the_file_holds(read, monkeypatch, keywords, message):
    monkeypatch.setattr(limits, "_MAX_KEYWORDS", 5)
    with pytest.raises(ValueError, match=message):
        read(FLAT + keywords)


def test_copies_of_instances_are_limited(read, brick):
    big = "".join(f"{i}, 0\n" for i in range(100, 30_000))
    copies = "".join(f"*Instance, name=I{i}, part=P\n*End Instance\n" for i in range(5000))
    text = brick().replace("*Element", f"{big}*Element")
    with pytest.raises(ValueError, match="INSTANCE leads to a mesh of more than"):
        read(f"*Part, name=P\n{text}*End Part\n*Assembly\n{copies}*End Assembly\n")


def test_file_beyond_the_limit(read):
    with pytest.raises(ValueError, match="more than the limit of 100"):
        read(FLAT, max_bytes=100)
