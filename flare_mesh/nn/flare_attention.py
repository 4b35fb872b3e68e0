"""The FLARE mixing layer."""

import torch
from torch import Tensor, nn

from flare_mesh.nn.residual_mlp import ResidualMLP
from flare_mesh.ops import flare_attention


def batch_to_ptr(batch: Tensor | None, nodes: Tensor) -> Tensor:
    """Offsets [B + 1] of the graphs of a PyG batch vector [N], or of one graph where it is None.

    Args:
        batch: Graph of each node, sorted.
        nodes: Any tensor [N, ...] on the nodes.

    Raises:
        ValueError: If ``batch`` does not fit the nodes or is not sorted.
    """
    if batch is None:
        return torch.tensor([0, len(nodes)], device=nodes.device)
    if batch.shape != nodes.shape[:1] or batch.is_floating_point():
        raise ValueError(
            f"expected 'batch' to be integers of shape [{len(nodes)}] "
            f"(got {batch.dtype} {list(batch.shape)})"
        )
    if not torch.compiler.is_compiling() and bool((batch[1:] < batch[:-1]).any()):
        raise ValueError(
            "expected 'batch' to be sorted, graph after graph (got graph numbers that fall); "
            "reorder the nodes, for example with torch_geometric.utils.index_sort"
        )
    return torch.cat([batch.new_zeros(1), batch.bincount().cumsum(0)])


class FLAREAttention(nn.Module):
    r"""Global mixing of N nodes through M latents, at cost O(N M C) (arXiv 2508.12594, eq. 6-9).

    Keys and values each come from a :class:`ResidualMLP` of the input; every head owns its slice
    of the learned latent queries, and there is no attention among the latents. See
    :func:`flare_mesh.flare_attention` for the equations.

    Args:
        channels: Channels C of input and output.
        heads: Heads H; ``channels`` must be divisible by it.
        num_latents: Latents M of each head.
        kv_layers: Residual hidden layers of the key and value projections; -1 for one Linear.
        scale: Factor on the scores of both passes.
        qk_norm: Applies LayerNorm to queries and keys of each head.
        backend: Backend of :func:`flare_mesh.flare_attention`.

    Shapes:
        x flat [N, C] with ``batch`` [N] or ``ptr`` [B + 1] (one graph without either), or dense
        [B, N, C] with an optional ``mask`` [B, N], True = valid; ``weight`` [N] or [B, N];
        output: shape of x.

    Raises:
        ValueError: If the sizes do not fit together.
    """

    def __init__(
        self,
        channels: int,
        heads: int = 8,
        num_latents: int = 64,
        *,
        kv_layers: int = 3,
        scale: float = 1.0,
        qk_norm: bool = False,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        if heads < 1 or channels % heads:
            raise ValueError(
                f"FLAREAttention: expected 'channels' divisible by 'heads' "
                f"(got {channels} channels, {heads} heads)"
            )
        if num_latents < 1:
            raise ValueError(f"FLAREAttention: expected 'num_latents' >= 1 (got {num_latents})")
        self.channels = channels
        self.heads = heads
        self.num_latents = num_latents
        self.scale = scale
        self.backend = backend

        head_channels = channels // heads
        self.latent_query = nn.Parameter(torch.empty(heads, num_latents, head_channels))
        self.key = self._projection(kv_layers)
        self.value = self._projection(kv_layers)
        self.query_norm = nn.LayerNorm(head_channels) if qk_norm else nn.Identity()
        self.key_norm = nn.LayerNorm(head_channels) if qk_norm else nn.Identity()
        self.out = nn.Linear(channels, channels)
        self.reset_parameters()

    def _projection(self, num_layers: int) -> ResidualMLP:
        c = self.channels
        return ResidualMLP(c, c, c, num_layers, input_residual=True, output_residual=True)

    def reset_parameters(self) -> None:
        """Latents from N(0, 0.1), linear weights from N(0, 0.02), biases zero."""
        nn.init.normal_(self.latent_query, std=0.1)
        nn.init.normal_(self.out.weight, std=0.02)
        nn.init.zeros_(self.out.bias)
        for module in (self.key, self.value, self.query_norm, self.key_norm):
            if not isinstance(module, nn.Identity):
                module.reset_parameters()

    def forward(
        self,
        x: Tensor,
        batch: Tensor | None = None,
        *,
        ptr: Tensor | None = None,
        mask: Tensor | None = None,
        weight: Tensor | None = None,
    ) -> Tensor:
        if x.dim() not in (2, 3) or x.shape[-1] != self.channels:
            raise ValueError(
                f"FLAREAttention: expected 'x' of shape [N, {self.channels}] or "
                f"[B, N, {self.channels}] (got {list(x.shape)})"
            )
        key = self.key_norm(self.key(x).unflatten(-1, (self.heads, -1)))
        value = self.value(x).unflatten(-1, (self.heads, -1))
        key = key.to(value.dtype)  # autocast gives norms in float32, projections in half
        dense = x.dim() == 3
        if dense:
            if batch is not None or ptr is not None:
                raise ValueError(
                    "FLAREAttention: 'batch' and 'ptr' belong to flat input [N, C]; "
                    f"got them with 'x' of shape {list(x.shape)}"
                )
            key, value = key.transpose(1, 2), value.transpose(1, 2)
        elif ptr is None:
            ptr = batch_to_ptr(batch, x)
        mixed = flare_attention(
            self.query_norm(self.latent_query).to(value.dtype),
            key,
            value,
            ptr=ptr,
            mask=mask,
            weight=weight,
            scale=self.scale,
            backend=self.backend,
        )
        if dense:
            mixed = mixed.transpose(1, 2)
        return self.out(mixed.flatten(-2))

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.channels}, heads={self.heads}, "
            f"num_latents={self.num_latents})"
        )
