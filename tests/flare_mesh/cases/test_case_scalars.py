import pickle
import time
from collections import deque

import pytest

from flare_mesh.cases.case_scalars import NameScalars, TableScalars
from flare_mesh.io import MeshFileWarning


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_numbers_from_a_table(tmp_path, separator):
    table = tmp_path / "runs.csv"
    rows = [
        ["name ", " speed", "remark"],
        ["plate_u2.5_n1", "1.5", "a, b" if separator != "," else "c"],
        ["plate_u2.0_n1.VTU", " 2 ", "text"],
        ["plate_u2", "3", ""],
        ["", "", ""],
    ]
    table.write_text("\n".join(map(separator.join, [*rows, []])), encoding="utf-8-sig")
    scalars = TableScalars(table)
    assert scalars.columns == ("speed", "remark")
    for name, speed in (("plate_u2.5_n1", 1.5), ("train/plate_u2.0_n1", 2.0), ("plate_u2", 3.0)):
        assert scalars.values(name, ["speed"]) == {"speed": speed}
    # 'plate_u2.5_n1' is not 'plate_u2' with a suffix.
    with pytest.raises(ValueError, match=r"runs\.csv: no row for case 'plate_u2\.5'"):
        scalars.values("plate_u2.5", ["speed"])
    with pytest.raises(ValueError, match="'plate_u2', column 'remark': expected a number"):
        scalars.values("plate_u2", ["remark"])


def test_full_names_take_precedence(tmp_path):
    table = tmp_path / "runs.csv"
    table.write_text("name,a\ntrain/1,1\n1,2\n2,3\n2.vtu,4\n")
    scalars = TableScalars(table)
    assert scalars.values("train/1", ["a"]) == {"a": 1.0}
    assert scalars.values("test/1", ["a"]) == {"a": 2.0}
    with pytest.raises(ValueError, match="several rows for case 'test/2'"):
        scalars.values("test/2", ["a"])


@pytest.mark.parametrize("line", ["sep=;", "SEP=;", '"sep=;"', "sep=;\r", "sep=|", "sep=\t"])
def test_a_stated_separator(tmp_path, line):
    mark = line.strip('"\r')[-1]
    rows = [line, mark.join(["name", "a, b", "c"]), mark.join(["1", "2", "3"]), ""]
    (tmp_path / "runs.csv").write_bytes("\n".join(rows).encode())
    scalars = TableScalars(tmp_path / "runs.csv")
    assert scalars.columns == ("a, b", "c")
    assert scalars.values("1", ["a, b", "c"]) == {"a, b": 2.0, "c": 3.0}


def test_a_table_that_may_be_cut_off(tmp_path):
    table = tmp_path / "runs.csv"
    table.write_text("name,a\n1,2\n2,35")
    with pytest.warns(MeshFileWarning, match=r"runs\.csv: its last line has no line end"):
        TableScalars(table)


def test_paths_name_cases_that_end_alike(tmp_path):
    table = tmp_path / "runs.csv"
    table.write_text(
        "file,a\nresults/train/1.vtu,1\n./test/1.vtu,2\n3.vtu,3\nC:\\runs\\4.VTU,4\n"
        "/scratch/a/5.vtu,5\n/scratch/b/5.vtu,6\n6,7\nx/6,8\n"
    )
    scalars = TableScalars(table)
    cases = ["train/1", "results/train/1", "test/1", "any/3", "4", "a/5", "6", "x/6", "y/6"]
    found = [scalars.values(case, ["a"])["a"] for case in cases]
    assert found == [1, 1, 2, 3, 4, 5, 7, 8, 7]
    for case, message in [("val/1", "no row"), ("1", "several rows"), ("5", "several rows")]:
        with pytest.raises(ValueError, match=f"{message} for case '{case}' in column 'file'"):
            scalars.values(case, ["a"])


def test_names_that_lost_their_zeros(tmp_path):
    (tmp_path / "runs.csv").write_text("name,a\n1,2\n")
    with pytest.raises(ValueError, match="no row for case '001' in .*; it has '1': write '001'"):
        TableScalars(tmp_path / "runs.csv").values("001", ["a"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name,a\n1,ä\n".encode("latin-1"), "save it as CSV in UTF-8"),
        ("name,a\n1,2\n".encode("utf-16"), "save it as CSV in UTF-8"),
        ("name,a\n1,2\n".encode("utf-16-le"), "save it as CSV in UTF-8"),
        (b"name,a,b, a\n1,2,3,4\n", r"several columns are called \['a'\]"),
        (b"name\n1\n", "expected a header"),
        (b"name,a\n", "expected a header"),
        (b"", "expected a header"),
    ],
)
def test_files_that_are_not_tables(tmp_path, content, message):
    (tmp_path / "runs.csv").write_bytes(content)
    with pytest.raises(ValueError, match=r"runs\.csv: .*" + message):
        TableScalars(tmp_path / "runs.csv")
    with pytest.raises(FileNotFoundError, match="no such table"):
        TableScalars(tmp_path / "none.csv")


@pytest.mark.parametrize("text", ["", "nan", "inf", "1,5"])
def test_entries_that_are_not_numbers(tmp_path, text):
    (tmp_path / "runs.csv").write_text(f"name;a\n1;{text}\n")
    with pytest.raises(ValueError, match=rf"'1', column 'a': expected a number \(got '{text}'\)"):
        TableScalars(tmp_path / "runs.csv").values("1", ["a"])


def test_numbers_from_names():
    scalars = NameScalars(r"u(?P<u>-?[\d.]+)_(?P<kind>\w+)")
    assert scalars.values("a/u-2.5_x", ["u"]) == {"u": -2.5}
    with pytest.raises(ValueError, match="'kind': expected a number"):
        scalars.values("u1_x", ["kind"])
    with pytest.raises(ValueError, match="does not match the pattern"):
        scalars.values("v1", ["u"])
    with pytest.raises(ValueError, match="named groups"):
        NameScalars("u")
    with pytest.raises(ValueError, match="not a regular expression"):
        NameScalars("(")


def test_patterns_have_a_limited_time(monkeypatch):
    monkeypatch.setattr("flare_mesh.cases.case_scalars._SECONDS", 0.1)
    slow = NameScalars(r"(?P<n>(a|aa)+)$")
    assert slow.pattern.search("aaa", timeout=1)
    start = time.thread_time()
    with pytest.raises(ValueError, match="takes too long, on the name 'a{80}!'; write it without"):
        slow.values("a" * 80 + "!", ["n"])
    # The time is for all names together.
    slow = NameScalars(r"(?P<n>(a|aa)+)$|(?P<m>)!")
    with pytest.raises(ValueError, match=r"takes too long"):
        deque((slow.values("a" * 17 + "!", []) for _ in range(1000)), maxlen=0)
    assert time.thread_time() - start < 5
    # Such expressions are usual, and fast on names.
    usual = NameScalars(r"(?:[a-z]+_)*(?P<u>-?\d+(?:\.\d+)?(?:e-?\d+)?)(?<!x)$")
    assert usual.values("plate_of_steel_" * 15 + "1.5e-3", ["u"]) == {"u": 1.5e-3}
    assert pickle.loads(pickle.dumps(usual)).values("a_2", ["u"]) == {"u": 2.0}
    assert usual.values("a" * 253 + "_2", ["u"]) == {"u": 2.0}
    with pytest.raises(ValueError, match=r"at most 255 characters for a name pattern \(got 256\)"):
        usual.values("a" * 254 + "_2", ["u"])


@pytest.mark.parametrize("pattern", ["(?P<a>(?R))", "(?P<a>" + "(?:a" * 5000 + ")*" * 5000 + ")"])
def test_patterns_that_only_an_extension_knows(pattern):
    with pytest.raises(ValueError, match="is not a regular expression") as caught:
        NameScalars(pattern)
    assert len(str(caught.value)) < 500
