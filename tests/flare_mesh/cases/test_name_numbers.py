import pytest

from flare_mesh.cases.case_scalars import NameScalars
from flare_mesh.cases.name_numbers import counts_cases, find_name_numbers


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        # A counter is left out, and words become names.
        (
            ["plate_000_load45.3_t2", "plate_001_load7_t1", "plate_002_load30_t2"],
            {"load": [45.3, 7, 30], "t": [2, 1, 2]},
        ),
        # Also if each split counts for itself.
        (
            ["train/p_0_u3", "train/p_1_u7", "test/p_0_u9", "test/p_1_u2"],
            {"u": [3, 7, 9, 2]},
        ),
        # A minus is a sign if the word also occurs without it, else a separator.
        (["u1.5_a-2", "u2.5_a0", "u9_a-2"], {"u": [1.5, 2.5, 9], "a": [-2, 0, -2]}),
        (["f-5", "f-50", "f-12"], {"f": [5, 50, 12]}),
        (["k=1e-3", "k=2e-3", "k=40"], {"k": [1e-3, 2e-3, 40]}),
        # Numbers in the names of folders, and equal ones, which tell nothing.
        (["load3/v2/out", "load8/v2/out", "load4/v2/out"], {"load": [3, 8, 4]}),
        # Names that differ have the words in common.
        (["beam_load3", "plate_load5_old", "rod7_load8"], {"load": [3, 5, 8]}),
        # Without words, places are counted; a name that a field has is changed.
        (["1.5_30", "2.5_90", "9_70"], {"number1": [1.5, 2.5, 9], "number2": [30, 90, 70]}),
        (["wind3", "wind9", "wind7"], {"wind2": [3, 9, 7]}),
        (["x3_pos4", "x9_pos8", "x40_pos1"], {"x_value": [3, 9, 40], "pos_value": [4, 8, 1]}),
        (["a.b(c)3", "a.b(c)9", "a.b(c)70"], {"number1": [3, 9, 70]}),
    ],
)
def test_numbers_of_names(names, expected):
    found = find_name_numbers(names, taken=["wind"])
    assert found.values == expected
    assert found.pattern is not None
    for number, name in enumerate(names):
        values = NameScalars(found.pattern).values(name, expected)
        assert values == {key: column[number] for key, column in expected.items()}


def test_names_without_numbers():
    for names in (["a", "b"], ["run_1", "run_2", "run_3"], ["v2_a", "v2_b"], ["a3"], []):
        assert find_name_numbers(names).pattern is None
    assert (
        "'run' in the file names, which only counts" in find_name_numbers(["run1", "run2"]).notes[0]
    )
    assert "write 0.25" in find_name_numbers(["t0p25", "t0p5"]).notes[0]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1", "2", "3", "4"], True),
        (["001", "004", "009"], True),
        (["10", "20", "30", "40"], False),
        (["1", "2", "2", "3"], False),
        (["1.0", "2.0", "3.0"], False),
        (["-1", "-2", "-3"], False),
    ],
)
def test_counters(texts, expected):
    assert counts_cases(texts) is expected
