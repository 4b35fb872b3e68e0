import numpy as np
import pytest

from flare_mesh.uncertainty import conformal_quantile
from flare_mesh.uncertainty.conformal_quantile import case_spread, coverage_range


def cases(rng, count, spread, nodes=40):
    """Scores of cases that differ by a random factor."""
    factor = np.exp(spread * rng.normal(size=(count, 1)))
    return np.abs(rng.normal(size=(count, nodes))) * factor


@pytest.mark.slow
@pytest.mark.parametrize("count", [5, 10, 20])
@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_nine_of_ten_nodes_of_new_cases_are_covered_in_the_mean(count, spread):
    rng = np.random.default_rng(0)
    new = np.sort(cases(rng, 2000, spread).ravel())
    quantiles = [conformal_quantile([*cases(rng, count, spread)], 0.9) for _ in range(150)]
    covered = np.searchsorted(new, quantiles) / len(new)
    assert 0.88 < covered.mean() < (0.93 if count == 5 else 0.92)


def test_equal_cases_have_the_pooled_quantile():
    scores = np.arange(1.0, 101.0)
    assert conformal_quantile([scores] * 5, 0.9) == pytest.approx(90.0)
    # Each case counts the same, however many nodes it has.
    many = [np.repeat(scores, 7), scores, scores]
    assert conformal_quantile(many, 0.9) == pytest.approx(90.0)


def test_cases_that_differ_by_a_factor_have_the_quantile_of_student_t():
    # One score for each case: the interval for the next value of a normal sample. The quantile of
    # the given cases, times the same over the quantile of a normal distribution, counts 4 / 34.
    logs = np.array([-0.3, 0.1, 0.2, 0.4])
    deviation = logs.std(ddof=1)
    student, normal = np.sqrt(1.25) * 1.637744, 1.281552  # quantiles at 0.9
    pooled = 0.4 + deviation * (student - normal)
    model = 0.1 + deviation * student
    found = conformal_quantile([np.full(50, np.exp(value)) for value in logs], 0.9)
    # t and normal are represented by 101 values each.
    assert np.log(found) == pytest.approx((4 * pooled + 30 * model) / 34, abs=0.02)


def test_an_expected_spread_counts_as_ten_cases():
    logs = np.array([-0.3, 0.1, 0.2, 0.4])
    scores = [np.full(50, np.exp(value)) for value in logs]
    assert case_spread(scores, 0.9) == pytest.approx(logs.std(ddof=1))
    deviation = np.sqrt((((logs - 0.1) ** 2).sum() + 10 * 0.7**2) / 13)
    student, normal = np.sqrt(1.25) * 1.350171, 1.281552  # 13 degrees of freedom
    pooled = 0.4 + deviation * (student - normal)
    found = conformal_quantile(scores, 0.9, 0.7)
    expected = (4 * pooled + 30 * (0.1 + deviation * student)) / 34
    assert np.log(found) == pytest.approx(expected, abs=0.02)
    assert case_spread([*scores, np.zeros(4)], 0.9) is None
    assert case_spread(scores[:1], 0.9) is None


def test_many_cases_of_any_distribution_have_the_pooled_quantile():
    rng = np.random.default_rng(0)
    # A tenth of the cases have errors of another size, which no log-normal factor has.
    scores = [np.abs(rng.normal(size=20)) * (8 if k % 10 == 0 else 1) for k in range(4000)]
    pooled = np.quantile(np.concatenate(scores), 0.95)
    assert conformal_quantile(scores, 0.95) == pytest.approx(pooled, rel=0.01)


def test_the_likely_range_has_the_coverage_of_eight_of_ten_draws():
    rng = np.random.default_rng(0)
    new = np.sort(cases(rng, 2000, 0.5).ravel())
    hits = []
    for _ in range(150):
        scores = [*cases(rng, 8, 0.5)]
        quantile = conformal_quantile(scores, 0.9)
        low, high = coverage_range(scores, quantile, 0.9)
        hits.append(low <= np.searchsorted(new, quantile) / len(new) <= high)
    assert 0.7 < np.mean(hits) < 0.9
    # Equal cases leave no doubt.
    same = [np.arange(1.0, 11.0)] * 3
    assert coverage_range(same, 9.0, 0.9) == pytest.approx((0.9, 0.9))
    assert coverage_range([np.zeros(4)] * 3, 0.0, 0.9) == (1, 1)


def test_exact_predictions_have_no_width():
    assert conformal_quantile([np.zeros(4)] * 3, 0.9) == 0
    assert conformal_quantile([np.zeros(4), np.zeros(4), np.ones(4)], 0.9) == 1


def test_bad_input():
    with pytest.raises(ValueError, match="at least 3 held-out cases for bands"):
        conformal_quantile([np.ones(3)] * 2, 0.9)
    with pytest.raises(ValueError, match=r"between 0 and 1 \(got 1.0\)"):
        conformal_quantile([np.ones(3)] * 3, 1.0)
