"""Matrix products of the nodes of each graph."""

import torch
from torch import Tensor

from flare_mesh.ops.layout import Layout


class GraphProducts:
    """Sums over a graph's nodes, and reads from them, as few batched matrix products.

    The nodes of a ragged batch are laid out in blocks of equal length, each of one graph and
    filled up with zeros: at most a quarter more rows than nodes, about five blocks a graph, and
    no size is read back from the device. Graphs of equal size need no blocks.

    Args:
        layout: Offsets of the graphs.
        nodes: Number N of nodes.
    """

    def __init__(self, layout: Layout, nodes: int) -> None:
        self.num_graphs = graphs = layout.num_graphs
        self.slot: Tensor | None = None  # row of each node in the blocks, [N]
        if graphs == 1 or (graphs and layout.equal is not None):
            self.length, self.num_blocks = nodes // graphs, graphs
            return
        ptr = layout.ptr
        self.length = length = max(1, -(-nodes // (4 * max(graphs, 1))))
        # No ragged batch has more blocks; those left over hold zeros, for the last graph.
        self.num_blocks = (nodes + graphs * (length - 1)) // length
        blocks = (ptr.diff() + length - 1) // length
        end = blocks.cumsum(0)
        node = torch.arange(nodes, device=ptr.device)
        graph = torch.searchsorted(ptr, node, right=True) - 1
        self.slot = ((end - blocks) * length - ptr[:-1])[graph] + node
        block = torch.arange(self.num_blocks, device=ptr.device)
        self.graph = torch.searchsorted(end, block, right=True).clamp(max=graphs - 1)

    def sums(self, left: Tensor, right: Tensor) -> Tensor:
        r"""The sums :math:`\sum_n l_n r_n^T` over the nodes of each graph.

        Args:
            left: [N, H, D].
            right: [N, H, E].

        Returns:
            [B, H, D, E]; 0 for a graph without nodes.
        """
        products = self._blocks(left).transpose(-1, -2) @ self._blocks(right)
        if self.slot is None:
            return products
        sums = products.new_zeros(self.num_graphs, *products.shape[1:])
        return sums.index_add(0, self.graph, products)

    def read(self, left: Tensor, of_graph: Tensor) -> Tensor:
        r"""The rows :math:`l_n^T A_{g(n)}`.

        Args:
            left: [N, H, D].
            of_graph: Matrices A [B, H, D, E].

        Returns:
            [N, H, E].
        """
        if self.slot is not None:
            of_graph = of_graph.index_select(0, self.graph)
        return self._rows((self._blocks(left) @ of_graph).transpose(1, 2))

    def largest(self, values: Tensor) -> Tensor:
        """The largest values [N, H] among the nodes of each node's graph, without gradient."""
        if values.shape[0] == 0:
            return values.detach()
        blocks = self._blocks(values.detach()[..., None], -torch.inf).amax(2)[..., 0]  # [K, H]
        if self.slot is not None:
            index = self.graph[:, None].expand_as(blocks)
            found = blocks.new_full((self.num_graphs, blocks.shape[1]), -torch.inf)
            blocks = found.scatter_reduce(0, index, blocks, "amax")[self.graph]
        return self._rows(blocks[:, None].expand(-1, self.length, -1))

    def _blocks(self, rows: Tensor, fill: float = 0.0) -> Tensor:
        """[N, H, D] to [K, H, L, D]."""
        if self.slot is not None:
            blank = rows.new_full((self.num_blocks * self.length, *rows.shape[1:]), fill)
            rows = blank.index_copy(0, self.slot, rows)
        return rows.unflatten(0, (self.num_blocks, self.length)).transpose(1, 2)

    def _rows(self, blocks: Tensor) -> Tensor:
        """[K, L, ...] to [N, ...]."""
        rows = blocks.flatten(0, 1)
        return rows if self.slot is None else rows.index_select(0, self.slot)
