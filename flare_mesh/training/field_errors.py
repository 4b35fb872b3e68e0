"""Errors of a surrogate's predicted fields."""

from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from flare_mesh.surrogate.surrogate import Surrogate
from flare_mesh.training.graph_sums import graph_sums
from flare_mesh.training.losses import FieldLoss, LossConfig
from flare_mesh.training.metrics import field_sums


def scale_fields(surrogate: Surrogate, y: Tensor) -> Tensor:
    """y [N, C] over the fields' magnitudes, whose squares fit into float32 for any unit."""
    return y / expand_steps(surrogate, surrogate.y_scale, y)


def expand_steps(surrogate: Surrogate, values: Tensor, y: Tensor) -> Tensor:
    """Values [C] of the model's output channels at every node and time step of y."""
    row, rollout = values[None], surrogate.rollout
    if rollout is not None:
        row = rollout.join([row] * len(rollout.split(y)))
    return row.expand_as(y)


def field_errors(
    surrogate: Surrogate, batch: Data, prediction: Tensor, *, group: Any = None
) -> Tensor:
    """Relative L2 error of each graph and field of ``batch.y``, [B, F].

    Args:
        surrogate: Names the fields, and has their magnitudes.
        batch: Batch with a target ``y`` [N, C], in physical units.
        prediction: Prediction of y.
        group: ``torch.distributed`` process group that shares the nodes of each graph.
    """
    assert isinstance(batch.y, Tensor)
    metric = FieldLoss(LossConfig(), _channels(surrogate, batch.y))
    prediction, target = scale_fields(surrogate, prediction), scale_fields(surrogate, batch.y)
    return metric(prediction, target, batch, group=group)


def error_weights(surrogate: Surrogate, batch: Data, count: int, *, group: Any = None) -> Tensor:
    """Weight of each error in a mean over cases, [B, F].

    It is ``batch.case_weight``, or 1 without; and 0 for a field that is zero at every node of a
    graph, whose relative error does not exist.

    Args:
        surrogate: As for :func:`field_errors`.
        batch: As for :func:`field_errors`.
        count: Number B of graphs.
        group: As for :func:`field_errors`.
    """
    y = batch.y
    assert isinstance(y, Tensor)
    weight = batch.case_weight if "case_weight" in batch else y.new_ones(count)
    squares = field_sums(scale_fields(surrogate, y).square(), _channels(surrogate, y))
    size = graph_sums(squares, batch.batch, count, group=group)
    return torch.where(size > 0, weight[:, None], 0.0)


def _channels(surrogate: Surrogate, y: Tensor) -> list[int]:
    """Channels of each field of y; a time series in a test may be longer than in training."""
    return [field.shape[1] for field in surrogate.split_fields(y).values()]
