"""Distance of a case to the training cases, relative to that of the known cases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

MIN_CASES = 3
"""Smallest number of training cases, since the spread over fewer is unknown."""

_TENSORS = ("center", "scale", "directions", "variances")
# Resolution of a shape descriptor; of others, relative to the deviation over all nodes.
_RESOLUTION = 0.01
_USUAL = 0.9


@dataclass(frozen=True)
class Unlikeness:
    r"""Mahalanobis distance of a case to the training cases, over the usual one of known cases.

    .. math::
        d^2 = (z - \bar z)^T \Sigma^{-1} (z - \bar z), \qquad
        \Sigma = (1 - \gamma) S + \gamma \tfrac{\operatorname{tr} S}{p} I

    with z the descriptor of the case over its deviation in each of the p components, S the
    covariance over the training cases, and the shrinkage :math:`\gamma` of Ledoit and Wolf (2004).
    The score is d over the usual distance, which nine of ten known cases do not exceed: held-out
    cases to the training cases, and training cases to the others. The largest distance of a known
    case is no measure: of a hundred cases it is often four times the median, so that it hides
    foreign shapes.

    Attributes:
        center: Mean over the training cases, [p].
        scale: Deviation of each component, [p].
        directions: Principal directions of S, orthonormal rows [r, p].
        variances: Variance of :math:`\Sigma` along each, [r].
        rest: Variance of :math:`\Sigma` in all other directions.
        usual: Distance that nine of ten known cases do not exceed.
    """

    center: Tensor
    scale: Tensor
    directions: Tensor
    variances: Tensor
    rest: float
    usual: float

    @classmethod
    def fit(
        cls, training: Tensor, held_out: Tensor, resolution: Tensor | float = _RESOLUTION
    ) -> Self:
        """Fit to known cases.

        Args:
            training: Descriptors of the training cases, [n, p].
            held_out: Descriptors of the held-out cases, [m, p].
            resolution: Smallest deviation of a component that counts, [p] or one number.

        Raises:
            ValueError: For fewer than three training cases.
        """
        count = len(training)
        if count < MIN_CASES:
            raise ValueError(f"expected at least {MIN_CASES} training cases (got {count})")
        center = training.mean(0)
        scale = training.std(0, correction=0).clamp_min(torch.as_tensor(resolution))
        rows = (training - center) / scale
        shrinkage, mean_variance = _shrinkage(rows)
        # Directions without any variance must not be infinitely narrow.
        rest = max(shrinkage * mean_variance, 1e-4)
        _, values, directions = torch.linalg.svd(rows, full_matrices=False)
        variances = (1 - shrinkage) * values.square() / count + rest
        keep = values > 1e-9 * values.max().clamp_min(1e-300)
        found = cls(center, scale, directions[keep], variances[keep], rest, 1.0)
        known = torch.cat([_leave_one_out(found, rows, shrinkage), found.distance(held_out)])
        # All known cases may be the same, as fixed meshes are.
        usual = max(float(known.quantile(_USUAL)), 1.0)
        return cls(center, scale, directions[keep], variances[keep], rest, usual)

    def distance(self, descriptors: Tensor) -> Tensor:
        """Distances [m] of descriptors [m, p]."""
        return self._distance((descriptors - self.center) / self.scale)

    def _distance(self, rows: Tensor) -> Tensor:
        along = rows @ self.directions.T
        inside = along.square() * (1 / self.variances - 1 / self.rest)
        return (rows.square().sum(1) / self.rest + inside.sum(1)).clamp_min(0).sqrt()

    def score(self, descriptor: Tensor) -> float:
        """Score of one descriptor [p].

        Raises:
            ValueError: If it has another size than those of the training cases.
        """
        if descriptor.shape != self.center.shape:
            raise ValueError(
                f"expected a descriptor of {len(self.center)} numbers (got {len(descriptor)}); "
                f"calibrate the surrogate again"
            )
        return float(self.distance(descriptor[None])[0]) / self.usual

    def tensors(self) -> dict[str, Tensor]:
        """The tensors among the attributes."""
        return {name: getattr(self, name) for name in _TENSORS}

    def to_dict(self) -> dict[str, float]:
        """The numbers among the attributes."""
        return {"rest": self.rest, "usual": self.usual}

    @classmethod
    def from_dict(cls, numbers: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        """Restore from :meth:`to_dict` and :meth:`tensors`.

        Raises:
            KeyError, TypeError, ValueError: If they are damaged.
        """
        found = cls(
            **{name: tensors[name].double() for name in _TENSORS},
            rest=float(numbers["rest"]),
            usual=float(numbers["usual"]),
        )
        rows, size = len(found.variances), len(found.center)
        if (
            found.center.dim() != 1
            or found.variances.dim() != 1
            or found.directions.shape != (rows, size)
            or found.scale.shape != (size,)
            or not (found.rest > 0 and found.usual > 0)
            or not bool((found.scale > 0).all() and (found.variances > 0).all())
        ):
            raise ValueError("its distance to the training cases is damaged")
        return found


def node_resolution(moments: Tensor) -> Tensor:
    """Resolution of descriptors of means and deviations over the nodes, [2 C].

    Args:
        moments: Mean and standard deviation of C channels for each case, [n, 2 C].
    """
    mean, deviation = moments.chunk(2, dim=1)
    total = (deviation.square().mean(0) + mean.var(0, correction=0)).sqrt()
    # Rounding makes a constant channel vary a little.
    total = torch.maximum(total, 1e-4 * mean.abs().amax(0)).clamp_min(1e-30)
    return _RESOLUTION * torch.cat([total, total])


def stack_descriptors(found: Sequence[Mapping[str, Tensor]], kind: str) -> Tensor:
    """Descriptors of one kind, [n, p]."""
    return torch.stack([one[kind] for one in found])


def _shrinkage(rows: Tensor) -> tuple[float, float]:
    """Shrinkage of Ledoit and Wolf for centred rows [n, p], and the mean variance."""
    count, size = rows.shape
    gram = rows @ rows.T / count
    squares = gram.square().sum()  # |S|^2 too
    mean = float(gram.diagonal().sum()) / size
    distance = float(squares) / size - mean**2
    noise = float((gram.diagonal() * count).square().sum() / count - squares) / size / count
    return (min(1.0, noise / distance) if distance > 1e-12 else 1.0), mean


def _leave_one_out(found: Unlikeness, rows: Tensor, shrinkage: float) -> Tensor:
    """Distance of each training case to the others, by the rule of Sherman and Morrison."""
    count = len(rows)
    if count < MIN_CASES:
        return rows.new_zeros(count)
    # Without case i, S changes to n / (n - 1) S - n / (n - 1)^2 v v^T, with v its centred row.
    grown = (found.variances - found.rest) * count / (count - 1) + found.rest
    along = (rows @ found.directions.T).square()
    h = (along / grown).sum(1) + (rows.square().sum(1) - along.sum(1)).clamp_min(0) / found.rest
    factor = (1 - shrinkage) * count / (count - 1) ** 2
    return (count / (count - 1)) * (h / (1 - factor * h).clamp_min(1e-9)).sqrt()
