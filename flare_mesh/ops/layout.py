"""The flat layout that all backends compute in: the nodes of all graphs, one after another."""

from itertools import pairwise

import torch
from torch import Tensor

from flare_mesh.ops.graph_products import GraphProducts
from flare_mesh.ops.packing import MASKED, GraphGroup, Packing, pack_graphs
from flare_mesh.ops.precision import wide


class Layout:
    """Offsets of the graphs of a batch, their host copy, and packing and products that follow.

    These are made at first use and cached for all layers: on a GPU, a whole forward pass waits for
    ``ptr`` once.

    Args:
        ptr: Offsets of the graphs, int64 [B + 1].
        equal: Nodes of each graph where all have the same number; ``ptr`` is then never read.
        offsets: Host copy of ``ptr`` where there is one already.
    """

    def __init__(
        self, ptr: Tensor, *, equal: int | None = None, offsets: list[int] | None = None
    ) -> None:
        self.ptr = ptr
        self.equal = equal
        self._offsets = offsets
        self._packing: Packing | None = None
        self._products: GraphProducts | None = None

    @property
    def num_graphs(self) -> int:
        return self.ptr.shape[0] - 1

    @property
    def offsets(self) -> list[int]:
        """Host copy of ``ptr``."""
        if self._offsets is None and self.equal is not None:
            self._offsets = [graph * self.equal for graph in range(self.num_graphs + 1)]
        elif self._offsets is None:
            self._offsets = self.ptr.tolist()
        return self._offsets

    @property
    def packing(self) -> Packing:
        """The graphs in groups of similar size."""
        if self._packing is None and self.equal is not None:
            every = GraphGroup(self.num_graphs, slice(None), slice(None))
            self._packing = Packing([every] if self.equal and self.num_graphs else [], None, None)
        elif self._packing is None:
            self._packing = pack_graphs(self.ptr, self.offsets)
        return self._packing

    def products(self, nodes: int) -> GraphProducts:
        """Sums over each graph as matrix products, for the batch's number of nodes."""
        if self._products is None:
            self._products = GraphProducts(self.ptr, nodes, equal=self._is_equal())
        return self._products

    def _is_equal(self) -> bool:
        """Whether all graphs have the same number of nodes, as far as known without a wait."""
        if self.equal is not None:
            return True
        on_host = self.ptr.device.type == "cpu" or self._offsets is not None
        if torch.compiler.is_compiling() or not on_host:
            return False
        return len({stop - start for start, stop in pairwise(self.offsets)}) == 1


def equal_layout(graphs: int, nodes: int, device: torch.device) -> Layout:
    """Layout of ``graphs`` graphs of ``nodes`` nodes each."""
    return Layout(torch.arange(graphs + 1, device=device) * nodes, equal=nodes)


def graph_of_nodes(layout: Layout, nodes: int) -> Tensor:
    """Number of each node's graph, [N]."""
    node = torch.arange(nodes, device=layout.ptr.device)
    if layout.num_graphs == 1:
        return torch.zeros_like(node)
    return torch.searchsorted(layout.ptr, node, right=True) - 1


def log_weights(weight: Tensor | None, mask: Tensor | None) -> Tensor | None:
    """log(weight) [N] in float32 or float64, :data:`MASKED` at masked nodes; None without both."""
    if mask is None:
        return None if weight is None else wide(weight).log().flatten()
    if weight is None:
        log_weight = torch.zeros(mask.shape, device=mask.device)
    else:
        # A positive number under the mask: log and its gradient stay free of NaN.
        log_weight = wide(weight.masked_fill(~mask, 1.0)).log()
    return log_weight.masked_fill(~mask, MASKED).flatten()


def flatten_nodes(nodes: tuple[Tensor, ...], mask: Tensor | None) -> tuple[Tensor, ...]:
    """Dense node tensors [B, H, N, D] as flat ones [B N, H, D], 0 at masked nodes."""
    if mask is not None:
        # No weight however small would stop NaN or inf in a padded key or value.
        nodes = tuple(t.masked_fill(~mask[:, None, :, None], 0.0) for t in nodes)
    return tuple(t.transpose(1, 2).flatten(0, 1) for t in nodes)


def unflatten(flat: Tensor, graphs: int, nodes: int) -> Tensor:
    """[B N, H, D] to [B, H, N, D]."""
    return flat.unflatten(0, (graphs, nodes)).transpose(1, 2)
