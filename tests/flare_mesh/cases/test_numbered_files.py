import pytest

from flare_mesh.cases.numbered_files import find_numbered_series


def series(names):
    """The numbers of each series, by name, of space-separated names."""
    found = find_numbered_series((name, name) for name in names.split(" "))
    for one in found:
        assert len(one.files) == len(one.numbers)
    return {one.name: [float(number) for number in one.numbers] for one in found}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("s_10 s_8 s_9", {"s": [8, 9, 10]}),
        ("0002 0001", {"": [1, 2]}),
        ("a1 b1 a2 b2", {"a": [1, 2], "b": [1, 2]}),
        ("plate_0.5 plate_0.75 plate_1.0 plate_1.25", {"plate": [0.5, 0.75, 1, 1.25]}),
        ("plate_0.75 plate_0.5 plate_0.05 plate_0.1", {"plate": [0.05, 0.1, 0.5, 0.75]}),
        ("plate_0 plate_0.5 plate_1 plate_4.25", {"plate": [0, 0.5, 1, 4.25]}),
        ("p_1e-2 p_1e-3 p_2e-3 p_1.5E+01", {"p": [0.001, 0.002, 0.01, 15]}),
        ("p_-1 p_0 p_-0.5", {"p": [-1, -0.5, 0]}),
        ("p-1 p-2", {"p": [1, 2]}),
        ("t=0.5 t=1 t=10", {"t": [0.5, 1, 10]}),
        ("x_t0.5 x_t0.25 x_t7.5", {"x_t": [0.25, 0.5, 7.5]}),
        ("plate0.5 plate0.75 plate1.0", {"plate": [0.5, 0.75, 1]}),
        # A point between the name and the number.
        ("s.8 s.9 s.10", {"s": [8, 9, 10]}),
        ("run1.001 run1.002 run2.001 run2.002", {"run1": [1, 2], "run2": [1, 2]}),
        ("run_1.001 run_1.002 run_2.001 run_2.002", {"run_1": [1, 2], "run_2": [1, 2]}),
        ("run1.10 run1.20 run1.30", {"run1": [10, 20, 30]}),
        ("part_v1.8 part_v1.9 part_v1.10", {"part_v1": [8, 9, 10]}),
        ("run_1.8 run_1.9 run_1.10", {"run_1": [8, 9, 10]}),
        ("v1.2.3 v1.2.4", {"v1.2": [3, 4]}),
        ("case1e5 case1e6", {"case1e": [5, 6]}),
        # No number at the end, a number alone, or one that can be read in two ways.
        ("s_0p25 s_0p5 1_flow 2_flow", {}),
        ("s_0,25 s_0,5", {}),
        ("p1 p2", {"p": [1, 2]}),
        ("a_1_0.5 a_2_0.5", {}),
        ("x_1e999 x_2e999", {}),
        ("plate0.25 plate0.5 plate3.75", {}),
    ],
)
def test_series(names, expected):
    assert series(names) == expected


def test_a_lost_file_does_not_divide_a_series():
    names = [f"s_{step / 10:.1f}" for step in range(25) if step != 10]
    assert series(" ".join(names)) == {"s": [step / 10 for step in range(25) if step != 10]}


@pytest.mark.parametrize("names", ["s_1 s_001", "s_0.5 s_0.50", "s_1e-1 s_0.1", "s-1 s_1"])
def test_the_same_number_twice(names):
    with pytest.raises(ValueError, match="has the same number, .*; rename or remove one"):
        series(names)


def test_digits_after_the_point():
    (one,) = find_numbered_series([("a", "s_0.5"), ("b", "s_0.75"), ("c", "s_1")])
    assert (one.files, one.digits) == (["a", "b", "c"], 2)
