"""What the size of a target depends on, and numbers that are results themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import torch
from numpy.typing import NDArray

from flare_mesh.cases.case_statistics import FieldStatistics
from flare_mesh.surrogate.power_law import PowerLaw

_FEWEST = 8  # cases that a fit needs
_SPREAD = 0.1  # standard deviation of a logarithm, below which nothing is scaled
_EXPONENT = 0.02  # deviation from 1 that is proportional in any case
_UNCERTAINTY = 0.1  # largest standard error of an exponent, and deviation that it excuses
_ERRORS = 2.5  # standard errors that an exponent may be off
_WORSE = 1.1  # times the leave-one-out error, that a fixed exponent may lead to
_EXPLAINED = 0.5  # smallest share of the variance that a power law must explain
_EQUAL = 1e-4
_ROUNDED = 5e-3  # of a value with three digits, at most
_RIDGE = 1e-3

Array = NDArray[np.float64]


@dataclass(frozen=True)
class TargetScale:
    """What a target is to be divided by.

    Attributes:
        scale: Factors of the scale: the name of an input, ``"power_law"``, both or nothing.
        evidence: Why, in words.
    """

    scale: tuple[str, ...]
    evidence: str


def propose_scale(
    size: Sequence[float],
    scalars: Mapping[str, Sequence[float]],
    sizes: Mapping[str, Array],
    means: Sequence[Sequence[float]] = (),
) -> TargetScale:
    """Propose what the targets of a case are to be divided by.

    With s the root mean square of the target in a case, u an input and z the other inputs and
    sizes, the fit is ``log s = a + c log |u| + b . z``, with logarithms of all positive z, and with
    their squares if these reduce the leave-one-out error. The target is proportional to u if c is 1
    within 0.02 or 2.5 of its standard errors (at most 0.1), and if fixing c at 1 does not increase
    the leave-one-out error by more than a tenth. An input of both signs must turn the sign of the
    target as well. A power law, see :class:`~flare_mesh.surrogate.power_law.PowerLaw`, is proposed
    for what is left, if it explains more than half of its variance in leave-one-out. What hardly
    varies is not scaled.

    Args:
        size: Root mean square of the target in each case.
        scalars: Inputs that are one number for each case.
        sizes: Extents and measure of the cases, positive.
        means: Mean of each channel of the target in each case.
    """
    s = np.asarray(size, dtype=np.float64)
    if len(s) < _FEWEST:
        return TargetScale((), f"{len(s)} cases are too few to tell")
    if not (s > 0).all():
        return TargetScale((), f"it is zero in {int((s <= 0).sum())} cases")
    y = np.log(s)
    if y.std() < _SPREAD:
        return TargetScale((), f"its size hardly varies (by {100 * y.std():.0f} %)")
    lengths = [np.log(values) for values in sizes.values()]
    inputs = {name: _logarithm(np.asarray(values)) for name, values in scalars.items()}
    best: tuple[float, str, str] | None = None
    for name, values in scalars.items():
        signed = np.asarray(values, dtype=np.float64)
        if not signed.all() or not _turns_sign(signed, means):
            continue
        u = np.log(np.abs(signed))
        others = [*(z for key, z in inputs.items() if key != name), *lengths]
        evidence = _is_proportional(y, u, others, name) if u.std() >= _SPREAD else None
        if evidence is not None and (best is None or u.std() > best[0]):
            best = float(u.std()), name, evidence
    factors: tuple[str, ...] = ()
    before, after = "", " of its size"
    if best is not None:
        factors = (best[1],)
        before, after = f"{best[2]}; of the rest, ", ""
        y = y - np.log(np.abs(np.asarray(scalars[best[1]], dtype=np.float64)))
        if y.std() < _SPREAD:
            return TargetScale(factors, f"{best[2]}, which hardly varies")
    features = np.column_stack([*inputs.values(), *lengths, np.zeros(len(y))])
    positive = [bool((np.asarray(values) > 0).all()) for values in scalars.values()]
    is_log = torch.tensor([*positive, *[True] * (len(lengths) + 1)])
    share = PowerLaw.fit(torch.from_numpy(features), torch.from_numpy(y), is_log=is_log).explained
    law = f"a power law of the inputs and sizes explains {100 * max(share, 0):.0f} %"
    factors += ("power_law",) * (share > _EXPLAINED)
    return TargetScale(factors, f"{before}{law}{after}")


def find_result(values: Sequence[float], statistics: Sequence[FieldStatistics]) -> str | None:
    """Which number of a target a scalar is equal to in all cases, to 1e-4; None if none.

    The scalar may be rounded to three digits or more, and in another unit by a power of ten, as
    stresses in MPa and Pa. Such a scalar, as ``max_stress`` in a table, is a result. It is known
    only after the simulation that the surrogate replaces. A prescribed value, such as the
    temperature of a wall that is the largest temperature, has the same property, so this needs a
    human's decision.

    Args:
        values: The scalar in each case.
        statistics: The target in each case.
    """
    given = np.asarray(values, dtype=np.float64)
    rounding = _rounding(given)
    for label in statistics[0].extremes:
        numbers = np.array([one.extremes.get(label, np.nan) for one in statistics])
        unit = _power_of_ten(given, numbers)
        size = np.abs(unit * numbers)
        allowed = np.maximum(_EQUAL * size, np.minimum(rounding, _ROUNDED * size))
        if (np.abs(given - unit * numbers) <= allowed).all():
            return label if unit == 1 else f"{label} times {unit:g}"
    return None


def _rounding(values: Array) -> Array:
    """Half of the last decimal place of each value; 0 if most are integers, as inputs are."""
    whole = values == np.round(values)
    if 2 * whole.sum() > len(values):
        return np.zeros(len(values))
    places = [Decimal(repr(value)).as_tuple().exponent for value in values.tolist()]
    return np.where(whole, 0.5, 0.5 * 10.0 ** np.array(places))


def _power_of_ten(given: Array, numbers: Array) -> float:
    """The power of ten that is nearest to the ratio of the largest values; 1 if there is none."""
    largest, other = float(np.abs(given).max()), float(np.abs(numbers).max())
    if not (0 < largest < np.inf and 0 < other < np.inf):
        return 1.0
    return float(f"1e{round(np.log10(largest) - np.log10(other))}")


def _turns_sign(u: Array, means: Sequence[Sequence[float]]) -> bool:
    """Whether ``u`` has one sign, or a channel of the target has the sign of it in all cases."""
    if (u > 0).all() or (u < 0).all():
        return True
    signs = [np.sign(np.asarray(mean) * u) for mean in means]
    return any((one == one[0]).all() and one[0] != 0 for one in signs)


def _is_proportional(y: Array, u: Array, others: Sequence[Array], name: str) -> str | None:
    """The evidence that ``exp(y)`` is proportional to ``exp(u)``; None if it is not."""
    linear = _columns(others, len(y))
    designs = [linear]
    squares = np.concatenate([linear, linear**2], axis=1)
    if len(y) >= 4 * (2 + squares.shape[1]):
        designs.append(squares)
    design = min(designs, key=lambda one: _loo_error(np.column_stack([u, one]), y))
    exponent, uncertainty = _exponent(u, design, y)
    free = _loo_error(np.column_stack([u, design]), y)
    fixed = _loo_error(design, y - u)
    excused = max(_EXPONENT, min(_ERRORS * uncertainty, _UNCERTAINTY))
    if uncertainty > _UNCERTAINTY or abs(exponent - 1) > excused or fixed > _WORSE * free + 1e-3:
        return None
    return (
        f"grows with {name}^{exponent:.2f} (standard error {uncertainty:.2f}, {len(y)} cases); "
        f"divided by {name}, the standard deviation of its log is {(y - u).std():.2f} instead of "
        f"{y.std():.2f}"
    )


def _exponent(u: Array, design: Array, y: Array) -> tuple[float, float]:
    """Coefficient of ``u`` with its standard error."""
    matrix = np.column_stack([np.ones(len(y)), u - u.mean(), design])
    inverse = np.linalg.inv(matrix.T @ matrix + _penalty(matrix.shape[1], 2))
    coefficients = inverse @ matrix.T @ y
    freedom = max(len(y) - matrix.shape[1], 1)
    variance = float(((y - matrix @ coefficients) ** 2).sum()) / freedom
    return float(coefficients[1]), float(np.sqrt(variance * inverse[1, 1]))


def _loo_error(design: Array, y: Array) -> float:
    """Root mean square of the leave-one-out errors of a ridge regression with a constant."""
    matrix = np.column_stack([np.ones(len(y)), design])
    hat = matrix @ np.linalg.solve(matrix.T @ matrix + _penalty(matrix.shape[1], 1), matrix.T)
    left = 1 - np.diag(hat)
    return float(np.sqrt((((y - hat @ y) / np.maximum(left, 1e-6)) ** 2).mean()))


def _penalty(size: int, free: int) -> Array:
    """Ridge penalty of all columns but the first ``free``."""
    return np.diag(np.r_[np.zeros(free), np.full(size - free, _RIDGE)])


def _columns(values: Sequence[Array], count: int) -> Array:
    """Columns of mean 0 and standard deviation 1, without constant ones."""
    kept = [(one - one.mean()) / one.std() for one in values if one.std() > 1e-9]
    return np.column_stack([np.empty((count, 0)), *kept])


def _logarithm(values: Array) -> Array:
    return np.log(values) if (values > 0).all() else values.astype(np.float64)
