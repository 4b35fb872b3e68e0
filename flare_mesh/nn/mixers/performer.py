"""The attention of the Performer."""

import torch
from torch import Tensor, nn

from flare_mesh.nn.graphs import Graphs
from flare_mesh.nn.mixing_layer import MixingLayer
from flare_mesh.nn.option_checks import check_at_least, check_choice, check_heads
from flare_mesh.nn.positions import Rotation
from flare_mesh.ops import backends
from flare_mesh.ops.precision import wide


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

    It is computed as FLARE's mixing with m latents, whose queries are :math:`\omega`,

    .. math::
        z_i = \mathrm{softmax}_N(\omega_i \cdot \tilde k - |\tilde k|^2 / 2 + \log w)\, v, \quad
        y_n = \mathrm{softmax}_m(\omega_i \cdot \tilde q_n + L_i)\, z_i

    with L the log-sum-exps of the first softmax: no exponential overflows, no denominator is 0,
    and memory is that of the queries, keys and values. So nothing has to be added to the features,
    as public code does. FLARE's comparison (arXiv 2508.12594) moreover scales each key by its own
    largest feature, which does not cancel, has rows of length 1, and does not store them.

    Args:
        channels: Channels C.
        heads: Heads H; divides C, D = C / H.
        num_features: Random features m of each head.
        backend: Backend of the two products, as in :func:`flare_mesh.flare_attention`.

    Shapes:
        x [N, C], output [N, C].

    Raises:
        ValueError: If the sizes do not fit together.
    """

    ROTARY = True
    directions: Tensor

    def __init__(
        self, channels: int, heads: int = 8, *, num_features: int = 256, backend: str = "auto"
    ) -> None:
        super().__init__()
        check_heads(self, channels, heads)
        check_at_least(self, 1, num_features=num_features)
        check_choice(self, ("auto", *backends.NAMES), backend=backend)
        self.heads, self.backend = heads, backend
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

    def forward(self, x: Tensor, graphs: Graphs, rotation: Rotation | None = None) -> Tensor:
        projected = self.project(x)
        # Exponents in half precision would be wrong by whole units.
        with torch.autocast(x.device.type, enabled=False):
            query, key, value = wide(projected).unflatten(-1, (3, self.heads, -1)).unbind(-3)
            if rotation is not None:
                query, key = rotation(query), rotation(key)
            scale = query.shape[-1] ** -0.25
            latent, bias = self._encode(scale * key, value, graphs)
            mixed = self._decode(scale * query, latent, bias, graphs)
        return self.out(mixed.flatten(-2).to(projected.dtype))

    def _encode(self, key: Tensor, value: Tensor, graphs: Graphs) -> tuple[Tensor, Tensor]:
        """Latents [B, H, m, D + 1], the last channel 0, and their log-sum-exps [B, H, m]."""
        half_square = key.square().sum(-1, keepdim=True) / 2
        key = torch.cat([key, half_square], dim=-1)
        value = torch.cat([value, torch.zeros_like(half_square)], dim=-1)
        minus_one = self.directions.new_full((*self.directions.shape[:2], 1), -1.0)
        query = torch.cat([self.directions, minus_one], dim=-1).to(key.dtype)
        return backends.encode(
            self._of_graphs(query, graphs), key, value, graphs.layout, graphs.log_weight,
            backend=self.backend,
        )  # fmt: skip

    def _decode(self, query: Tensor, latent: Tensor, bias: Tensor, graphs: Graphs) -> Tensor:
        """Output at the nodes [N, H, D]."""
        bias = bias.masked_fill(bias == -torch.inf, 0.0)  # of a graph without nodes
        # A common shift cancels; small numbers keep their digits.
        bias = (bias - bias.detach().amax(-1, keepdim=True))[..., None]
        directions = self._of_graphs(self.directions.to(query.dtype), graphs)
        query = torch.cat([query, torch.ones_like(query[..., :1])], dim=-1)
        mixed = backends.decode(
            torch.cat([directions, bias], dim=-1), query, latent, graphs.layout,
            backend=self.backend,
        )  # fmt: skip
        return mixed[..., :-1]

    def _of_graphs(self, rows: Tensor, graphs: Graphs) -> Tensor:
        return rows.expand(graphs.layout.num_graphs, *rows.shape)
