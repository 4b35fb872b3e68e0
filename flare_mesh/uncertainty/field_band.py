"""Band of a predicted field."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class FieldBand:
    r"""Band around a predicted field: a half-width at each node and time step.

    .. math::
        h_i = q\,D^g\,s_i, \qquad s_i^2 = a\,|p_i|^2 + b\,R^2 + c\,Y^2

    with the prediction p, its root mean square R over the nodes of the case, and the root mean
    square Y of the field over the training cases; :math:`|p|` is the Euclidean norm over the
    channels of a field, and D the difficulty of the case, see
    :class:`~flare_mesh.uncertainty.Calibration`. The band holds where
    :math:`|p_i - y_i| \le h_i`: an interval for a scalar field, a ball for a vector.

    Attributes:
        channels: Channels of the field in one time step.
        shares: a, b and c.
        magnitude: Y.
        quantiles: q of each time step.
        likely: Range of the share of covered nodes over very many new cases that is likely (in 8
            of 10 draws of the held-out cases), in the mean over the steps; None if unknown.
        exponent: g.
    """

    channels: int
    shares: tuple[float, float, float]
    magnitude: float
    quantiles: tuple[float, ...]
    likely: tuple[float, float] | None = None
    exponent: float = 1.0

    def half_width(self, predicted: Tensor, difficulty: float = 1.0) -> Tensor:
        """Half-width at each node and time step, [N, steps].

        It is NaN for the steps beyond those of the held-out cases, whose errors are unknown.

        Args:
            predicted: Predicted field [N, steps * channels], step by step.
            difficulty: D.
        """
        scale = self.scale(predicted)
        quantiles = scale.new_full((scale.shape[1],), torch.nan)
        known = torch.tensor(self.quantiles[: len(quantiles)], dtype=scale.dtype)
        quantiles[: len(known)] = known.to(scale.device)
        return (difficulty**self.exponent * scale * quantiles).to(predicted.dtype)

    def scale(self, predicted: Tensor) -> Tensor:
        """The local scale s of the error, [N, steps] in float64."""
        squares = step_norms(predicted, self.channels).square()
        return local_scale(self.shares, squares, squares.mean(0), self.magnitude)

    def to_dict(self) -> dict[str, Any]:
        """All attributes, in types of JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Restore a band from :meth:`to_dict`.

        Raises:
            KeyError, TypeError, ValueError: If the values are damaged.
        """
        a, b, c = map(float, values["shares"])
        found = cls(
            int(values["channels"]),
            (a, b, c),
            float(values["magnitude"]),
            tuple(map(float, values["quantiles"])),
            _read_range(values.get("likely")),
            float(values.get("exponent", 1.0)),
        )
        numbers = [*found.shares, found.magnitude, *found.quantiles, found.exponent]
        numbers += found.likely or ()
        valid = all(0 <= number < torch.inf for number in numbers)
        if found.channels < 1 or not found.quantiles or not valid:
            raise ValueError(f"its band is damaged: {dict(values)}")
        return found


def _read_range(values: Any) -> tuple[float, float] | None:
    if values is None:
        return None
    low, high = map(float, values)
    return low, high


def local_scale(
    shares: tuple[float, float, float], squares: Tensor, mean_square: Tensor, magnitude: float
) -> Tensor:
    """The local scale s of :class:`FieldBand`, from |p|^2, R^2 and Y."""
    a, b, c = shares
    return (a * squares + b * mean_square + c * magnitude**2).sqrt()


def step_norms(values: Tensor, channels: int) -> Tensor:
    """Euclidean norm over the channels of each time step, [N, steps].

    In float64, into which the squares of values in any unit fit.
    """
    return values.double().unflatten(1, (-1, channels)).norm(dim=2)
