"""Quantile of scores that are grouped by cases, for a share of the nodes of a new case."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

Array = NDArray[np.float64]

MIN_CASES = 3
"""Smallest number of cases, since the spread over fewer is unknown."""

_PROBABILITIES = (np.arange(101) + 0.5) / 101
_BISECTIONS = 40


def conformal_quantile(scores: Sequence[Array], coverage: float) -> float:
    r"""Quantile q of scores, below which an expected share of a new case's nodes has its score.

    The scores of the nodes of a case depend on each other, so that the K cases and not the nodes
    are exchangeable. With F_k the distribution of the scores within case k, q is

    .. math::
        q = q_0\,c_K, \qquad q_0 = \inf\{t : \tfrac1K \textstyle\sum_k F_k(t) \ge \beta\}.

    :math:`q_0` is the conformal quantile in which each case has the same weight (Dunn, Wasserman,
    Ramdas 2022, "pooling"): it needs no assumption, and the expected coverage tends to
    :math:`\beta` as K grows. For few cases it covers too little. The strict correction (Lee,
    Barber, Willett 2023), level :math:`\beta (K + 1) / K`, guarantees at least :math:`\beta` for
    any distribution, but it is infinite for :math:`\beta = 0.9` and K < 9. So
    :math:`c_K > 1` comes from a model of the cases: their scores differ by a factor whose
    logarithm is normal, with the standard deviation s of :math:`\log m_k` over the cases, where
    :math:`m_k` is the case's own quantile. :math:`c_K` is the ratio of the quantiles of the
    mixture :math:`m\,e^{T}` with :math:`T = s \sqrt{1 + 1/K}\,t_{K-1}` (prediction of a new case
    by Student's t) and with :math:`T = s\,\mathcal N(0, 1)`; it tends to 1 as K grows.

    Args:
        scores: Scores of the nodes of each case, at least zero.
        coverage: Share :math:`\beta` of the nodes.

    Raises:
        ValueError: For fewer than three cases, or a share that is not between 0 and 1.
    """
    if not 0 < coverage < 1:
        raise ValueError(f"coverage: expected a share between 0 and 1 (got {coverage})")
    count = len(scores)
    if count < MIN_CASES:
        raise ValueError(f"expected at least {MIN_CASES} held-out cases for bands (got {count})")
    pooled = _pooled_quantile(scores, coverage)
    own = np.array([np.quantile(case, coverage, method="inverted_cdf") for case in scores])
    if not np.isfinite(pooled) or not (own > 0).all():
        return pooled
    spread = float(np.log(own).std(ddof=1))
    relative = [case / size for case, size in zip(scores, own, strict=True)]
    values = np.sort(np.concatenate(relative))
    below = np.concatenate([[0.0], np.cumsum(_weights(relative)[_order(relative)])])
    new = spread * np.sqrt(1 + 1 / count) * stdtrit(count - 1, _PROBABILITIES)
    known = spread * ndtri(_PROBABILITIES)
    factor = _mixture_quantile(values, below, new, coverage) - _mixture_quantile(
        values, below, known, coverage
    )
    return pooled * float(np.exp(factor))


def _order(scores: Sequence[Array]) -> NDArray[np.intp]:
    return np.argsort(np.concatenate(scores), kind="stable")


def _weights(scores: Sequence[Array]) -> Array:
    """Weight of each node, equal for all cases together."""
    return np.concatenate([np.full(len(case), 1 / (len(case) * len(scores))) for case in scores])


def _pooled_quantile(scores: Sequence[Array], coverage: float) -> float:
    order = _order(scores)
    below = np.cumsum(_weights(scores)[order])
    first = int(np.searchsorted(below, coverage * (1 - 1e-12)))
    return float(np.concatenate(scores)[order[min(first, len(order) - 1)]])


def _mixture_quantile(values: Array, below: Array, logs: Array, coverage: float) -> float:
    """Logarithm of the quantile of values times exp(logs), all logs with the same weight.

    Args:
        values: Sorted values.
        below: Share of the values below the i-th, [n + 1].
        logs: Logarithms of the factors.
        coverage: Share of the quantile.
    """
    low = float(np.log(values[values > 0][0]) + logs[0])
    high = float(np.log(values[-1]) + logs[-1])
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        covered = below[np.searchsorted(values, np.exp(middle - logs), side="right")].mean()
        low, high = (middle, high) if covered < coverage else (low, middle)
    return high
