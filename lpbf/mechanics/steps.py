"""The steps of a build."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Step:
    """One step: a layer is added, or the standing part changes its temperature.

    Attributes:
        layer: The layer that was added, or None.
        name: What reports and errors call it.
        eigenstrain: What each standing cell would strain by if it were free, [n, 6].
        temperature: Of the standing cells, [n], degrees Celsius; None for the process's.
    """

    layer: int | None
    name: str
    eigenstrain: Tensor
    temperature: Tensor | None = None
