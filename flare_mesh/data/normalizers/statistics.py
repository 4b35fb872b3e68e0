"""Moments and bounds of fields, gathered in one pass and merged from shards."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from itertools import zip_longest

import torch
from torch import Tensor

# Rows that are converted to float64 at a time, which fit into the cache.
_ROWS = 1 << 15


@dataclass(frozen=True)
class FieldStatistics:
    """Statistics of C channels over the nodes of any number of cases, in float64 on the CPU.

    Statistics of shards of a data set can be merged; the result does not depend on the shards or
    their order, up to rounding. Processes exchange statistics as :meth:`to_tensor`.

    Attributes:
        weight: Number of nodes, or the sum of their weights.
        mean: Means [C].
        spread: Weighted sums [C] of the squared deviations from the mean.
        minimum: Minima [C] over all nodes, independent of their weight; infinite without nodes.
        maximum: Maxima [C].
    """

    weight: float
    mean: Tensor
    spread: Tensor
    minimum: Tensor
    maximum: Tensor

    @classmethod
    def empty(cls, channels: int) -> "FieldStatistics":
        """Statistics without nodes, the neutral element of :meth:`merge`."""
        zeros = torch.zeros(channels, dtype=torch.float64)
        infinite = torch.full_like(zeros, torch.inf)
        return cls(0.0, zeros, zeros.clone(), infinite, -infinite)

    @classmethod
    def gather(
        cls, fields: Iterable[Tensor], channels: int, weights: Iterable[Tensor] | None = None
    ) -> "FieldStatistics":
        """Statistics of ``fields`` [N, C] (or [N] for one channel), read once, one at a time.

        Args:
            fields: One tensor per case.
            channels: Number of channels C.
            weights: Weights [N] of the nodes of each case; None for equal weights.

        Raises:
            ValueError: If a shape does not fit, a value is not finite, or a weight is negative.
        """
        total = cls.empty(channels)
        pairs = ((f, None) for f in fields) if weights is None else zip_longest(fields, weights)
        for number, (field, weight) in enumerate(pairs):
            if field is None or (weights is not None and weight is None):
                raise ValueError(
                    f"case {number}: has no {'field' if field is None else 'weights'}; give as "
                    f"many weights as fields"
                )
            flat = _checked(field, channels, number)
            shares = None if weight is None else _checked_weight(weight, len(flat), number)
            for start in range(0, len(flat), _ROWS):
                rows = flat[start : start + _ROWS].to("cpu", torch.float64)
                part = None if shares is None else shares[start : start + _ROWS]
                added = cls._of_rows(rows, part)
                if not bool((added.minimum.isfinite() & added.maximum.isfinite()).all()):
                    bad = int((~flat.isfinite()).sum())
                    raise ValueError(
                        f"case {number}: {bad} values to normalise are NaN or infinite"
                    )
                total = total.merge(added)
        return total

    @classmethod
    def _of_rows(cls, rows: Tensor, weight: Tensor | None) -> "FieldStatistics":
        low, high = torch.aminmax(rows, dim=0)  # propagates NaN and infinity
        if weight is None:
            mean = rows.mean(0)
            return cls(len(rows), mean, (rows - mean).square_().sum(0), low, high)
        total = float(weight.sum())
        if not total:
            return cls(0.0, torch.zeros_like(low), torch.zeros_like(low), low, high)
        mean = weight @ rows / total
        return cls(total, mean, weight @ (rows - mean).square_(), low, high)

    def merge(self, *others: "FieldStatistics") -> "FieldStatistics":
        """Statistics of all nodes together.

        Raises:
            ValueError: If the numbers of channels differ.
        """
        return reduce(_merge, others, self)

    def to_tensor(self) -> Tensor:
        """All statistics in one tensor [5, C], for an exchange between processes."""
        weight = torch.full_like(self.mean, self.weight)
        return torch.stack([weight, self.mean, self.spread, self.minimum, self.maximum])

    @classmethod
    def from_tensor(cls, values: Tensor) -> "FieldStatistics":
        """Statistics from the tensor of :meth:`to_tensor`."""
        weight, mean, spread, minimum, maximum = values.to("cpu", torch.float64)
        return cls(float(weight[0]) if len(weight) else 0.0, mean, spread, minimum, maximum)

    @property
    def variance(self) -> Tensor:
        """Mean squared deviation from the mean, [C]."""
        return self.spread / self.weight


def _merge(a: FieldStatistics, b: FieldStatistics) -> FieldStatistics:
    """Chan's update, stable if the mean is much larger than the deviation."""
    if len(a.mean) != len(b.mean):
        raise ValueError(
            f"expected statistics with the same number of channels (got {len(a.mean)} and "
            f"{len(b.mean)})"
        )
    weight = a.weight + b.weight
    share = b.weight / weight if weight else 0.0
    delta = b.mean - a.mean
    return FieldStatistics(
        weight,
        a.mean + delta * share,
        a.spread + b.spread + delta**2 * (a.weight * share),
        torch.minimum(a.minimum, b.minimum),
        torch.maximum(a.maximum, b.maximum),
    )


def _checked(field: Tensor, channels: int, number: int) -> Tensor:
    if field.dim() == 1 and channels == 1:
        field = field[:, None]
    if not field.dim() or field.shape[-1] != channels:
        raise ValueError(
            f"case {number}: expected a field of {channels} channels (got shape "
            f"{list(field.shape)})"
        )
    return field.detach().reshape(-1, channels)


def _checked_weight(weight: Tensor, nodes: int, number: int) -> Tensor:
    weight = weight.detach().reshape(-1).to("cpu", torch.float64)
    if len(weight) != nodes:
        raise ValueError(f"case {number}: expected {nodes} weights (got {len(weight)})")
    if not bool((weight.isfinite() & (weight >= 0)).all()):
        raise ValueError(f"case {number}: expected weights that are finite and not negative")
    return weight
