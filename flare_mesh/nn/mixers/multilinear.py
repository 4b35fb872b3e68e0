"""Multilinear attention."""

from math import prod

from torch import Tensor

from flare_mesh.nn.mixers.state_attention import StateAttention
from flare_mesh.nn.option_checks import check_at_least
from flare_mesh.ops.graph_products import GraphProducts


class MultilinearAttention(StateAttention):
    r"""Linear attention through an elementwise product of L states, in O(L N C D).

    .. math::
        S_l = \sum_n w_n\, k_{l,n} v_{l,n}^T \Big/ \sum_n w_n, \quad
        Y = Q\, (S_1 \odot \dots \odot S_L)

    in each head, then LayerNorm over the heads and a Linear (vpuri3/FLARE.py, ``multilinear``).
    With one state it is linear attention without its denominator.

    Args:
        channels: Channels C.
        heads: Heads H; divides C.
        states: Number L of states.
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
        states: int = 2,
        proj_layers: int = -1,
        feature_map: str = "identity",
        normalize: bool = False,
    ) -> None:
        super().__init__(
            *(channels, heads),
            keys=states,
            values=states,
            proj_layers=proj_layers,
            feature_map=feature_map,
            normalize=normalize,
        )
        check_at_least(self, 1, states=states)

    def mix(
        self,
        queries: list[Tensor],
        keys: list[Tensor],
        values: list[Tensor],
        share: Tensor,
        products: GraphProducts,
    ) -> Tensor:
        states = [
            products.sums(key, share * value) for key, value in zip(keys, values, strict=True)
        ]
        return products.multiply(queries[0], prod(states[1:], start=states[0]))
