"""Modules: the FLARE mixing layer and the blocks around it."""

from flare_mesh.nn.flare_attention import FLAREAttention
from flare_mesh.nn.flare_block import FLAREBlock
from flare_mesh.nn.residual_mlp import ResidualMLP

__all__ = ["FLAREAttention", "FLAREBlock", "ResidualMLP"]
