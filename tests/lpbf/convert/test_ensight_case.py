import pytest

from lpbf.convert.ensight_case import Variable, read_ensight_case
from lpbf.convert.read_netfabb import read_netfabb


def test_contents(tmp_path, write_case):
    case = read_ensight_case(write_case(tmp_path / "a"))
    assert case.num_steps == {1: 8, 2: 5}
    assert case.geometry == "mechanical_*.geo"
    kind = "scalar per node"
    assert case.variables == (
        Variable("Displacement", "vector per node", "mechanical00_*.dis.ens", 1),
        Variable("Von_Mises", kind, "mechanical00_*.svm.ens", 1),
        Variable("Temperature", kind, "mechanical00_*.tmp.ens", 1),
        Variable("Recoater", kind, "mechanical00_*.rct.ens", 1),
    )


def test_one_state(tmp_path):
    path = tmp_path / "a.case"
    path.write_text(
        "# of a single state\nFORMAT\ntype:  ensight gold\nGEOMETRY\nmodel: a.geo\n"
        "VARIABLE\nvector per node: u of the part a.dis\ntensor symm per element: s a.sig\n"
    )
    case = read_ensight_case(path)
    assert case.num_steps == {}
    assert case.variables == (
        Variable("u of the part", "vector per node", "a.dis", None),
        Variable("s", "tensor symm per element", "a.sig", None),
    )


def test_damaged_files_never_reach_vtk(tmp_path, write_case):
    path = write_case(tmp_path / "a")
    text = path.read_text()
    for length in range(0, len(text) - 12, 7):  # truncated anywhere before the last time
        path.write_text(text[:length])
        with pytest.raises(ValueError, match="mechanical.case: "):
            read_netfabb(path)
    for old, new, message in (
        ("ensight gold", "ensight", "expected 'type: ensight gold'"),
        ("model:", "mesh:", "expected one 'model:' line"),
        ("steps: 8", "steps: eight", "damaged at 'number of steps: eight'"),
        ("steps: 8", "steps: 9", "expected 9 time values of time set 1 .got 8"),
        ("time set: 2", "time set: 3", "the time set of 'mechanical.*' is missing"),
        ("1.00000e-01", "soon", "damaged at 'time values: soon"),
    ):
        assert old in text
        path.write_text(text.replace(old, new))
        with pytest.raises(ValueError, match=message):
            read_ensight_case(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="expected a text file"):
        read_ensight_case(path)
