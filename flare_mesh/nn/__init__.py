"""Modules: the FLARE mixing layer, the blocks around it, and point encoders."""

from flare_mesh.nn.causal_flare_attention import CausalFLAREAttention
from flare_mesh.nn.flare_attention import FLAREAttention, Latents
from flare_mesh.nn.flare_block import FLAREBlock
from flare_mesh.nn.latent_memory import LatentMemory
from flare_mesh.nn.recurrent_flare_attention import RecurrentFLAREAttention
from flare_mesh.nn.residual_mlp import ResidualMLP

__all__ = [
    "CausalFLAREAttention",
    "FLAREAttention",
    "FLAREBlock",
    "LatentMemory",
    "Latents",
    "RecurrentFLAREAttention",
    "ResidualMLP",
]
