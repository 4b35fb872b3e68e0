"""Mean and deviation of a model's last hidden features over the nodes of each case."""

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from flare_mesh.models import FieldModel


class LatentMoments:
    """Context in which the moments of the last hidden features of a model are gathered.

    The features are the input of the last linear layer with ``out_channels`` outputs. They are
    added up chunk by chunk in the model's own pass, so that a mesh of millions of nodes needs no
    more memory. Where a prediction has several evaluations, of time steps or of symmetries over
    which it is averaged, they are those of the first.

    Args:
        model: The model.
        sizes: Number of nodes of each case of the batch.
        weights: Quadrature weights of the nodes of each case, or None for equal weights.
    """

    def __init__(
        self, model: FieldModel, sizes: Sequence[int], weights: Sequence[Tensor | None]
    ) -> None:
        self._layer = _last_linear(model)
        self._weights = [None if one is None else _shares(one) for one in weights]
        self._sizes = list(sizes)
        self._starts = [sum(sizes[:i]) for i in range(len(sizes))]
        self._read = 0
        self._sums: list[Tensor | None] = [None] * len(self._sizes)
        self._handle: Any = None

    def __enter__(self) -> Self:
        if self._layer is not None:
            self._handle = self._layer.register_forward_pre_hook(self._add)
        return self

    def __exit__(self, *error: object) -> None:
        if self._handle is not None:
            self._handle.remove()

    def _add(self, layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        h, first = inputs[0].detach(), self._read
        if h.dim() != 2:
            return
        self._read += len(h)
        for case, (start, size) in enumerate(zip(self._starts, self._sizes, strict=True)):
            low, high = max(first, start), min(self._read, start + size)
            if low < high:
                part = h[low - first : high - first]
                # MPS devices have no float64.
                part = part.to(torch.float32 if part.device.type == "mps" else torch.float64)
                weight = self._weights[case]
                if weight is None:
                    weight = part.new_full((high - low,), 1 / size)
                else:
                    weight = weight[low - start : high - start].to(part)
                sums = torch.stack([weight @ part, weight @ part.square()]).double().cpu()
                known = self._sums[case]
                self._sums[case] = sums if known is None else known + sums

    def moments(self, case: int) -> tuple[Tensor, Tensor] | None:
        """Mean and standard deviation of each feature, [C] each; None if the model has none."""
        sums = self._sums[case]
        if sums is None or self._read < self._starts[-1] + self._sizes[-1]:
            return None
        mean, square = sums
        return mean, (square - mean.square()).clamp_min(0).sqrt()


def _last_linear(model: FieldModel) -> nn.Linear | None:
    channels = model.config["out_channels"]
    found = [
        module
        for module in model.modules()
        if isinstance(module, nn.Linear) and module.out_features == channels
    ]
    return found[-1] if found else None


def _shares(weight: Tensor) -> Tensor:
    weight = weight.double()
    return weight / weight.sum()
