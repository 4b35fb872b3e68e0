"""A flat batch as dense tensors, for layers in which all nodes of a graph meet."""

from collections.abc import Callable

import torch
from torch import Tensor

from flare_mesh.nn.graphs import Graphs
from flare_mesh.ops.layout import MASKED
from flare_mesh.ops.sdpa import _groups


class Packing:
    """Graphs of similar size side by side in dense tensors, chosen once for all layers.

    At most a fifth of the rows of such a tensor is padding.

    Args:
        graphs: The graphs of the batch; one process holds all nodes of each.
    """

    def __init__(self, graphs: Graphs) -> None:
        layout, log_weight, _ = graphs
        self._parts = []
        for group in _groups(layout):
            count = layout.num_graphs if isinstance(group.graphs, slice) else len(group.graphs)
            bias = None if log_weight is None else group.pack(log_weight, count)
            if group.valid is not None:
                bias = (
                    torch.zeros(group.valid.shape, device=layout.ptr.device)
                    if bias is None
                    else bias
                )
                bias = bias.masked_fill(~group.valid, MASKED)
            self._parts.append((group, count, bias))
        self._inverse = None
        if len(self._parts) > 1 or any(not isinstance(g.nodes, slice) for g, _, _ in self._parts):
            every = torch.arange(int(layout.ptr[-1]), device=layout.ptr.device)
            order = torch.cat([g.unpack(g.pack(every, count)) for g, count, _ in self._parts])
            self._inverse = torch.empty_like(order)
            self._inverse[order] = every

    def map(self, function: Callable[..., Tensor], *nodes: Tensor) -> Tensor:
        """Applies a function of whole graphs to flat tensors.

        Args:
            function: Takes the packed tensors [B, L, ...] and ``bias`` [B, L]: the logarithms of
                the nodes' weights, with :data:`~flare_mesh.ops.layout.MASKED` at padding, or None
                where all weigh alike and nothing is padded. Returns [B, L, ...]; what it has at
                padding is dropped.
            nodes: Tensors [N, ...].

        Returns:
            [N, ...].
        """
        if not self._parts:  # no nodes; but parameters in the function shall get a gradient
            return function(*(t[None] for t in nodes), None)[0]
        rows = [
            group.unpack(function(*(group.pack(t, count) for t in nodes), bias))
            for group, count, bias in self._parts
        ]
        if self._inverse is None:
            return rows[0]
        return torch.cat(rows).index_select(0, self._inverse)
