import numpy as np
import pytest

from flare_mesh.uncertainty import conformal_quantile


def cases(rng, count, spread, nodes=40):
    """Scores of cases that differ by a random factor."""
    factor = np.exp(spread * rng.normal(size=(count, 1)))
    return np.abs(rng.normal(size=(count, nodes))) * factor


@pytest.mark.parametrize("count", [5, 10, 20])
@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_nine_of_ten_nodes_of_new_cases_are_covered_in_the_mean(count, spread):
    rng = np.random.default_rng(0)
    new = np.sort(cases(rng, 2000, spread).ravel())
    quantiles = [conformal_quantile([*cases(rng, count, spread)], 0.9) for _ in range(150)]
    covered = np.searchsorted(new, quantiles) / len(new)
    assert 0.88 < covered.mean() < 0.92


def test_equal_cases_have_the_pooled_quantile():
    scores = np.arange(1.0, 101.0)
    assert conformal_quantile([scores] * 5, 0.9) == pytest.approx(90.0)
    # Each case counts the same, however many nodes it has.
    many = [np.repeat(scores, 7), scores, scores]
    assert conformal_quantile(many, 0.9) == pytest.approx(90.0)


def test_cases_that_differ_by_a_factor_have_the_quantile_of_student_t():
    # One score for each case: the interval for the next value of a normal sample, relative to the
    # quantile of the normal distribution with the sample's deviation.
    logs = np.array([-0.3, 0.1, 0.2, 0.4])
    deviation = logs.std(ddof=1)
    student, normal = 1.637744, 1.281552  # quantiles at 0.9, of 3 degrees of freedom
    factor = deviation * (np.sqrt(1.25) * student - normal)
    found = conformal_quantile([np.full(50, np.exp(value)) for value in logs], 0.9)
    # t and normal are represented by 101 values each.
    assert np.log(found) == pytest.approx(0.4 + factor, abs=0.02)


def test_exact_predictions_have_no_width():
    assert conformal_quantile([np.zeros(4)] * 3, 0.9) == 0
    assert conformal_quantile([np.zeros(4), np.zeros(4), np.ones(4)], 0.9) == 1


def test_bad_input():
    with pytest.raises(ValueError, match="at least 3 held-out cases for bands"):
        conformal_quantile([np.ones(3)] * 2, 0.9)
    with pytest.raises(ValueError, match=r"between 0 and 1 \(got 1.0\)"):
        conformal_quantile([np.ones(3)] * 3, 1.0)
