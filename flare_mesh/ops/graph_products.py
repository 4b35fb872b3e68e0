"""Sums over the nodes of each graph, as batched matrix products."""

import torch
from torch import Tensor


class GraphProducts:
    """Matrix products of the nodes of each graph, as few batched ones.

    The nodes of a ragged batch are copied into blocks of equal length, each of one graph and
    padded with zeros: at most a quarter more rows than nodes, about five blocks a graph, and
    no size is read from the device. Graphs of equal size need no copy.

    :meth:`Layout.products <flare_mesh.ops.layout.Layout.products>` makes them once for all layers.

    Args:
        ptr: Offsets of the graphs, int64 [B + 1].
        nodes: Number N of nodes.
        equal: Whether all graphs have the same number of nodes.
    """

    def __init__(self, ptr: Tensor, nodes: int, *, equal: bool = False) -> None:
        self.num_graphs = graphs = ptr.shape[0] - 1
        self.ptr = ptr
        self.slot: Tensor | None = None  # row of each node in the blocks, [N]
        if graphs == 1 or (graphs and equal):
            self.length, self.num_blocks = nodes // graphs, graphs
            return
        self.length = length = max(1, -(-nodes // (4 * max(graphs, 1))))
        # Upper bound for any ragged batch; unused blocks hold zeros and belong to the last graph.
        self.num_blocks = (nodes + graphs * (length - 1)) // length
        blocks = (ptr.diff() + length - 1) // length
        end = blocks.cumsum(0)
        node = torch.arange(nodes, device=ptr.device)
        graph = torch.searchsorted(ptr, node, right=True) - 1
        self.slot = ((end - blocks) * length - ptr[:-1])[graph] + node
        block = torch.arange(self.num_blocks, device=ptr.device)
        self.graph = torch.searchsorted(end, block, right=True).clamp(max=graphs - 1)

    def sums(self, left: Tensor, right: Tensor) -> Tensor:
        r"""The sums :math:`\sum_n l_n r_n^T` over the nodes of each graph; 0 without nodes.

        Shapes: left [N, H, D], right [N, H, E], output [B, H, D, E].
        """
        return self.sum_blocks(self.blocks(left).transpose(-1, -2) @ self.blocks(right))

    def multiply(self, left: Tensor, matrices: Tensor) -> Tensor:
        r"""The rows :math:`l_n^T A_{g(n)}`, each with the matrix of the node's graph.

        Shapes: left [N, H, D], matrices A [B, H, D, E], output [N, H, E].
        """
        return self.rows(self.blocks(left) @ self.of_blocks(matrices))

    def maxima(self, values: Tensor) -> Tensor:
        """Maxima of the values [N, H] over each graph, at each of its nodes; without gradient."""
        if values.shape[0] == 0:
            return values.detach()
        blocks = self.blocks(values.detach()[..., None], -torch.inf).amax(2)[..., 0]  # [K, H]
        if self.slot is not None:
            index = self.graph[:, None].expand_as(blocks)
            maxima = blocks.new_full((self.num_graphs, blocks.shape[1]), -torch.inf)
            blocks = maxima.scatter_reduce(0, index, blocks, "amax")[self.graph]
        return self.rows(blocks[:, :, None].expand(-1, -1, self.length))

    def averages(self, scores: Tensor, values: Tensor, log_weight: Tensor | None) -> Tensor:
        r"""Averages of the values over each graph; 0 for a graph without nodes.

        .. math:: z_{gm} = \mathrm{softmax}_{n \in g}(s_{nm} + \log w_n)\, v_n

        Shapes: scores [N, H, M], values [N, H, D], log_weight [N] or None, output [B, H, M, D].
        """
        if log_weight is not None:
            scores = scores + log_weight.to(scores.dtype)[:, None, None]
        if self.slot is None:
            return self.blocks(scores).softmax(2).transpose(-1, -2) @ self.blocks(values)
        largest = self.maxima(scores.flatten(1)).view_as(scores)
        ones = torch.ones_like(values[..., :1])
        sums = self.sums((scores - largest).exp(), torch.cat([values, ones], dim=-1))
        total = sums[..., -1:]
        return sums[..., :-1] / total.masked_fill(total == 0, 1.0)

    def blocks(self, rows: Tensor, fill: float = 0.0) -> Tensor:
        """Rows [N, H, D] in blocks of one graph each, filled up, [K, H, L, D]."""
        if self.slot is not None:
            blank = rows.new_full((self.num_blocks * self.length, *rows.shape[1:]), fill)
            rows = blank.index_copy(0, self.slot, rows)
        return rows.unflatten(0, (self.num_blocks, self.length)).transpose(1, 2)

    def rows(self, blocks: Tensor) -> Tensor:
        """The rows [N, H, ...] of blocks [K, H, L, ...]."""
        rows = blocks.transpose(1, 2).flatten(0, 1)
        return rows if self.slot is None else rows.index_select(0, self.slot)

    def sum_blocks(self, blocks: Tensor) -> Tensor:
        """Sums [B, ...] over the blocks [K, ...] of each graph; 0 without nodes."""
        if self.slot is None:
            return blocks
        sums = blocks.new_zeros(self.num_graphs, *blocks.shape[1:])
        return sums.index_add(0, self.graph, blocks)

    def of_blocks(self, graphs: Tensor) -> Tensor:
        """Tensors [B, ...] of the graphs, at each of their blocks [K, ...]."""
        return graphs if self.slot is None else graphs.index_select(0, self.graph)
