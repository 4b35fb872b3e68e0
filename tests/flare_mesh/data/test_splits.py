import pytest
from hypothesis import given
from hypothesis import strategies as st

from flare_mesh.data.splits import PublishedSplit, spaced_indices, split_names


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


def test_depends_only_on_names_and_seed():
    names = [f"case_{i}" for i in range(100)]
    test = split_names(names, "test")
    assert len(test) == 20
    assert test == split_names(names[::-1], "test")
    assert test != split_names(names, "test", seed=1)


def test_errors():
    with pytest.raises(ValueError, match=r"unknown split 'val'; choose from \['test', 'train'\]"):
        split_names(["a"], "val")
    with pytest.raises(ValueError, match="add up to 1"):
        split_names(["a"], "train", {"train": 0.5})
    with pytest.raises(ValueError, match="each name once"):
        split_names(["a", "a"], "train")


def test_published_counts():
    last, after = PublishedSplit(1000, 200, last=True), PublishedSplit(1000, 200)
    assert last.cases("train", 2000) == after.cases("train", 2000) == range(1000)
    assert last.cases("test", 2000) == range(1800, 2000)
    assert after.cases("test", 2490) == range(1000, 1200)


def test_fewer_cases_keep_the_proportion():
    split = PublishedSplit(1000, 200, last=True)
    assert (split.cases("train", 60), split.cases("test", 60)) == (range(50), range(50, 60))
    assert (split.cases("train", 3), split.cases("test", 3)) == (range(2), range(2, 3))


def test_given_counts():
    split = PublishedSplit(1000, 200, last=True)
    assert split.cases("test", 2000, num_test=30) == range(1970, 2000)
    assert split.cases("train", 60, num_test=30) == range(30)
    assert split.cases("test", 60, num_train=55) == range(55, 60)
    assert split.cases("train", 60, num_train=7, num_test=3) == range(7)


@given(
    st.integers(2, 3000),
    st.none() | st.integers(1, 1500),
    st.none() | st.integers(1, 1500),
    st.booleans(),
)
def test_never_a_case_in_both(total, num_train, num_test, last):
    split = PublishedSplit(1000, 200, last=last)
    try:
        train, test = (
            split.cases(name, total, num_train=num_train, num_test=num_test)
            for name in ("train", "test")
        )
    except ValueError:
        assert (num_train or 0) + (num_test or 0) >= total
        return
    assert len(train) >= 1
    assert len(test) >= 1
    assert not set(train) & set(test)
    assert max(*train, *test) < total
    assert num_train in (None, len(train))
    assert num_test in (None, len(test))


def test_too_few_cases():
    split = PublishedSplit(1000, 200)
    with pytest.raises(ValueError, match="a.npy: unknown split 'val'; choose from"):
        split.cases("val", 2000, place="a.npy")
    with pytest.raises(ValueError, match="a.npy: 1 cases are too few for 1 to train and 1 to test"):
        split.cases("train", 1, place="a.npy")
    with pytest.raises(ValueError, match="60 cases are too few for 59 to train and 2 to test"):
        split.cases("train", 60, num_train=59, num_test=2)
    with pytest.raises(ValueError, match=r"expected num_test of at least 1 \(got 0\)"):
        split.cases("train", 60, num_test=0)


def test_spaced_indices():
    assert spaced_indices(3, 5) == spaced_indices(3, 3) == [0, 1, 2]
    assert spaced_indices(101, 3) == [0, 50, 100]
    assert spaced_indices(7, 0) == [0]
    assert spaced_indices(0, 4) == []
