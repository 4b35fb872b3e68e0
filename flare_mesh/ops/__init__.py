"""Pure functions on tensors: the FLARE mixer, its two halves and their backends, and others."""

from flare_mesh.ops.attention import flare_attention, flare_decode, flare_encode, flare_merge
from flare_mesh.ops.block_causal import flare_block_causal_attention
from flare_mesh.ops.causal_flare import CausalState, flare_causal_attention
from flare_mesh.ops.causal_linear import causal_linear_attention

__all__ = [
    "CausalState",
    "causal_linear_attention",
    "flare_attention",
    "flare_block_causal_attention",
    "flare_causal_attention",
    "flare_decode",
    "flare_encode",
    "flare_merge",
]
