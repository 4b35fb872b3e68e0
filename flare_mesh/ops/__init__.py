"""Pure functions on tensors: the FLARE mixer and its backends."""

from flare_mesh.ops.attention import flare_attention

__all__ = ["flare_attention"]
