import pytest
import yaml

from flare_mesh.documents import (
    MAX_DEPTH,
    MAX_VALUES,
    MAX_YAML_BYTES,
    load_argument,
    load_json,
    load_yaml,
    read_yaml_text,
)


def aliases(levels, width=10):
    """A mapping whose last entry stands for ``width ** levels`` values."""
    lines = [f"a0: &a0 [{', '.join(['x'] * width)}]"]
    for level in range(1, levels):
        before = ", ".join([f"*a{level - 1}"] * width)
        lines.append(f"a{level}: &a{level} [{before}]")
    return "\n".join(lines)


def test_plain_values():
    text = "a: &x [1, 2.5, true, null, text]\nb: *x\nc: {<<: {d: 1}, e: 2024-01-02}\n"
    assert load_yaml(text) == yaml.safe_load(text)
    assert load_yaml("") is None
    assert load_yaml(aliases(3))["a2"][9][9][9] == "x"
    assert load_argument("[1, {a: b}]") == [1, {"a": "b"}]
    assert load_argument("a: b: c") == "a: b: c"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (aliases(9), f"line 6: more than {MAX_VALUES:,} values, aliases included"),
        (aliases(30, 2), "aliases included"),
        ("a: &a {b: 1, <<: *a}", "'[*]a' stands within itself"),
        ("a: &a [*a]", "'[*]a' stands within itself"),
        ("{a: " * (MAX_DEPTH + 1) + "1" + "}" * (MAX_DEPTH + 1), f"more than {MAX_DEPTH} lists"),
        ("- " * 100_000 + "1", f"line 1: more than {MAX_DEPTH} lists"),
        ("[" * 100_000, f"more than {MAX_DEPTH} lists"),
        ("? " * 5000, f"more than {MAX_DEPTH} lists"),
    ],
)
def test_limits(text, message):
    for load in (load_yaml, load_argument):
        with pytest.raises(ValueError, match=message):
            load(text)


def test_the_largest_depth_is_accepted():
    found = load_yaml("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    for _ in range(MAX_DEPTH - 1):
        (found,) = found
    assert found == []


@pytest.mark.parametrize(
    "text",
    ["a: [1", "a: \x00", "a: *b", "!!python/object/apply:os.system [ls]", "!!python/name:os.system",
     "!!int -", "!!bool maybe", "!!timestamp x", "2024-13-45", "9" * 5000, "{[]: 1}",
     "--- 1\n--- 2", "<<: 3"],
)  # fmt: skip
def test_no_yaml(text):
    with pytest.raises(ValueError, match=r"\w"):
        load_yaml(text)


def test_size(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: 1\n")
    assert read_yaml_text(path) == "a: 1\n"
    with path.open("r+b") as file:
        file.truncate(MAX_YAML_BYTES + 1)
    with pytest.raises(ValueError, match="its 4,194,305 bytes are more than 4,194,304"):
        read_yaml_text(path)


def test_json():
    assert load_json('{"a": [1, null]}') == {"a": [1, None]}
    for text in ("[" * 100_000, '{"a":' * 100_000, "[1"):
        with pytest.raises(ValueError, match=r"nested too deeply|delimiter"):
            load_json(text)
