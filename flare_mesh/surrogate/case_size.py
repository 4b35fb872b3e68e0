"""Sizes of the fields and inputs of training cases, from which scales are fitted."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.data import Data

# Relative to its largest value, an input that varies less over a case does so by rounding alone.
_ROUNDING = 1e-5


@dataclass(frozen=True)
class CaseSize:
    """What the scales of a training case depend on.

    Attributes:
        case: Name of the case.
        low: Smallest value of each channel of x, [C].
        high: Largest value of each channel of x, [C].
        mean_square: Mean square of each field with a scale, [F].
    """

    case: str
    low: Tensor
    high: Tensor
    mean_square: Tensor


def measure_cases(
    cases: Iterable[Data], fields: Mapping[str, int], scaled: Sequence[str]
) -> list[CaseSize]:
    """What the scales of training cases depend on; each case is read once.

    Args:
        cases: Cases with ``x`` and ``y``.
        fields: Channels of each field in y, in order.
        scaled: Fields with a scale.

    Raises:
        ValueError: If a field with a scale has values that are NaN or infinite.
    """
    found = []
    for number, case in enumerate(cases):
        name, x, y = case.get("case_id", number), case.x, case.y
        assert isinstance(y, Tensor)
        x = y.new_empty(len(y), 0) if x is None else x
        parts = dict(zip(fields, y.split([*fields.values()], 1), strict=True))
        squares = torch.stack([parts[one].double().square().mean() for one in scaled])
        if not bool(squares.isfinite().all()):
            bad = scaled[int((~squares.isfinite()).nonzero()[0])]
            raise ValueError(f"case '{name}': '{bad}' has values that are NaN or infinite")
        low, high = torch.aminmax(x.detach().double(), dim=0)
        found.append(CaseSize(str(name), low.cpu(), high.cpu(), squares.cpu()))
    return found


def varies(low: Tensor, high: Tensor) -> Tensor:
    """Whether values from ``low`` to ``high`` differ by more than rounding."""
    return high - low > _ROUNDING * torch.maximum(low.abs(), high.abs())
