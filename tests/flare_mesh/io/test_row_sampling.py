import itertools
from io import BytesIO

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flare_mesh.io.row_sampling import sample_rows


def rows_of(count, chunk=None):
    """An array of ``count`` rows that takes no memory; chunked if ``chunk`` is given."""
    if chunk is None:
        return np.broadcast_to(np.float32(0), (count, 2))
    file = h5py.File(BytesIO(), "w")
    return file.create_dataset("a", (count, 2), "f4", chunks=(chunk, 1))


@settings(deadline=None, max_examples=80)
@given(st.data())
def test_draws_different_rows_in_order(data):
    count = data.draw(st.integers(0, 200))
    chunk = data.draw(st.none() | st.integers(1, count)) if count else None
    num = data.draw(st.integers(0, count))
    method = data.draw(st.sampled_from(["uniform", "blocks"]))
    num_blocks = data.draw(st.integers(1, 20))
    seed = data.draw(st.integers(0, 99))
    options = {"method": method, "num_blocks": num_blocks}
    array = rows_of(count, chunk)
    first, again = (
        sample_rows(array, num, generator=torch.Generator().manual_seed(seed), **options)
        for _ in range(2)
    )
    assert first.dtype == np.int64
    assert first.shape == (num,)
    assert (np.diff(first) > 0).all()
    assert not num or (first[0] >= 0 and first[-1] < count)
    assert (first == again).all()
    if method == "blocks" and chunk:
        blocks = len(np.unique(first // chunk))
        # One is cut by the beginning, one by the end, and the last of the array may be short.
        assert blocks <= max(num_blocks, -(-num // chunk)) + 2


def test_torch_seed():
    array = rows_of(1000)
    draws = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        draws.append([sample_rows(array, 50, method=m).tolist() for m in ("uniform", "blocks")])
    assert draws[0] == draws[1]
    assert draws[0][0] != draws[2][0]
    assert draws[0][1] != draws[2][1]


@pytest.mark.parametrize(("count", "num"), [(6, 3), (6, 2), (5, 4)])
def test_uniform_draws_all_sets_alike(count, num):
    generator = torch.Generator().manual_seed(0)
    array, draws = rows_of(count), 4000
    seen = dict.fromkeys(itertools.combinations(range(count), num), 0)
    for _ in range(draws):
        seen[tuple(sample_rows(array, num, generator=generator).tolist())] += 1
    counts = np.array([*seen.values()])
    expected = draws / len(counts)
    # Chi-square: mean of its degrees of freedom, variance twice that.
    freedom = len(counts) - 1
    assert ((counts - expected) ** 2 / expected).sum() < freedom + 4 * (2 * freedom) ** 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "chunk", "num", "num_blocks"),
    [(20, 6, 5, 1), (20, 6, 5, 2), (13, 4, 9, 1), (23, None, 7, 3), (10, None, 9, 2), (7, 7, 3, 5)],
)
def test_blocks_draw_each_row_as_often(count, chunk, num, num_blocks):
    generator = torch.Generator().manual_seed(0)
    array, draws = rows_of(count, chunk), 1500
    counts = np.zeros(count)
    for _ in range(draws):
        rows = sample_rows(array, num, method="blocks", num_blocks=num_blocks, generator=generator)
        counts[rows] += 1
    share = num / count
    deviation = (counts / draws - share) / (share * (1 - share) / draws) ** 0.5
    assert abs(deviation).max() < 4


def test_blocks_vary_as_documented():
    """Rows sorted in ten steps: the variance of a mean is the documented one."""
    count, num, num_blocks = 10_000, 200, 10
    steps = np.arange(count) // 1000
    generator = torch.Generator().manual_seed(0)
    means = {
        method: [
            steps[
                sample_rows(
                    rows_of(count),
                    num,
                    method=method,
                    num_blocks=num_blocks,
                    generator=generator,
                )
            ].mean()
            for _ in range(1500)
        ]
        for method in ("uniform", "blocks")
    }
    for method in means:
        assert np.mean(means[method]) == pytest.approx(4.5, abs=0.1)
    ratio = np.var(means["blocks"]) / np.var(means["uniform"])
    assert ratio == pytest.approx(1 + (num / num_blocks - 1) * 1.0, rel=0.25)


def test_wide_range_has_no_skew():
    rows = sample_rows(rows_of(3 << 30), 30_000, generator=torch.Generator().manual_seed(0))
    thirds = np.bincount(rows >> 30, minlength=3) / 30_000
    assert thirds == pytest.approx([1 / 3] * 3, abs=0.012)


def test_sample_errors():
    array = rows_of(10)
    for options, message in (
        ({"num": 11}, r"array: expected 0 to 10 rows to draw \(got 11\)"),
        ({"num": -1}, r"\(got -1\)"),
        ({"num": 1, "method": "all"}, r"expected method 'uniform' or 'blocks' \(got 'all'\)"),
        ({"num": 1, "num_blocks": 0}, r"num_blocks of at least 1 \(got 0\)"),
    ):
        with pytest.raises(ValueError, match=message):
            sample_rows(array, **options)
