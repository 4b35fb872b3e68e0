"""Pure functions on tensors: the FLARE mixer, its two halves, and their backends."""

from flare_mesh.ops.attention import flare_attention, flare_decode, flare_encode, flare_merge

__all__ = ["flare_attention", "flare_decode", "flare_encode", "flare_merge"]
