"""Pure functions on tensors: the FLARE mixer, its two halves and their backends, and others."""

from flare_mesh.ops.attention import flare_attention, flare_decode, flare_encode, flare_merge
from flare_mesh.ops.causal_linear import causal_linear_attention

__all__ = [
    "causal_linear_attention",
    "flare_attention",
    "flare_decode",
    "flare_encode",
    "flare_merge",
]
