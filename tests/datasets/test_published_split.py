import pytest
from hypothesis import given
from hypothesis import strategies as st

from flare_mesh.datasets.published_split import PublishedSplit


def test_published_counts():
    last, after = PublishedSplit(1000, 200, last=True), PublishedSplit(1000, 200)
    assert last.cases("train", 2000) == after.cases("train", 2000) == range(1000)
    assert last.cases("test", 2000) == range(1800, 2000)
    assert after.cases("test", 2490) == range(1000, 1200)


def test_fewer_cases_keep_the_proportion():
    split = PublishedSplit(1000, 200, last=True)
    assert (split.cases("train", 60), split.cases("test", 60)) == (range(50), range(50, 60))
    assert (split.cases("train", 3), split.cases("test", 3)) == (range(2), range(2, 3))


def test_counts_of_ones_own():
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


def test_too_few():
    split = PublishedSplit(1000, 200)
    with pytest.raises(ValueError, match="a.npy: unknown split 'val'; choose 'train' or 'test'"):
        split.cases("val", 2000, place="a.npy")
    with pytest.raises(ValueError, match="a.npy: 1 cases are too few for 1 to train and 1 to test"):
        split.cases("train", 1, place="a.npy")
    with pytest.raises(ValueError, match="60 cases are too few for 59 to train and 2 to test"):
        split.cases("train", 60, num_train=59, num_test=2)
    with pytest.raises(ValueError, match=r"expected num_test of at least 1 \(got 0\)"):
        split.cases("train", 60, num_test=0)
