"""The attention of the Nystromformer."""

import torch
from torch import Tensor, nn

from flare_mesh.nn.graphs import Graphs
from flare_mesh.nn.mixing_layer import MixingLayer
from flare_mesh.nn.node_weights import relative_weights
from flare_mesh.nn.option_checks import check_at_least, check_choice, check_heads
from flare_mesh.nn.sequence import Places, places, size_limits
from flare_mesh.nn.sequence_convolution import SequenceConvolution
from flare_mesh.ops import backends
from flare_mesh.ops.packing import MASKED
from flare_mesh.ops.precision import wide


class NystromformerAttention(MixingLayer):
    r"""Softmax attention by landmarks, at cost O(N m C + m^3 H) (arXiv 2102.03902).

    .. math::
        y = \mathrm{softmax}_m(q \hat k^T / \sqrt D)\; P^+\,
            \mathrm{softmax}_N(\hat q k^T / \sqrt D + \log w)\, v, \quad
        P = \mathrm{softmax}_m(\hat q \hat k^T / \sqrt D)

    in each head, followed by a Linear; q, k, v are linear in x. The landmarks
    :math:`\hat q, \hat k` are the means, with the node weights w, of m segments of consecutive
    nodes: segment j of a graph of n nodes begins at its node :math:`\lfloor j n / m \rfloor`. A
    graph of fewer nodes than m has each as a landmark. :math:`P^+` is approximated by the iteration
    of the paper,

    .. math::
        Z \leftarrow Z\, (13 I - P Z\, (15 I - P Z\, (7 I - P Z))) / 4

    from :math:`Z = P^T / \max_j \sum_i P_{ij}`, of each graph and head; the authors' code takes the
    largest sum of a whole batch. ``kernel_size`` adds the paper's depthwise convolution of v over
    the sequence of each graph, which stops at its ends.

    The result depends on the order of the nodes; the model ``backbone`` orders them along a Hilbert
    curve, so that a segment is a part of the mesh.

    Args:
        channels: Channels C.
        heads: Heads H; divides C, D = C / H.
        num_landmarks: Landmarks m of each graph.
        iterations: Iterations for the inverse.
        kernel_size: Nodes in the kernel of the convolution, an odd number, 35 in the authors' code;
            None for no convolution.
        backend: Backend of the attention, as in :func:`flare_mesh.flare_attention`.

    Shapes:
        x [N, C], output [N, C].

    Raises:
        ValueError: If the sizes do not fit together.
    """

    ORDERED = True

    def __init__(
        self,
        channels: int,
        heads: int = 8,
        *,
        num_landmarks: int = 64,
        iterations: int = 6,
        kernel_size: int | None = None,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        check_heads(self, channels, heads)
        check_at_least(self, 1, num_landmarks=num_landmarks, iterations=iterations)
        check_choice(self, ("auto", *backends.NAMES), backend=backend)
        self.heads, self.num_landmarks, self.iterations = heads, num_landmarks, iterations
        self.backend = backend
        self.project = nn.Linear(channels, 3 * channels)
        self.convolution = None if kernel_size is None else SequenceConvolution(heads, kernel_size)
        self.out = nn.Linear(channels, channels)

    def reset_parameters(self) -> None:
        """Draw the convolution; a model draws the Linear layers."""
        if self.convolution is not None:
            self.convolution.reset_parameters()

    def forward(self, x: Tensor, graphs: Graphs) -> Tensor:
        projected, where = self.project(x), places(graphs.layout, x.shape[0])
        query, key, value = projected.unflatten(-1, (3, self.heads, -1)).unbind(-3)
        with torch.autocast(x.device.type, enabled=False):
            means, valid = self._segment_means(wide(x), graphs, where)
        # The projections are linear: those of the means are the means of the projections.
        landmarks = self.project(means.to(x.dtype)).unflatten(-1, (3, self.heads, -1))
        near, far = (wide(landmarks[:, :, i]).transpose(1, 2) for i in (0, 1))
        with torch.autocast(x.device.type, enabled=False):
            mixed = self._attend(query, key, value, near, far, valid, graphs)
            if self.convolution is not None:
                mixed = mixed + self.convolution(wide(value), graphs.layout, where)
        return self.out(mixed.flatten(-2).to(projected.dtype))

    def _attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        near: Tensor,
        far: Tensor,
        valid: Tensor | None,
        graphs: Graphs,
    ) -> Tensor:
        """The three products, at the nodes [N, H, D]; landmarks near, far [B, H, m, D]."""
        options = {"scale": query.shape[-1] ** -0.5, "backend": self.backend}
        scores = options["scale"] * near @ far.transpose(-1, -2)
        if valid is not None:
            # Landmarks that a graph does not have only see themselves.
            pairs = valid[:, None, :, None] & valid[:, None, None, :]
            own = torch.eye(valid.shape[1], dtype=torch.bool, device=valid.device)
            scores = scores.masked_fill(~(pairs | own), -torch.inf)
        near = near.to(key.dtype)
        read = backends.encode_latents(
            near, key, value, graphs.layout, graphs.log_weight, **options
        )
        latent = pseudo_inverse(torch.softmax(scores, dim=-1), self.iterations) @ wide(read)
        if valid is not None:
            # One more channel, 1 in the queries, gives these landmarks no share of any node.
            query = wide(query)
            query = torch.cat([query, torch.ones_like(query[..., :1])], dim=-1)
            bias = torch.where(valid, 0.0, MASKED).to(far.dtype)
            bias = bias[:, None, :, None].expand(*far.shape[:-1], 1)
            far = torch.cat([far, bias], dim=-1)
            latent = torch.cat([latent, torch.zeros_like(bias)], dim=-1)
        mixed = backends.decode(far.to(query.dtype), query, latent, graphs.layout, **options)
        return mixed[..., : value.shape[-1]]

    def _segment_means(
        self, x: Tensor, graphs: Graphs, where: Places
    ) -> tuple[Tensor, Tensor | None]:
        """Means of the segments [B, m, C], and which of them a graph has [B, m]; None for all."""
        layout, (graph, place) = graphs.layout, where
        sizes = size_limits(layout, x.shape[0])
        count = self.num_landmarks if sizes is None else min(self.num_landmarks, max(sizes[1], 1))
        size = layout.ptr.diff()
        own = size.clamp(max=count)
        segment = ((place + 1) * own[graph] - 1) // size[graph]
        weight, _ = relative_weights(graphs, layout.products(x.shape[0]), x.dtype)
        summed = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)
        if weight is not None:
            summed = summed * weight[:, None]
        blank = x.new_zeros(layout.num_graphs * count, summed.shape[1])
        sums = blank.index_add(0, graph * count + segment, summed)
        if sizes is not None and sizes[0] >= count:
            return (sums[:, :-1] / sums[:, -1:]).unflatten(0, (-1, count)), None
        valid = torch.arange(count, device=x.device) < own[:, None]
        total = sums[:, -1:].masked_fill(~valid.flatten()[:, None], 1.0)
        return (sums[:, :-1] / total).unflatten(0, (-1, count)), valid


def pseudo_inverse(matrix: Tensor, iterations: int) -> Tensor:
    """Approximate inverses of matrices [..., m, m] whose rows are positive and sum to 1."""
    eye = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    # The largest sum of a row is 1; this start makes the iteration converge.
    z = matrix.transpose(-1, -2) / matrix.sum(-2).amax(-1)[..., None, None]
    for _ in range(iterations):
        product = matrix @ z
        z = z @ (13 * eye - product @ (15 * eye - product @ (7 * eye - product))) / 4
    return z
