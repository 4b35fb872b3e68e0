"""Quantile of scores that are grouped by cases, for a share of the nodes of a new case."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MIN_CASES = 3
"""Smallest number of cases, since the spread over fewer is unknown."""

_MODEL_CASES = 30
_EXPECTED_CASES = 10  # that the expected spread counts for
_PROBABILITIES = (np.arange(101) + 0.5) / 101
_BISECTIONS = 40


def conformal_quantile(
    scores: Sequence[Array], coverage: float, expected_spread: float | None = None
) -> float:
    r"""Quantile q of scores, below which an expected share of a new case's nodes has its score.

    The scores of the nodes of a case depend on each other, so that the K cases and not the nodes
    are exchangeable. With F_k the distribution of the scores within case k, q is

    .. math::
        q = (q_0\,c_K)^w\,q_t^{1 - w}, \qquad w = \frac{K}{K + 30}, \qquad
        q_0 = \inf\{t : \tfrac1K \textstyle\sum_k F_k(t) \ge \beta\}.

    :math:`q_0` is the conformal quantile in which each case has the same weight (Dunn, Wasserman,
    Ramdas 2022, "pooling"): it needs no assumption, and the expected coverage tends to
    :math:`\beta` as K grows. For few cases it covers too little. The strict correction (Lee,
    Barber, Willett 2023), level :math:`\beta (K + 1) / K`, guarantees at least :math:`\beta` for
    any distribution, but it is infinite for :math:`\beta = 0.9` and K < 9.

    So for few cases a model of them counts more: their scores differ by a factor whose logarithm is
    normal, with mean :math:`\mu` and standard deviation s of :math:`\log m_k` over the cases, where
    :math:`m_k` is the case's own quantile. :math:`q_t` is the quantile of the mixture
    :math:`e^{\mu + T} m` of all scores :math:`m` over their case's :math:`m_k`, with
    :math:`T = s \sqrt{1 + 1/K}\,t_{\nu}`, the prediction of a new case by Student's t. From few
    cases it varies less than :math:`q_0`. :math:`c_K > 1` is the ratio of the quantiles of this
    mixture and of that with :math:`T = s\,\mathcal N(0, 1)`; it tends to 1 as K grows.

    Few cases hardly show how much cases differ. If a standard deviation :math:`s_0` is expected, it
    counts as 10 cases, as with a scaled inverse chi-squared prior: s is then
    :math:`s^2 = ((K - 1)\,s_K^2 + 10\,s_0^2) / \nu` with :math:`s_K` of the K cases and
    :math:`\nu = K + 9`; otherwise :math:`s = s_K` and :math:`\nu = K - 1`.

    Args:
        scores: Scores of the nodes of each case, at least zero.
        coverage: Share :math:`\beta` of the nodes.
        expected_spread: :math:`s_0`, if anything else tells how much cases differ.

    Raises:
        ValueError: For fewer than three cases, or a share that is not between 0 and 1.
    """
    if not 0 < coverage < 1:
        raise ValueError(f"coverage: expected a share between 0 and 1 (got {coverage})")
    count = len(scores)
    if count < MIN_CASES:
        raise ValueError(f"expected at least {MIN_CASES} held-out cases for bands (got {count})")
    pooled = pooled_quantile(scores, coverage)
    model = _CaseModel.fit(scores, coverage, expected_spread)
    if not np.isfinite(pooled) or model is None:
        return pooled
    from scipy.special import ndtri, stdtrit  # not needed by a prediction

    new = model.spread * np.sqrt(1 + 1 / count) * stdtrit(model.freedom, _PROBABILITIES)
    known = model.spread * ndtri(_PROBABILITIES)
    student = model.quantile(new, coverage)
    factor = student - model.quantile(known, coverage)
    weight = count / (count + _MODEL_CASES)
    log = weight * (np.log(pooled) + factor) + (1 - weight) * (model.center + student)
    return float(np.exp(log))


def coverage_range(
    scores: Sequence[Array],
    quantile: float,
    coverage: float,
    expected_spread: float | None = None,
    *,
    probability: float = 0.8,
) -> tuple[float, float]:
    r"""Range in which the share of covered nodes, over very many new cases, is likely to be.

    By the model of :func:`conformal_quantile`, the logarithm of a quantile from K cases has the
    standard deviation :math:`s \sqrt{1/K + z^2 / (2 \nu)}`, with z the distance of its
    logarithm from :math:`\mu` over s. Its deviation is taken from Student's t with :math:`\nu`
    degrees of freedom, since s is known from few cases only.

    Args:
        scores: As in :func:`conformal_quantile`.
        quantile: The quantile of these scores.
        coverage: As in :func:`conformal_quantile`.
        expected_spread: As in :func:`conformal_quantile`.
        probability: Share of the draws of K cases whose coverage is in the range.

    Returns:
        The lower and the upper end. If the scores follow no such model, as those of exact
        predictions, both are the share of these scores that is covered.
    """
    count = len(scores)
    model = _CaseModel.fit(scores, coverage, expected_spread)
    if model is None or model.spread == 0 or quantile == 0:
        covered = float(np.mean([(case <= quantile).mean() for case in scores]))
        return covered, covered
    distance = np.log(quantile) - model.center
    z = distance / model.spread
    deviation = model.spread * np.sqrt(1 / count + z**2 / (2 * model.freedom))
    from scipy.special import ndtri, stdtrit

    half = float(stdtrit(model.freedom, (1 + probability) / 2)) * deviation
    factors = model.spread * ndtri(_PROBABILITIES)
    return model.covered(factors, distance - half), model.covered(factors, distance + half)


def case_spread(scores: Sequence[Array], coverage: float) -> float | None:
    """Standard deviation over the cases of the logarithm of each case's own quantile.

    None for one case, or if a quantile is zero or infinite.
    """
    own = _own_quantiles(scores, coverage)
    return None if own is None or len(own) < 2 else float(np.log(own).std(ddof=1))


def pooled_quantile(scores: Sequence[Array], coverage: float) -> float:
    """Quantile of all scores, in which each case has the same weight."""
    values = np.concatenate(scores)
    order = np.argsort(values, kind="stable")
    below = np.cumsum(_weights(scores)[order])
    first = int(np.searchsorted(below, coverage * (1 - 1e-12)))
    return float(values[order[min(first, len(order) - 1)]])


class _CaseModel:
    """Cases whose scores differ by a factor with a log-normal distribution.

    Attributes:
        center: Mean of the logarithms of the cases' own quantiles.
        spread: Their standard deviation s.
        freedom: Degrees of freedom of s.
        values: All scores over their case's own quantile, sorted.
        below: Share of the values below the i-th, with equal weights of the cases, [n + 1].
    """

    def __init__(self, scores: Sequence[Array], own: Array, expected: float | None) -> None:
        logs = np.log(own)
        squares, self.freedom = float(((logs - logs.mean()) ** 2).sum()), len(scores) - 1
        if expected is not None:
            squares += _EXPECTED_CASES * expected**2
            self.freedom += _EXPECTED_CASES
        self.center, self.spread = float(logs.mean()), (squares / self.freedom) ** 0.5
        relative = np.concatenate([case / size for case, size in zip(scores, own, strict=True)])
        order = np.argsort(relative, kind="stable")
        self.values = relative[order]
        self.below = np.concatenate([[0.0], np.cumsum(_weights(scores)[order])])

    @classmethod
    def fit(
        cls, scores: Sequence[Array], coverage: float, expected: float | None = None
    ) -> "_CaseModel | None":
        """The model of some cases; None if the own quantile of one is zero or infinite."""
        own = _own_quantiles(scores, coverage)
        return None if own is None else cls(scores, own, expected)

    def covered(self, logs: Array, log_quantile: float) -> float:
        """Share of the values times exp(logs), all logs with the same weight, up to a quantile."""
        index = np.searchsorted(self.values, np.exp(log_quantile - logs), side="right")
        return float(self.below[index].mean())

    def quantile(self, logs: Array, coverage: float) -> float:
        """Logarithm of the quantile of the values times exp(logs)."""
        low = float(np.log(self.values[self.values > 0][0]) + logs[0])
        high = float(np.log(self.values[-1]) + logs[-1])
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.covered(logs, middle) < coverage else (low, middle)
        return high


def _own_quantiles(scores: Sequence[Array], coverage: float) -> Array | None:
    """Quantile of each case; None if one is zero or infinite, and so has no logarithm."""
    own = np.array([np.quantile(case, coverage, method="inverted_cdf") for case in scores])
    return own if (own > 0).all() and np.isfinite(own).all() else None


def _weights(scores: Sequence[Array]) -> Array:
    """Weight of each node, equal for all cases together."""
    return np.concatenate([np.full(len(case), 1 / (len(case) * len(scores))) for case in scores])
