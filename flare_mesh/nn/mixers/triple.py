"""Third-order linear attention."""

from torch import Tensor

from flare_mesh.nn.mixers.state_attention import StateAttention
from flare_mesh.nn.option_checks import check_choice
from flare_mesh.ops.backends import check_triton, prefers_triton
from flare_mesh.ops.graph_products import GraphProducts
from flare_mesh.ops.graph_trilinear import graph_contract, graph_moments
from flare_mesh.ops.trilinear import contract, third_moments


class TripleAttention(StateAttention):
    r"""Linear attention of pairs of queries to pairs of keys, in O(N C D^2).

    .. math::
        S_{ijk} = \sum_n w_n\, k^1_{ni} v_{nj} k^2_{nk} \Big/ \sum_n w_n, \quad
        y_{nj} = \sum_{ik} q^1_{ni} S_{ijk} q^2_{nk}

    in each head, then LayerNorm over the heads and a Linear (vpuri3/FLARE.py, ``triple``). The
    state has D^3 numbers a head.

    Args:
        channels: Channels C.
        heads: Heads H; divides C.
        proj_layers: Residual hidden layers of each projection; -1 for a Linear plus its input.
        feature_map: Map of queries and keys, see :class:`~flare_mesh.nn.feature_maps.FeatureMap`.
        normalize: Whether queries and keys are then divided by their norm in each head.
        backend: ``"torch"``; or ``"triton"``, ragged kernels without copies into blocks, tested in
            Triton's interpreter and not yet run on a GPU; ``"auto"`` takes the latter on a GPU on
            which they pass a comparison of values.

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
        backend: str = "auto",
    ) -> None:
        super().__init__(
            *(channels, heads),
            queries=2,
            keys=2,
            proj_layers=proj_layers,
            feature_map=feature_map,
            normalize=normalize,
        )
        check_choice(self, ("auto", "torch", "triton"), backend=backend)
        self.backend = backend

    def mix(
        self,
        queries: list[Tensor],
        keys: list[Tensor],
        values: list[Tensor],
        share: Tensor,
        products: GraphProducts,
    ) -> Tensor:
        backend = self.backend
        if backend == "triton":
            check_triton(queries[0])
        elif backend == "auto" and prefers_triton("trilinear", queries[0]):
            backend = "triton"
        if backend == "triton":
            state = graph_moments(share * values[0], keys[0], keys[1], products.ptr)
            return graph_contract(state, queries[0], queries[1], products.ptr)
        value, *keys = (products.blocks(t) for t in (share * values[0], *keys))
        state = products.sum_blocks(third_moments(value, keys[0], keys[1]))  # [B, H, j, i, k]
        queries = [products.blocks(query) for query in queries]
        return products.rows(contract(products.of_blocks(state), queries[0], queries[1]))
