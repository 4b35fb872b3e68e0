"""The attention of the Performer."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from flare_mesh.nn.graph_products import GraphProducts
from flare_mesh.nn.graphs import Graphs
from flare_mesh.nn.mixing_layer import MixingLayer
from flare_mesh.nn.node_weights import relative_weights, summands
from flare_mesh.nn.option_checks import check_at_least, check_heads
from flare_mesh.ops.precision import wide

_EPSILON = 1e-6
_CHUNK = 32_768  # nodes whose features are in memory at a time, also in the backward pass


class PerformerAttention(MixingLayer):
    r"""Softmax attention by positive random features, FAVOR+, at cost O(N m C) (arXiv 2009.14794).

    .. math::
        y_n = \frac{\phi(q_n) \cdot \sum_j w_j \phi(k_j) v_j}{\phi(q_n) \cdot \sum_j w_j \phi(k_j)},
        \quad
        \phi(x)_i = e^{\omega_i \cdot \tilde x - |\tilde x|^2 / 2}, \quad
        \tilde x = D^{-1/4} x

    in each head, followed by a Linear; q, k, v are linear in x. The mean of
    :math:`\phi(q) \cdot \phi(k)` over the random :math:`\omega` is :math:`e^{q \cdot k / \sqrt D}`
    times their number m. Each head has its own :math:`\omega`: blocks of D orthogonal rows, each
    of the length of a Gaussian vector. They are drawn with the parameters and stored with them,
    but not trained.

    Features are scaled so that no exponential overflows: those of a query to the sum 1, those of
    all keys of a graph and head by the largest of them; both cancel in y. Then 1e-6 is added to
    those of the keys, so that the denominator is not 0. FLARE's comparison (arXiv 2508.12594)
    scales each key by its own largest feature, which does not cancel, has rows of length 1, and
    does not store them.

    Above 32,768 nodes features are computed in chunks and again in the backward pass, so that
    memory is that of the queries, keys and values; compiled code computes them at once.

    Args:
        channels: Channels C.
        heads: Heads H; divides C, D = C / H.
        num_features: Random features m of each head.

    Shapes:
        x [N, C], output [N, C].

    Raises:
        ValueError: If the sizes do not fit together.
    """

    directions: Tensor

    def __init__(self, channels: int, heads: int = 8, *, num_features: int = 256) -> None:
        super().__init__()
        check_heads(self, channels, heads)
        check_at_least(self, 1, num_features=num_features)
        self.heads = heads
        self.project = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.register_buffer("directions", torch.empty(heads, num_features, channels // heads))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the random directions; a model draws the Linear layers."""
        heads, features, width = self.directions.shape
        blocks = -(-features // width)
        gaussian = wide(self.directions).new_empty(heads, blocks, width, width).normal_()
        rows, triangle = torch.linalg.qr(gaussian)
        # With these signs the rotations are uniformly distributed, whatever the signs of the QR.
        rows = (rows * triangle.diagonal(dim1=-2, dim2=-1).sign()[..., None, :]).transpose(-1, -2)
        length = torch.linalg.vector_norm(gaussian.normal_(), dim=-1, keepdim=True)
        with torch.no_grad():
            self.directions.copy_((rows * length).flatten(1, 2)[:, :features])

    def forward(self, x: Tensor, graphs: Graphs) -> Tensor:
        projected = self.project(x)
        # Sums over many nodes leave the range of half precision.
        with torch.autocast(x.device.type, enabled=False):
            query, key, value = wide(projected).unflatten(-1, (3, self.heads, -1)).unbind(-3)
            scale = query.shape[-1] ** -0.25
            mixed = self._mix(scale * query, scale * key, value, graphs)
        return self.out(mixed.flatten(-2).to(projected.dtype))

    def _mix(self, query: Tensor, key: Tensor, value: Tensor, graphs: Graphs) -> Tensor:
        nodes = value.shape[0]
        products = GraphProducts(graphs.layout, nodes)
        weight, total = relative_weights(graphs, products, value.dtype)
        summed = summands(value, weight)
        half_square = key.square().sum(-1, keepdim=True) / 2
        chunks = list(_chunks(nodes, graphs, products))
        with torch.no_grad():
            largest = [
                (self._exponents(key[part]) - half_square[part]).amax(-1) for part, _ in chunks
            ]
            shift = products.maxima(torch.cat(largest))[..., None]
        # One more channel takes the shift, so that the product is the whole exponent.
        key = torch.cat([key, half_square + shift], dim=-1)
        run = _run_again if len(chunks) > 1 else _run
        sums = sum(run(self._encode, key[part], summed[part], own) for part, own in chunks)
        ones = torch.ones_like(summed[:, :1, :1])
        plain = products.sums(ones, summed.flatten(1)[:, None]).unflatten(-1, (self.heads, -1))
        means = (sums + _EPSILON * plain[:, 0].transpose(1, 2)) / total[:, None, None, None]
        return torch.cat([run(self._read, query[part], means, own) for part, own in chunks])

    def _exponents(self, x: Tensor) -> Tensor:
        """Products with the directions, [N, H, D] to [N, H, m]."""
        directions = self.directions.to(x.dtype)
        if x.shape[-1] > directions.shape[-1]:
            directions = torch.cat([directions, -torch.ones_like(directions[..., :1])], dim=-1)
        return (x.transpose(0, 1) @ directions.transpose(1, 2)).transpose(0, 1)

    def _encode(self, key: Tensor, summed: Tensor, products: GraphProducts) -> Tensor:
        """Sums [B, H, m, D + 1] over the nodes."""
        return products.sums(self._exponents(key).exp_(), summed)

    def _read(self, query: Tensor, means: Tensor, products: GraphProducts) -> Tensor:
        """Output at the nodes [N, H, D]."""
        read = products.multiply(torch.softmax(self._exponents(query), dim=-1), means)
        return read[..., :-1] / read[..., -1:]


def _chunks(
    nodes: int, graphs: Graphs, products: GraphProducts
) -> Iterator[tuple[slice, GraphProducts]]:
    """Parts of the nodes, and the sums over the graphs' nodes in them."""
    if torch.compiler.is_compiling() or nodes <= _CHUNK:  # compiled code takes any number of nodes
        yield slice(None), products
        return
    count = math.ceil(nodes / _CHUNK)
    for i in range(count):
        part = slice(i * nodes // count, (i + 1) * nodes // count)
        layout = graphs.chunk(part).layout
        yield part, GraphProducts(layout, part.stop - part.start)


def _run(function, *arguments):
    return function(*arguments)


def _run_again(function, *arguments):
    """Run a function, and again in the backward pass to save memory."""
    return checkpoint(function, *arguments, use_reentrant=False, preserve_rng_state=False)
