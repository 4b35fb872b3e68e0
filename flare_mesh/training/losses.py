"""Losses of predicted fields."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from flare_mesh.choices import check_choice
from flare_mesh.training.graph_sums import graph_sums
from flare_mesh.training.grid_derivatives import derivative_error
from flare_mesh.training.metrics import at_least_float32, check_fields, field_sums, relative_l2

LossName = Literal["relative_l2", "relative_l1", "l1", "mse"]


@dataclass(frozen=True)
class LossConfig:
    """Loss to minimise.

    Attributes:
        name: ``relative_l2``: L2 norm of the error over the norm of the target, as published;
            ``relative_l1``: the same with the L1 norm; ``l1``: mean absolute error; ``mse``: mean
            squared error. :class:`FieldModule` takes fields over their root mean square in the
            training cases, so that each has an equal share in ``l1`` and ``mse`` for any unit.
        node_weights: Whether each node has its quadrature weight, ``weight`` of the data.
        derivative: Factor of :func:`~flare_mesh.training.grid_derivatives.derivative_error`, which
            is added to the loss on a structured grid; 0.1 as published for Darcy flow.
    """

    name: LossName = "relative_l2"
    node_weights: bool = False
    derivative: float = 0.0

    def __post_init__(self) -> None:
        check_choice("LossConfig: unknown loss", self.name, get_args(LossName))
        if not 0 <= self.derivative < math.inf:
            raise ValueError(f"LossConfig: expected 'derivative' >= 0 (got {self.derivative})")


class FieldLoss:
    """Loss of each graph and field.

    Args:
        config: The loss.
        channels: Channels of each of the F fields, which are concatenated in C.
        grid_shape: For ``config.derivative``: nodes along each axis of the structured grid of every
            graph, whose nodes are in row-major order.

    Raises:
        ValueError: If ``config.derivative`` is set without a grid of at least 3 nodes along each
            axis.
    """

    def __init__(
        self, config: LossConfig, channels: Sequence[int], grid_shape: Sequence[int] | None = None
    ) -> None:
        if config.derivative and (not grid_shape or min(grid_shape) < 3):
            raise ValueError(
                "FieldLoss: 'derivative' needs a data set on one structured grid with at least 3 "
                f"nodes along each axis (got {grid_shape and tuple(grid_shape)}); leave it out"
            )
        self.config = config
        self.is_relative = config.name.startswith("relative")
        self.channels = list(channels)
        self.grid_shape = None if grid_shape is None else tuple(grid_shape)

    def __call__(
        self, prediction: Tensor, target: Tensor, data: Any, *, group: Any = None
    ) -> Tensor:
        """Losses [B, F].

        Args:
            prediction: [N, C].
            target: [N, C].
            data: PyG ``Data`` or ``Batch`` of the nodes.
            group: ``torch.distributed`` process group that shares the nodes of each graph: each
                process passes its own nodes and gets the losses of whole graphs. The mean of the
                processes' gradients is the gradient of the loss.

        Raises:
            ValueError: If shapes do not fit, or the data have no ``weight`` or no whole grids where
                the loss needs them.
        """
        weight = self._weight(data)
        batch, graphs = data.batch, getattr(data, "num_graphs", None)
        where: dict[str, Any] = {"batch": batch, "batch_size": graphs, "group": group}
        if self.config.name == "relative_l2":
            loss = relative_l2(prediction, target, self.channels, weight=weight, **where)
        else:
            loss = self._loss(prediction, target, weight, where)
        if not self.config.derivative:
            return loss
        size = math.prod(self.grid_shape or ())
        if group is not None or len(target) != len(loss) * size:
            raise ValueError(
                f"FieldLoss: 'derivative' needs graphs with all {size} nodes of the grid "
                f"(got {len(target)} nodes of {len(loss)} graphs"
                f"{'' if group is None else ', spread over processes'})"
            )
        errors = derivative_error(
            prediction, target, self.channels, self.grid_shape or (), weight=weight
        )
        return loss + self.config.derivative * errors

    def _weight(self, data: Any) -> Tensor | None:
        if not self.config.node_weights:
            return None
        if "weight" not in data:
            raise ValueError(
                "FieldLoss: 'node_weights' needs data with 'weight' [N]; add it with the transform "
                "flare_mesh.data.transforms.QuadratureWeights, or leave 'node_weights' out"
            )
        return data.weight

    def _loss(
        self, prediction: Tensor, target: Tensor, weight: Tensor | None, where: dict[str, Any]
    ) -> Tensor:
        check_fields(prediction, target, self.channels, weight)
        target = at_least_float32(target)
        error = at_least_float32(prediction) - target
        error = error.square() if self.config.name == "mse" else error.abs()
        # Over sums of 1, the result is a mean.
        scale = target.abs() if self.is_relative else torch.ones_like(target)
        sums = [field_sums(part, self.channels, weight) for part in (error, scale)]
        over, under = graph_sums(torch.cat(sums, dim=1), **where).chunk(2, dim=1)
        # The smallest norm of a target in the relative L2 error.
        return over / under.clamp_min(torch.finfo(under.dtype).tiny ** 0.5)
