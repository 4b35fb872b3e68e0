"""Point encoders: embeddings of the nodes from their coordinates and features."""

from typing import Any

from torch import nn

from flare_mesh.nn.encoders.fourier import FourierEncoder
from flare_mesh.nn.encoders.graph import GraphEncoder
from flare_mesh.nn.encoders.mlp import MLPEncoder
from flare_mesh.nn.encoders.point_encoder import PointEncoder

__all__ = ["FourierEncoder", "GraphEncoder", "MLPEncoder", "PointEncoder", "build_encoder"]

_ENCODERS: dict[str, type[PointEncoder]] = {
    "mlp": MLPEncoder,
    "fourier": FourierEncoder,
    "graph": GraphEncoder,
}


def build_encoder(
    encoder: str | nn.Module, in_channels: int, hidden_channels: int, pos_dim: int, **options: Any
) -> nn.Module:
    """Build the encoder of that name with its options; return a module unchanged.

    A module needs the interface of :class:`PointEncoder`.

    Raises:
        ValueError: If the name is unknown, or options come with a module.
    """
    if isinstance(encoder, nn.Module):
        if options:
            raise ValueError(
                f"build_encoder: expected 'encoder_options' with the name of an encoder only (got "
                f"{list(options)} with a module of type {type(encoder).__name__})"
            )
        return encoder
    if encoder not in _ENCODERS:
        raise ValueError(
            f"build_encoder: unknown encoder '{encoder}'; choose from {list(_ENCODERS)} "
            "or pass a module"
        )
    return _ENCODERS[encoder](in_channels, hidden_channels, pos_dim, **options)
