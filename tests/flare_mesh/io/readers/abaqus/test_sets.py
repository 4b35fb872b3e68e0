import pytest
import torch

from flare_mesh.io import MeshFileWarning, read_mesh, write_mesh
from flare_mesh.io.readers.abaqus import limits

STRIP = (
    "*NODE\n"
    + "".join(f"{10 * i}, {i}, {i % 2}\n" for i in range(1, 7))
    + "*ELEMENT, TYPE=S3, ELSET=All\n"
    + "".join(f"{i}, {10 * i}, {10 * i + 10}, {10 * i + 20}\n" for i in range(1, 5))
)


def nodes(mesh, name):
    return [10 * (i + 1) for i in mesh[name].nonzero().ravel().tolist()]


def cells(mesh, name):
    return [i + 1 for i in mesh[f"cell_{name}"].nonzero().ravel().tolist()]


def test_listed_ranges_and_sets_of_sets(read):
    mesh = read(
        STRIP + "*NSET, NSET=a\n10, 20,\n60\n*Nset, nset = B , Generate\n20, 60, 20\n10\n"
        '*NSET, NSET="two words", UNSORTED, INTERNAL\n30,\n*NSET, NSET=C\n A, b\n"two words", 50,\n'
        "*NSET, NSET=a\n30\n*ELSET, ELSET=E, GEN\n2, 3\n*ELSET, ELSET=F\nE, 1\nall\n"
    )
    assert nodes(mesh, "a") == [10, 20, 30, 60]
    assert nodes(mesh, "B") == [10, 20, 40, 60]
    assert nodes(mesh, "two words") == [30]
    assert nodes(mesh, "C") == [10, 20, 30, 40, 50, 60]
    assert cells(mesh, "E") == [2, 3]
    assert cells(mesh, "F") == [1, 2, 3, 4]
    assert mesh.a.dtype == torch.uint8


def test_long_lists(read):
    """Lists that are read at once agree with those that are read number by number."""
    lines = "".join(f"{10 * (1 + i % 3)}, {10 * (1 + i % 2)}\n" for i in range(200))
    mesh = read(f"{STRIP}*NSET, NSET=A\n{lines}")
    assert nodes(mesh, "A") == [10, 20, 30]
    with pytest.raises(ValueError, match="line 214: expected a positive integer .got -1"):
        read(f"{STRIP}*NSET, NSET=A\n{lines}-1\n")


def test_nodes_of_a_set_of_elements(read):
    mesh = read(STRIP + "*ELSET, ELSET=E\n2\n*NSET, NSET=N, ELSET=E\n")
    assert nodes(mesh, "N") == [20, 30, 40]


def test_ranges_beyond_the_mesh(read):
    """A range has the nodes that exist in it, and costs nothing for the others."""
    mesh = read(
        STRIP + "*NSET, NSET=A, GENERATE\n1, 1000000000000, 1\n*NSET, NSET=B, GENERATE\n"
        "30, 1000000000000, 20\n"
    )
    assert nodes(mesh, "A") == [10, 20, 30, 40, 50, 60]
    assert nodes(mesh, "B") == [30, 50]


def test_members_that_do_not_exist(read):
    with pytest.warns(MeshFileWarning, match="not defined are left out: 2 of 'A', first 77; 1 of"):
        mesh = read(STRIP + "*NSET, NSET=A\n10, 77, 78\n*NSET, NSET=B, GENERATE\n100, 200\n")
    assert nodes(mesh, "A") == [10]
    assert nodes(mesh, "B") == []


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ("*NSET, NSET=A\nB\n*NSET, NSET=B\n10\n", "line 13: .NSET uses the set 'B', which is not"),
        ("*NSET, NSET=A\nAll\n", "line 13: .NSET uses the set 'All', which is not defined"),
        ("*NSET\n10\n", "line 13: .NSET has no name"),
        ("*NSET, NSET=A\n0\n", "line 13: .NSET expected positive numbers .got '0'"),
        ("*NSET, NSET=A, GENERATE\n10, 5\n", "line 14: expected a last number above 10 .got 5"),
        ("*NSET, NSET=A, GENERATE\n10, 20, 1, 1\n", "line 14: expected a first and last number"),
        ("*NSET, NSET=A, INSTANCE=P\n10\n", "line 13: .NSET uses the instance 'P', which is not"),
        ("*NSET, NSET=A, GENERATE\n10, B\n", "line 14: expected a number .got 'B'"),
        ("*NSET, NSET=A\n1.5\n", "line 13: .NSET uses the set '1.5', which is not defined"),
    ],
)
def test_faults(read, keywords, message):
    with pytest.raises(ValueError, match=message):
        read(STRIP + keywords)


def test_a_set_that_is_its_own_member(read):
    mesh = read(STRIP + "*NSET, NSET=A\n10\n*NSET, NSET=A\nA, 20\n")
    assert nodes(mesh, "A") == [10, 20]


def test_more_sets_than_fields_can_hold(read, monkeypatch):
    monkeypatch.setattr(limits, "_MAX_SETS", 5)
    many = "".join(f"*NSET, NSET=A{i}\n10\n" for i in range(5))
    with pytest.raises(ValueError, match="is one of more than 5 sets"):
        read(STRIP + many)


def test_sets_over_several_types_are_written(tmp_path, read):
    mesh = read(
        STRIP + "*ELEMENT, TYPE=T3D2, ELSET=Bars\n9, 10, 20\n*ELSET, ELSET=Both\n1, 9\n"
        "*NSET, NSET=Fixed\n10\n"
    )
    write_mesh(tmp_path / "m.inp", mesh)
    again = read_mesh(tmp_path / "m.inp")
    for name in ("All", "Bars", "Both"):
        assert again[f"cell_{name}"].tolist() == mesh[f"cell_{name}"].tolist()
    assert again.Fixed.tolist() == [1, 0, 0, 0, 0, 0]
    mesh.FIXED = 1 - mesh.Fixed
    with pytest.raises(ValueError, match=r"cannot hold the fields \['FIXED'\]"):
        write_mesh(tmp_path / "m.inp", mesh)
