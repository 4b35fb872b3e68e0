"""FLARE with one small projection for all heads."""

import torch
from torch import Tensor, nn

from flare_mesh.nn.graphs import Graphs
from flare_mesh.nn.mixing_layer import MixingLayer
from flare_mesh.nn.option_checks import check_at_least, check_heads
from flare_mesh.ops import backends


class SharedFLAREAttention(MixingLayer):
    r"""FLARE as in PhysicsNeMo: linear keys and values with the same weights in all heads.

    .. math::
        P = x W + b \in \mathbb{R}^{H \times N \times D}, \quad
        K = P W_K + b_K, \quad V = P W_V + b_V, \quad
        Y = \mathrm{softmax}_M(K Q^T)\; \mathrm{softmax}_N(Q K^T + \log w)\, V

    followed by a Linear, with learned queries Q [H, M, D] from N(0, 1), on the kernels of
    :func:`flare_mesh.flare_attention` (arXiv 2508.12594; NVIDIA PhysicsNeMo, ``FLARE``). Departure:
    linear layers are drawn from N(0, 0.02) as those of the other layers.

    Args:
        channels: Channels C.
        heads: Heads H; divides C.
        num_latents: Latents M of each head.
        backend: Backend of :func:`flare_mesh.flare_attention`.

    Shapes:
        x [N, C], output [N, C].

    Raises:
        ValueError: If a size does not fit.
    """

    def __init__(
        self, channels: int, heads: int = 8, num_latents: int = 64, *, backend: str = "auto"
    ) -> None:
        super().__init__()
        check_heads(self, channels, heads)
        check_at_least(self, 1, num_latents=num_latents)
        self.heads, self.backend = heads, backend
        width = channels // heads
        self.project = nn.Linear(channels, channels)
        self.key, self.value = (nn.Linear(width, width) for _ in range(2))
        self.latent_query = nn.Parameter(torch.empty(heads, num_latents, width))
        self.out = nn.Linear(channels, channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Queries from N(0, 1)."""
        nn.init.normal_(self.latent_query)

    def forward(self, x: Tensor, graphs: Graphs) -> Tensor:
        projected = self.project(x).unflatten(-1, (self.heads, -1))
        key, value = self.key(projected), self.value(projected)
        query = self.latent_query.to(key.dtype)
        query = query.expand(graphs.layout.num_graphs, *query.shape)
        layout, log_weight, _ = graphs
        mixed = backends.mix(query, key, value, layout, log_weight, scale=1.0, backend=self.backend)
        return self.out(mixed.flatten(-2).to(key.dtype))
