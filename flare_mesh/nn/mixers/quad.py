"""Fourth-order linear attention."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from flare_mesh.nn.mixers.state_attention import StateAttention
from flare_mesh.ops.graph_products import GraphProducts
from flare_mesh.ops.trilinear import contract, third_moments

_PRODUCTS = 2**22  # of pairs of a piece of the nodes


class QuadAttention(StateAttention):
    r"""Linear attention of three queries to three keys, in O(N C D^3).

    .. math::
        S_{ijkl} = \sum_n w_n\, k^1_{ni} v_{nj} k^2_{nk} k^3_{nl} \Big/ \sum_n w_n, \quad
        y_{nj} = \sum_{ikl} q^1_{ni} S_{ijkl} q^2_{nk} q^3_{nl}

    in each head, then LayerNorm over the heads and a Linear (vpuri3/FLARE.py, ``quad``). The state
    has D^4 numbers a head: use heads of few channels. Products of a node's channels are in memory
    for a piece of the nodes at a time, and computed again in the backward pass.

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
            queries=3,
            keys=3,
            proj_layers=proj_layers,
            feature_map=feature_map,
            normalize=normalize,
        )

    def mix(
        self,
        queries: list[Tensor],
        keys: list[Tensor],
        values: list[Tensor],
        share: Tensor,
        products: GraphProducts,
    ) -> Tensor:
        value, *keys = (products.blocks(t) for t in (share * values[0], *keys))
        queries = [products.blocks(query) for query in queries]
        first, *others = _by_pieces(_moments, value, *keys)
        state = products.of_blocks(products.sum_blocks(sum(others, start=first)))
        return products.rows(torch.cat(_by_pieces(partial(_read, state), *queries), dim=-2))


def _moments(value: Tensor, *keys: Tensor) -> Tensor:
    return third_moments(value, keys[0], _pairs(keys))


def _read(state: Tensor, *queries: Tensor) -> Tensor:
    return contract(state, queries[0], _pairs(queries))


def _pairs(factors: Sequence[Tensor]) -> Tensor:
    """Products of the second and the third, [..., D^2]."""
    return (factors[1][..., None] * factors[2][..., None, :]).flatten(-2)


def _by_pieces(function: Callable[..., Tensor], *nodes: Tensor) -> list[Tensor]:
    """Results for pieces of the rows of nodes [K, H, L, D].

    With more than one piece, the products of a node are computed again in the backward pass, so
    that they are in memory for a piece at a time. Compiled code has one piece.
    """
    rows, width = nodes[-1].shape[-2:]
    products = nodes[-1].numel() * width
    if torch.compiler.is_compiling() or products <= _PRODUCTS:
        return [function(*nodes)]
    length = max(1, rows * _PRODUCTS // products)
    pieces = zip(*(t.split(length, dim=-2) for t in nodes), strict=True)
    return [
        checkpoint(function, *piece, use_reentrant=False, preserve_rng_state=False)
        for piece in pieces
    ]
