"""Strassen attention, linearised."""

import torch
from torch import Tensor, nn

from flare_mesh.nn.mixers.state_attention import StateAttention
from flare_mesh.ops.graph_products import GraphProducts


class StrassenAttention(StateAttention):
    r"""A sum of products of two linear attentions, in O(N C D).

    .. math::
        S_l = \frac{\sum_n w_n k_{l,n} v_{l,n}^T}{\sum_n w_n}, \quad
        \bar v_l = \frac{\sum_n w_n v_{l,n}}{\sum_n w_n}, \quad
        y = g_1 (q S_1) \odot \bar v_2 + g_2\, 1^T (S_1 \odot S_2)
          + g_3 (q S_2) \odot \bar v_1 + g_4\, q (S_1 \odot S_2)

    in each head, then LayerNorm over the heads and a Linear (vpuri3/FLARE.py, ``strassen``).
    Departure: the gates g start at 1/2. From 0, as there, the LayerNorm of a zero vector multiplies
    the first gradients by about 300.

    Args:
        channels: Channels C.
        heads: Heads H; divides C.
        proj_layers: Residual hidden layers of each projection; -1 for a Linear plus its input.
        feature_map: Map of queries and keys, see :class:`~flare_mesh.nn.feature_maps.FeatureMap`.
        normalize: Whether queries and keys are then divided by their norm in each head.

    Shapes:
        x [N, C], output [N, C].

    Raises:
        ValueError: If a size does not fit.
    """

    def __init__(
        self,
        channels: int,
        heads: int = 8,
        *,
        proj_layers: int = -1,
        feature_map: str = "identity",
        normalize: bool = False,
    ) -> None:
        super().__init__(
            *(channels, heads),
            keys=2,
            values=2,
            proj_layers=proj_layers,
            feature_map=feature_map,
            normalize=normalize,
        )
        self.gates = nn.Parameter(torch.empty(4, heads))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Gates to 1/2; the feature map as it is drawn."""
        super().reset_parameters()
        nn.init.constant_(self.gates, 0.5)

    def mix(
        self,
        queries: list[Tensor],
        keys: list[Tensor],
        values: list[Tensor],
        share: Tensor,
        products: GraphProducts,
    ) -> Tensor:
        ones = torch.ones_like(share).expand(-1, self.heads, 1)
        states, means = [], []
        for key, value in zip(keys, values, strict=True):
            # A last row of ones: the mean of the values comes from the same product.
            sums = products.sums(torch.cat([key, ones], dim=-1), share * value)
            states.append(sums[:, :, :-1])
            means.append(sums[:, :, -1:])
        gates = self.gates.to(ones.dtype)[:, :, None, None]
        both = states[0] * states[1]
        matrix = gates[0] * states[0] * means[1] + gates[2] * states[1] * means[0] + gates[3] * both
        constant = gates[1] * both.sum(dim=-2, keepdim=True)
        read = torch.cat([queries[0], ones], dim=-1)
        return products.multiply(read, torch.cat([matrix, constant], dim=-2))
