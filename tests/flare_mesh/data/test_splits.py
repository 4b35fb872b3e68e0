import pytest
from hypothesis import given
from hypothesis import strategies as st

from flare_mesh.data.splits import split_names


@given(
    st.lists(st.text(max_size=5), unique=True, max_size=60),
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.integers(0, 5),
)
def test_every_name_is_in_one_split(names, shares, seed):
    fractions = {str(i): share / sum(shares) for i, share in enumerate(shares)}
    parts = {key: split_names(names, key, fractions, seed=seed) for key in fractions}
    assert sorted(name for part in parts.values() for name in part) == sorted(names)
    for key, part in parts.items():
        assert abs(len(part) - fractions[key] * len(names)) <= 1


def test_depends_on_names_and_seed_alone():
    names = [f"case_{i}" for i in range(100)]
    test = split_names(names, "test")
    assert len(test) == 20
    assert test == split_names(names[::-1], "test")
    assert test != split_names(names, "test", seed=1)


def test_errors():
    with pytest.raises(ValueError, match=r"unknown split 'val'; choose from \['train', 'test'\]"):
        split_names(["a"], "val")
    with pytest.raises(ValueError, match="add up to 1"):
        split_names(["a"], "train", {"train": 0.5})
    with pytest.raises(ValueError, match="each name once"):
        split_names(["a", "a"], "train")
