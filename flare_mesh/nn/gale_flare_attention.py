"""The mixing layer of GeoTransolver with FLARE in place of slices."""

import torch
from torch import Tensor, nn

from flare_mesh.nn.context_mix import ContextMix
from flare_mesh.nn.graphs import Graphs
from flare_mesh.nn.option_checks import check_at_least, check_heads
from flare_mesh.ops import backends


class GALEFlareAttention(nn.Module):
    r"""FLARE whose nodes attend to a context too: GALE_FA of NVIDIA's PhysicsNeMo.

    In each head, with :math:`p_n` linear in the input of a node and :math:`k_n, v_n` linear in
    :math:`p_n` with weights common to the heads,

    .. math::
        z_m = \mathrm{softmax}_N(q_m \cdot k_n + \log w_n)\, v_n, \quad
        y_n = \mathrm{softmax}_M(k_n \cdot q_m)\, z_m

    mixed with attention of the nodes :math:`p_n` to the context by
    :class:`~flare_mesh.nn.context_mix.ContextMix`. All scores have the scale 1, as in that code.
    The learned queries q are from N(0, 1).

    Args:
        channels: Channels C.
        heads: Heads H; divides C.
        num_latents: Latents M of each head.
        context_channels: Channels of the context.
        mixing: As in :class:`~flare_mesh.nn.context_mix.ContextMix`.

    Shapes:
        x [N, C], context [B, H, S, context_channels], output [N, C].

    Raises:
        ValueError: If the sizes do not fit together.
    """

    backend: str = "auto"

    def __init__(
        self,
        channels: int,
        heads: int,
        num_latents: int,
        *,
        context_channels: int,
        mixing: str = "gate",
    ) -> None:
        super().__init__()
        check_heads(self, channels, heads)
        check_at_least(self, 1, num_latents=num_latents)
        width = channels // heads
        self.heads = heads
        self.project = nn.Linear(channels, channels)
        self.latent_query = nn.Parameter(torch.empty(heads, num_latents, width))
        self.key, self.value = nn.Linear(width, width), nn.Linear(width, width)
        self.context = ContextMix(width, context_channels, mixing)
        self.out = nn.Linear(channels, channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the queries; the model draws the linear layers."""
        nn.init.normal_(self.latent_query)

    def forward(self, x: Tensor, graphs: Graphs, context: Tensor) -> Tensor:
        layout, log_weight, _ = graphs
        how = {"scale": 1.0, "backend": self.backend}
        projected = self.project(x).unflatten(-1, (self.heads, -1))
        key, value = self.key(projected), self.value(projected)
        query = self.latent_query.to(key.dtype).expand(layout.num_graphs, *self.latent_query.shape)
        own = backends.mix(query, key, value, layout, log_weight, **how)

        context = context.to(key.dtype)
        context_key, context_value = self.context.key(context), self.context.value(context)
        asked = self.context.query(projected)
        cross = backends.decode(context_key, asked, context_value, layout, **how)
        return self.out(self.context.mix(own, cross).flatten(-2))
