import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from flare_mesh.training.error_sums import ErrorSums

rows = st.lists(st.tuples(st.floats(0, 1e3), st.sampled_from([0.0, 0.5, 1.0, 2.0])), max_size=12)


@given(rows, st.integers(1, 5))
def test_the_mean_does_not_depend_on_the_batches(cases, size):
    sums = ErrorSums()
    sums.add(torch.zeros(1, 1), torch.zeros(1, 1))
    for start in range(0, len(cases), size):
        errors, weight = torch.tensor(cases[start : start + size], dtype=torch.float64).T
        sums.add(errors[:, None], weight[:, None])
    weights = math.fsum(weight for _, weight in cases)
    found = sums.mean().item()
    if weights == 0:
        assert math.isnan(found)
    else:
        expected = math.fsum(error * weight for error, weight in cases) / weights
        assert math.isclose(found, expected, rel_tol=1e-12, abs_tol=1e-12)


def test_errors_without_weight_may_be_nan():
    sums = ErrorSums()
    errors = torch.tensor([[1.0, math.nan], [math.inf, 4.0]], requires_grad=True)
    sums.add(errors, torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    assert sums.mean().tolist() == [1.0, 4.0]
    assert not sums.mean().requires_grad
    sums.reset()
    assert sums.total is None


def test_small_errors_are_not_lost_among_many():
    sums = ErrorSums()
    sums.add(torch.full((1, 1), 2.0**24), torch.ones(1, 1))
    for _ in range(10):
        sums.add(torch.ones(1, 1), torch.ones(1, 1))
    assert sums.mean().item() == (2.0**24 + 10) / 11
