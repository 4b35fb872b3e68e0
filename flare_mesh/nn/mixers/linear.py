"""Linear attention with a feature map."""

import torch
from torch import Tensor, nn

from flare_mesh.nn.feature_maps import FeatureMap
from flare_mesh.nn.graphs import Graphs
from flare_mesh.nn.mixing_layer import MixingLayer
from flare_mesh.nn.node_weights import relative_weights, summands
from flare_mesh.nn.option_checks import check_heads
from flare_mesh.ops.precision import wide

_SMALLEST = 1e-6


class LinearAttention(MixingLayer):
    r"""Attention by a feature map instead of a softmax, at cost O(N C D) (arXiv 2006.16236).

    .. math::
        y_n = \frac{\sum_j w_j\, (\phi(q_n) \cdot \phi(k_j))\, v_j}
                   {\sum_j w_j\, \phi(q_n) \cdot \phi(k_j)}

    in each head, followed by a Linear; q, k, v are linear in x, and the sums are over the nodes j
    of the graph, as matrices of D x D and not as scores between pairs of nodes.

    The denominator, over the sum of the weights, is kept at least 1e-6 away from 0 on its side of
    0; FLARE's comparison (arXiv 2508.12594) adds 1e-6 to the sum, which does nothing near a
    negative zero. With a map that takes negative values, such as ``"identity"`` with
    ``normalize=True``, the default of that comparison, results are large where the denominator is
    close to 0.

    Args:
        channels: Channels C.
        heads: Heads H; divides C, D = C / H.
        feature_map: One of :data:`~flare_mesh.nn.feature_maps.ELEMENTWISE` and
            :data:`~flare_mesh.nn.feature_maps.LEARNED`.
        normalize: Whether features are divided by their norm.

    Shapes:
        x [N, C], output [N, C].

    Raises:
        ValueError: If ``heads`` does not divide ``channels``, or the map is unknown.
    """

    def __init__(
        self, channels: int, heads: int = 8, *, feature_map: str = "elu+1", normalize: bool = False
    ) -> None:
        super().__init__()
        check_heads(self, channels, heads)
        self.heads = heads
        self.project = nn.Linear(channels, 3 * channels)
        self.features = FeatureMap(feature_map, channels // heads, normalize=normalize)
        self.out = nn.Linear(channels, channels)

    def reset_parameters(self) -> None:
        """Draw the feature map again; a model draws the Linear layers."""
        self.features.reset_parameters()

    def forward(self, x: Tensor, graphs: Graphs) -> Tensor:
        projected = self.project(x)
        # Sums over many nodes leave the range of half precision.
        with torch.autocast(x.device.type, enabled=False):
            query, key, value = wide(projected).unflatten(-1, (3, self.heads, -1)).unbind(-3)
            products = graphs.layout.products(x.shape[0])
            weight, total = relative_weights(graphs, products, value.dtype)
            sums = products.sums(self.features(key), summands(value, weight))
            read = products.multiply(self.features(query), sums / total[:, None, None, None])
            mixed = read[..., :-1] / _away_from_zero(read[..., -1:])
        return self.out(mixed.flatten(-2).to(projected.dtype))


def _away_from_zero(x: Tensor) -> Tensor:
    return torch.where(x < 0, x.clamp(max=-_SMALLEST), x.clamp(min=_SMALLEST))
