import pytest

from flare_mesh.cases.case_tables import find_case_table, read_case_table

NAMES = ["a1", "a2", "a3"]


def test_table_in_or_beside_the_folder(tmp_path):
    root = tmp_path / "results"
    root.mkdir()
    (tmp_path / "costs.csv").write_text("item,price\nbolt,3\nnut,2\n")
    (tmp_path / "broken.csv").write_bytes(b"\xff\xfe\x00")
    assert find_case_table(root, NAMES) is None
    (tmp_path / "runs.csv").write_text("case;load;t\na1.vtu;1.5;2\na2.vtu;2.5;2\n")
    found = find_case_table(root, NAMES)
    assert found.path == tmp_path / "runs.csv"
    assert found.columns == {"load": [1.5, 2.5, None], "t": [2, 2, None]}
    assert found.missing == ("a3",)
    # The table that names more cases is taken.
    whole = "case,load\na1,1\na2,2\na3,3\n"
    (root / "all.csv").write_text(whole)
    assert find_case_table(root, NAMES).columns == {"load": [1, 2, 3]}
    (root / "copy.csv").write_text(whole)
    with pytest.raises(ValueError, match=r"several tables .*all.csv, .*copy.csv; choose one"):
        find_case_table(root, NAMES)


def test_columns_that_are_no_numbers(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("case,load,material,t\na1,1,steel,3\na2,2,brass,n/a\na3,3,steel,4\n")
    found = read_case_table(path, NAMES)
    assert found.columns == {"load": [1, 2, 3]}
    assert found.notes == (
        "column 'material': no numbers",
        "column 't': no number for 1 cases, such as a2",
    )
    with pytest.raises(ValueError, match="no row for case 'b'.*none of the 1 cases"):
        read_case_table(path, ["b"])
