import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flare_mesh.data.normalizers import FieldStatistics, statistics

PARTS = ("weight", "mean", "spread", "minimum", "maximum")


def assert_same(one, other, rtol=1e-11):
    scale = 1 + other.mean.abs() + other.spread.sqrt()
    assert one.weight == pytest.approx(other.weight, rel=rtol)
    for name in PARTS[1:]:
        a, b = getattr(one, name), getattr(other, name)
        assert bool(((a - b).abs() <= rtol * scale * (scale if name == "spread" else 1)).all())


@st.composite
def cases(draw, channels=2):
    seed = draw(st.integers(0, 2**16))
    sizes = draw(st.lists(st.integers(0, 9), min_size=1, max_size=6))
    offset = 10.0 ** draw(st.integers(-3, 4))
    generator = torch.Generator().manual_seed(seed)
    return [
        (
            torch.randn(n, channels, generator=generator) * torch.tensor([1.0, 7.0]) + offset,
            torch.rand(n, generator=generator),
        )
        for n in sizes
    ]


@settings(deadline=None, max_examples=50)
@given(cases())
def test_merged_shards_have_the_statistics_of_the_whole(shards):
    fields, weights = zip(*shards, strict=True)
    whole, weight = torch.cat(fields).double().numpy(), torch.cat(weights).double().numpy()
    plain, weighted = (
        FieldStatistics.gather(fields, 2),
        FieldStatistics.gather(fields, 2, weights),
    )
    if not len(whole):
        assert plain.weight == weighted.weight == 0
        return
    # Against NumPy, in one piece.
    np.testing.assert_allclose(plain.mean, whole.mean(0), rtol=1e-12)
    np.testing.assert_allclose(plain.variance, whole.var(0), rtol=1e-9, atol=1e-18)
    np.testing.assert_array_equal(plain.minimum, whole.min(0))
    np.testing.assert_array_equal(plain.maximum, whole.max(0))
    mean = np.average(whole, axis=0, weights=weight)
    np.testing.assert_allclose(weighted.mean, mean, rtol=1e-12)
    variance = np.average((whole - mean) ** 2, axis=0, weights=weight)
    np.testing.assert_allclose(weighted.variance, variance, rtol=1e-9, atol=1e-18)


@settings(deadline=None, max_examples=50)
@given(st.tuples(cases(), cases(), cases()))
def test_merging_is_associative_and_commutative(shards):
    a, b, c = (FieldStatistics.gather((f for f, _ in s), 2, (w for _, w in s)) for s in shards)
    left, right = a.merge(b).merge(c), a.merge(b.merge(c))
    if left.weight:
        assert_same(left, right)
        assert_same(c.merge(b, a), left)
        assert_same(FieldStatistics.empty(2).merge(left), left, rtol=0)
        assert_same(left.merge(FieldStatistics.empty(2)), left, rtol=0)


def test_equal_weights_have_no_effect():
    fields = [torch.randn(n, 3) for n in (4, 7)]
    ones = [torch.full((n,), 0.25) for n in (4, 7)]
    weighted, plain = (
        FieldStatistics.gather(fields, 3, ones),
        FieldStatistics.gather(fields, 3),
    )
    torch.testing.assert_close(weighted.mean, plain.mean)
    torch.testing.assert_close(weighted.variance, plain.variance)


def test_rows_in_chunks(monkeypatch):
    field, weight = torch.randn(50, 2) + 1000, torch.rand(50)
    whole = FieldStatistics.gather([field], 2, [weight])
    monkeypatch.setattr(statistics, "_ROWS", 7)
    assert_same(FieldStatistics.gather([field], 2, [weight]), whole)


def test_one_case_at_a_time():
    alive = []

    def read():
        for _ in range(5):
            alive.append(torch.ones(3, 1))
            yield alive.pop()
            assert not alive

    assert FieldStatistics.gather(read(), 1).weight == 15


def test_as_a_tensor_and_back():
    gathered = FieldStatistics.gather([torch.randn(5, 3)], 3)
    sent = gathered.to_tensor()
    assert sent.shape == (5, 3)
    assert_same(FieldStatistics.from_tensor(sent), gathered, rtol=0)
    assert FieldStatistics.from_tensor(FieldStatistics.empty(2).to_tensor()).weight == 0


def test_bad_input():
    with pytest.raises(ValueError, match="case 1: 2 values to normalise are NaN or infinite"):
        FieldStatistics.gather(
            [torch.zeros(3, 2), torch.tensor([[1.0, torch.nan], [torch.inf, 0.0]])], 2
        )
    with pytest.raises(ValueError, match=r"case 0: expected a field of 2 channels \(got .*6, 4"):
        FieldStatistics.gather([torch.zeros(6, 4)], 2)
    with pytest.raises(ValueError, match="case 1: has no weights"):
        FieldStatistics.gather([torch.zeros(2, 1)] * 2, 1, [torch.ones(2)])
    with pytest.raises(ValueError, match="case 1: has no field"):
        FieldStatistics.gather([torch.zeros(2, 1)], 1, [torch.ones(2)] * 2)
    with pytest.raises(ValueError, match=r"case 0: expected 2 weights \(got 3\)"):
        FieldStatistics.gather([torch.zeros(2, 1)], 1, [torch.ones(3)])
    for bad in (-1.0, torch.nan):
        with pytest.raises(ValueError, match="finite and not negative"):
            FieldStatistics.gather([torch.zeros(2, 1)], 1, [torch.tensor([1.0, bad])])
    with pytest.raises(ValueError, match=r"the same number of channels \(got 1 and 2\)"):
        FieldStatistics.empty(1).merge(FieldStatistics.empty(2))
