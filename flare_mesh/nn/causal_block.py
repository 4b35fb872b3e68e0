"""A layer of a causal language model around causal FLARE."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from flare_mesh.nn.causal_convolution import CausalConvolution
from flare_mesh.nn.causal_flare_attention import CausalFLAREAttention
from flare_mesh.nn.resolver import RMSNorm
from flare_mesh.ops.causal_flare import CausalState
from flare_mesh.ops.layout import Layout

_EPS = 1e-6


class BlockState(NamedTuple):
    """What a layer keeps of the tokens so far.

    Attributes:
        mixing: State of the mixing layer.
        tokens: Last inputs of the convolution, [B, w - 1, C]; None without a convolution.
    """

    mixing: CausalState
    tokens: Tensor | None


class CausalBlock(nn.Module):
    """x + Mix(RMSNorm(x)), then x + SwiGLU(RMSNorm(x)), without biases; tokens see earlier ones.

    Args:
        channels: Channels C.
        hidden_channels: Width of the SwiGLU layer W3 (silu(W1 x) * W2 x) (arXiv 2002.05202).
        heads: Heads of :class:`CausalFLAREAttention`.
        num_latents: Latents of each head.
        kernel_size: Tokens in a :class:`CausalConvolution` before the mixing; 0 for none.

    Shapes:
        x [N, C], output [N, C].
    """

    def __init__(
        self, channels: int, hidden_channels: int, heads: int, num_latents: int, kernel_size: int
    ) -> None:
        super().__init__()
        self.norm1 = RMSNorm(channels, eps=_EPS)
        self.convolution = CausalConvolution(channels, kernel_size) if kernel_size else None
        self.attention = CausalFLAREAttention(channels, heads, num_latents, bias=False)
        self.norm2 = RMSNorm(channels, eps=_EPS)
        self.up = nn.Linear(channels, 2 * hidden_channels, bias=False)
        self.down = nn.Linear(hidden_channels, channels, bias=False)

    def forward(
        self, x: Tensor, layout: Layout, state: BlockState | None
    ) -> tuple[Tensor, BlockState]:
        """Output [N, C] at the tokens, and the state after them."""
        h, tokens = self.norm1(x), None
        if self.convolution is not None:
            before = None if state is None else state.tokens
            h, tokens = self.convolution(h, layout, before)
            tokens = tokens.detach()
        mixed, mixing = self.attention(
            h, ptr=layout.ptr, state=None if state is None else state.mixing, return_state=True
        )
        x = x + mixed
        gate, value = self.up(self.norm2(x)).chunk(2, dim=-1)
        x = x + self.down(torch.nn.functional.silu(gate) * value)
        return x, BlockState(mixing, tokens)
