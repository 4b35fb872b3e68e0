"""The attention of the Linformer."""

import torch
from torch import Tensor, nn

from flare_mesh.nn.graphs import Graphs
from flare_mesh.nn.mixing_layer import MixingLayer
from flare_mesh.nn.node_weights import relative_weights
from flare_mesh.nn.option_checks import check_at_least, check_choice, check_heads
from flare_mesh.nn.sequence import places, size_limits
from flare_mesh.ops import backends
from flare_mesh.ops.precision import wide


class LinformerAttention(MixingLayer):
    r"""Attention to M learned combinations of the nodes, at cost O(N M C) (arXiv 2006.04768).

    .. math::
        k' = E_k^T k, \quad v' = E_v^T v, \quad
        y = \mathrm{softmax}_M(q k'^T / \sqrt D)\, v'

    in each head, followed by a Linear; q, k, v are linear in x. Each layer has its own matrices
    :math:`E_k, E_v` of ``max_nodes`` rows, shared by the heads and drawn from N(0, 1 / D), as in
    FLARE's comparison (arXiv 2508.12594). The n-th node of a graph takes row n: a graph of fewer
    nodes has the first rows, and one of more is refused.

    So a result depends on the order of the nodes and on their number: the model ``backbone`` orders
    them along a Hilbert curve, but a refined mesh gets other rows for the same places. Node weights
    enter as factors of k and v, scaled to the mean 1 in each graph.

    Args:
        channels: Channels C.
        heads: Heads H; divides C, D = C / H.
        num_latents: Combinations M.
        max_nodes: Nodes of the largest graph.
        backend: Backend of the attention, as in :func:`flare_mesh.flare_attention`.

    Shapes:
        x [N, C], output [N, C].

    Raises:
        ValueError: If the sizes do not fit together; in a call, if a graph is larger than
            ``max_nodes``; in compiled code this is an IndexError of torch.
    """

    ORDERED = True
    SIZED = True

    def __init__(
        self,
        channels: int,
        heads: int = 8,
        num_latents: int = 256,
        *,
        max_nodes: int = 1024,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        check_heads(self, channels, heads)
        check_at_least(self, 1, num_latents=num_latents, max_nodes=max_nodes)
        check_choice(self, ("auto", *backends.NAMES), backend=backend)
        self.heads, self.max_nodes, self.backend = heads, max_nodes, backend
        self.project = nn.Linear(channels, 3 * channels)
        self.key_rows, self.value_rows = (
            nn.Parameter(torch.empty(max_nodes, num_latents)) for _ in range(2)
        )
        self.out = nn.Linear(channels, channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the matrices; a model draws the Linear layers."""
        width = self.out.in_features // self.heads
        for rows in (self.key_rows, self.value_rows):
            nn.init.normal_(rows, std=width**-0.5)

    def forward(self, x: Tensor, graphs: Graphs) -> Tensor:
        self._check_sizes(x.shape[0], graphs)
        projected = self.project(x)
        query, key, value = projected.unflatten(-1, (3, self.heads, -1)).unbind(-3)
        # Sums over many nodes leave the range of half precision.
        with torch.autocast(x.device.type, enabled=False):
            keys, values = self._combine(wide(key), wide(value), graphs)
        mixed = backends.decode(
            keys.to(query.dtype), query, values, graphs.layout,
            scale=query.shape[-1] ** -0.5, backend=self.backend,
        )  # fmt: skip
        return self.out(mixed.flatten(-2).to(projected.dtype))

    def _combine(self, key: Tensor, value: Tensor, graphs: Graphs) -> tuple[Tensor, Tensor]:
        """The combinations k' and v' [B, H, M, D] of keys and values [N, H, D]."""
        layout, nodes = graphs.layout, key.shape[0]
        products = layout.products(nodes)
        graph, place = places(layout, nodes)
        weight, total = relative_weights(graphs, products, key.dtype)
        if weight is not None:
            weight = weight * (layout.ptr.diff() / total)[graph]
        # A slice would limit compiled code to graphs that have been seen.
        first_rows = layout.num_graphs == 1 and not torch.compiler.is_compiling()
        combined = []
        for rows, of_nodes in ((self.key_rows, key), (self.value_rows, value)):
            own = rows[:nodes] if first_rows else rows.index_select(0, place)
            if weight is not None:
                of_nodes = of_nodes * weight[:, None, None]
            # The heads share the matrix: one product for all of them.
            sums = products.sums(own.to(key.dtype)[:, None], of_nodes.flatten(1)[:, None])
            combined.append(sums[:, 0].unflatten(-1, (self.heads, -1)).transpose(1, 2))
        return combined[0], combined[1]

    def _check_sizes(self, nodes: int, graphs: Graphs) -> None:
        sizes = size_limits(graphs.layout, nodes)
        if sizes is not None and sizes[1] > self.max_nodes:
            raise ValueError(
                f"mixer 'linformer': expected graphs of at most {self.max_nodes} nodes, its option "
                f"'max_nodes' (got {sizes[1]}); train with a larger 'max_nodes', or take a mixer "
                "without a limit, such as 'nystromformer', 'performer', 'linear' or 'flare'"
            )
