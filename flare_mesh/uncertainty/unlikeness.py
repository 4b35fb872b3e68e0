"""Distance of a case to the nearest training case, relative to that of the known cases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

MIN_CASES = 3
"""Smallest number of training cases, since the spread over fewer is unknown."""

_TENSORS = ("center", "scale", "directions", "variances", "known")
# Resolution of a shape descriptor; of others, relative to the deviation over all nodes.
_RESOLUTION = 0.01
_USUAL = 0.9
_LEAST_USUAL = 0.5  # deviations over the training cases, which may be all the same
_OLD = (
    "its bands are of an older version, which compared a case with the mean of the training cases "
    "only; train it again"
)


@dataclass(frozen=True)
class Unlikeness:
    r"""Distance of a case to the nearest training case, over the usual one of known cases.

    .. math::
        d(z)^2 = \min_i\,(z - z_i)^T \Sigma^{-1} (z - z_i), \qquad
        \Sigma = (1 - \gamma) S + \gamma \tfrac{\operatorname{tr} S}{p} I

    with z the descriptor of the case over its deviation in each of the p components, :math:`z_i`
    those of the training cases, S their covariance, and the shrinkage :math:`\gamma` of Ledoit and
    Wolf (2004). The distance to the mean of the training cases would call a case known that lies
    between two families of them.

    The score is d over the usual distance, which nine of ten known cases do not exceed: held-out
    cases to the training cases, and training cases to the others, with the mean and S of the
    others. The largest distance of a known case is no measure: of a hundred cases it is often four
    times the median, so that it hides foreign shapes. The usual distance is at least 0.5, since the
    training cases may be all the same, or lie densely along the only number that varies.

    Attributes:
        center: Mean over the training cases, [p].
        scale: Deviation of each component, [p].
        directions: Principal directions of S, orthonormal rows [r, p].
        variances: Variance of :math:`\Sigma` along each, [r].
        known: Training cases along each direction, over its deviation, [n, r].
        rest: Variance of :math:`\Sigma` in all other directions.
        usual: Distance that nine of ten known cases do not exceed.
    """

    center: Tensor
    scale: Tensor
    directions: Tensor
    variances: Tensor
    known: Tensor
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
        directions, variances = directions[keep], variances[keep]
        known = rows @ directions.T / variances.sqrt()
        found = cls(center, scale, directions, variances, known, rest, 1.0)
        distances = torch.cat([_leave_one_out(found, shrinkage), found.distance(held_out)])
        usual = max(float(distances.quantile(_USUAL)), _LEAST_USUAL)
        return cls(center, scale, directions, variances, known, rest, usual)

    def distance(self, descriptors: Tensor) -> Tensor:
        """Distances [m] of descriptors [m, p]."""
        rows = (descriptors - self.center) / self.scale
        along = rows @ self.directions.T
        # The training cases have no part outside the directions.
        outside = (rows.square().sum(1) - along.square().sum(1)).clamp_min(0) / self.rest
        squares = _squared_distances(along / self.variances.sqrt(), self.known)
        return (squares.amin(1) + outside).sqrt()

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
            KeyError, TypeError, ValueError: If they are damaged, or of an older version, which
                compared a case with the mean of the training cases.
        """
        if "known" not in tensors and {*tensors} >= {*_TENSORS} - {"known"}:
            raise ValueError(_OLD)
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
            or found.known.dim() != 2
            or found.known.shape[1] != rows
            or len(found.known) < MIN_CASES
            or not (found.rest > 0 and found.usual > 0)
            or not bool((found.scale > 0).all() and (found.variances > 0).all())
            or not bool(found.known.isfinite().all())
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


def _leave_one_out(found: Unlikeness, shrinkage: float) -> Tensor:
    """Distance of each training case to the others, by the rule of Sherman and Morrison.

    Without case i, S changes to n / (n - 1) S - n / (n - 1)^2 v v^T, with v its centred row.
    """
    count = len(found.known)
    grown = (found.variances - found.rest) * count / (count - 1) + found.rest
    rows = found.known * (found.variances / grown).sqrt()
    squares = _squared_distances(rows, rows)
    gram = rows @ rows.T
    own = gram.diagonal()[:, None]
    factor = (1 - shrinkage) * count / (count - 1) ** 2
    squares = squares + factor * (own - gram).square() / (1 - factor * own).clamp_min(1e-9)
    return squares.fill_diagonal_(torch.inf).amin(1).sqrt()


def _squared_distances(rows: Tensor, others: Tensor) -> Tensor:
    # By products, as it is faster, half of the digits of small distances would be lost.
    return torch.cdist(rows, others, compute_mode="donot_use_mm_for_euclid_dist").square()
