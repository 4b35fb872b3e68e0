"""The checked input of a model."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from flare_mesh.nn.graphs import Graphs, graphs_of


class Nodes(NamedTuple):
    """The nodes of a batch of graphs, one graph after another.

    Attributes:
        x: Features [N, in_channels], or None.
        pos: Coordinates [N, pos_dim].
        edge_index: Edges [2, E], or None.
        graphs: The graphs of the nodes.
    """

    x: Tensor | None
    pos: Tensor
    edge_index: Tensor | None
    graphs: Graphs

    def chunk(self, part: slice) -> "Nodes":
        """A range of the nodes, without edges."""
        x = None if self.x is None else self.x[part]
        return Nodes(x, self.pos[part], None, self.graphs.chunk(part))

    def features(self) -> Tensor:
        """Coordinates and features side by side, [N, pos_dim + in_channels]."""
        return self.pos if self.x is None else torch.cat([self.pos, self.x], dim=-1)


def read_nodes(
    model: Any,
    x: Any,
    pos: Tensor | None = None,
    batch: Tensor | None = None,
    ptr: Tensor | None = None,
    weight: Tensor | None = None,
    edge_index: Tensor | None = None,
    batch_size: int | None = None,
    group: Any = None,
) -> Nodes:
    """Check the input of a ``FieldModel``; ``x`` may be a PyG ``Data`` or ``Batch``.

    Raises:
        ValueError: If a shape, dtype or device does not fit the model.
    """
    name = type(model).__name__
    if pos is None and hasattr(x, "pos"):
        data = x
        x, pos = data.x, data.pos
        if batch is None and ptr is None:
            batch = data.batch
            # Only the number of graphs: the offsets of a subgraph of a batch are out of date.
            if batch is not None and "ptr" in data:
                batch_size = len(data.ptr) - 1
        if weight is None and "weight" in data:
            weight = data.weight
        if edge_index is None and model.uses_edges:
            edge_index = data.edge_index
    channels, pos_dim = model.config["in_channels"], model.config["pos_dim"]
    if pos is None or pos.dim() != 2 or pos.shape[-1] != pos_dim:
        raise ValueError(
            f"{name}: expected 'pos' of shape [N, {pos_dim}] "
            f"(got {None if pos is None else list(pos.shape)})"
        )
    parameter = next(model.parameters())
    for key, given in (("pos", pos), ("x", x)):
        if given is not None and (
            not given.is_floating_point()
            or given.device != parameter.device
            or not (given.dtype == parameter.dtype or torch.is_autocast_enabled(given.device.type))
        ):
            raise ValueError(
                f"{name}: expected '{key}' of the dtype and device of the model, "
                f"{parameter.dtype} on {parameter.device} (got {given.dtype} on {given.device})"
            )
    expected = (pos.shape[0], channels)
    if (x is None and channels) or (x is not None and tuple(x.shape) != expected):
        raise ValueError(
            f"{name}: expected 'x' of shape {list(expected)} "
            f"(got {None if x is None else list(x.shape)})"
        )
    if group is not None and not model.can_spread:
        raise ValueError(
            f"{name}: expected a pointwise encoder with a 'group', as a process does not have the "
            f"neighbours on other processes (got {type(model.encoder).__name__})"
        )
    graphs = graphs_of(pos, batch, ptr=ptr, weight=weight, batch_size=batch_size, group=group)
    return Nodes(x, pos, edge_index, graphs)


def read_points(
    model: Any,
    num_graphs: int | None,
    x: Any,
    pos: Tensor | None,
    batch: Tensor | None,
    ptr: Tensor | None,
    batch_size: int | None,
) -> Nodes:
    """Check the points at which encoded graphs are evaluated.

    Args:
        model: The model, of which the message names ``decode``.
        num_graphs: Number of encoded graphs; None where it is not known.
        x: This and the others as for :func:`read_nodes`.

    Raises:
        ValueError: As :func:`read_nodes`, or if it is another number of graphs.
    """
    batch_size = num_graphs if batch_size is None else batch_size
    nodes = read_nodes(model, x, pos, batch, ptr, batch_size=batch_size)
    graphs = nodes.graphs.layout.num_graphs
    if num_graphs is not None and graphs != num_graphs:
        raise ValueError(
            f"{type(model).__name__}.decode: expected points of the {num_graphs} encoded graphs "
            f"(got {graphs} graphs)"
        )
    return nodes
