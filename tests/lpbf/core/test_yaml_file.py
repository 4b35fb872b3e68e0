import os

import pytest

from lpbf.core.yaml_file import read_yaml, write_yaml


def test_numbers_follow_yaml_1_2(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(
        "[1e-3, 1E5, -.5, +2., 010, 0, -7, 1_000, 1:30, 0x10, 2024-01-01, yes, '1', ~, .inf]"
    )
    found = read_yaml(path)
    date = "2024-01-01"
    expected = [1e-3, 1e5, -0.5, 2.0, 10.0, 0, -7, "1_000", "1:30", "0x10", date, True, "1"]
    assert found == [*expected, None, float("inf")]
    assert type(found[5]) is int


def test_round_trip(tmp_path):
    values = {"a": [1e-300, 0.1, -5, None, True, "1e5", "yes", "ä: #", "1:30"], "b": {"c": {}}}
    write_yaml(tmp_path / "a.yaml", values)
    assert read_yaml(tmp_path / "a.yaml") == values
    assert list(read_yaml(tmp_path / "a.yaml")) == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a: 1\nb: {c: 1, c: 2}", "line 2: the key 'c' is repeated"),
        (b"a: !!python/name:os.system", "line 1: could not determine a constructor"),
        (b"a: [", "expected YAML of plain values .line 2"),
        (b"a: \xff", "can.t decode byte 0xff"),
        (b"a: \x00", "control characters"),
        (b"a: " + b"[" * 5000, "more than 100 lists and mappings within each other"),
        (b"- " * 5000 + b"1", "more than 100 lists and mappings within each other"),
        (b"a: &a [*a]", "'[*]a' stands within itself"),
    ],
)
def test_bad_file(text, message, tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(text)
    with pytest.raises(ValueError, match=f"a.yaml: .*{message}"):
        read_yaml(path)


def test_values_that_are_not_plain_are_not_written(tmp_path):
    with pytest.raises(Exception, match="cannot represent an object"):
        write_yaml(tmp_path / "a.yaml", {"a": object()})
    assert os.listdir(tmp_path) == []
