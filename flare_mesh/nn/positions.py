"""Encodings of coordinates by waves: added to tokens, or rotating queries and keys."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from flare_mesh.ops.layout import Layout, graph_of_nodes
from flare_mesh.ops.precision import wide

_LONGEST = 10_000.0  # wavelength over 2 pi


class Box(NamedTuple):
    """Boxes of the graphs, in which coordinates are scaled.

    Attributes:
        low: Smallest coordinates, [B, d].
        scale: Factor of the coordinates, the same for all axes, [B, 1].
    """

    low: Tensor
    scale: Tensor

    def place(self, pos: Tensor, layout: Layout) -> Tensor:
        """Scaled coordinates of nodes, [N, d] in and out; in float32 at least."""
        graph = graph_of_nodes(layout, pos.shape[0])
        return (wide(pos) - self.low[graph]) * self.scale[graph]


def box_of(pos: Tensor, layout: Layout, length: float, limits: Sequence[float] | None) -> Box:
    """Boxes whose longest edge is scaled to ``length``.

    Args:
        pos: Coordinates [N, d].
        layout: The graphs.
        length: Length of the scaled edge.
        limits: Smallest and largest coordinate of all axes and graphs; None for the bounding box
            of each graph.
    """
    pos, graphs, d = wide(pos), layout.num_graphs, pos.shape[1]
    if limits is not None:
        low = pos.new_full((graphs, d), limits[0])
        return Box(low, pos.new_full((graphs, 1), length / (limits[1] - limits[0])))
    index = graph_of_nodes(layout, pos.shape[0])[:, None].expand(-1, d)
    low = pos.new_full((graphs, d), math.inf).scatter_reduce(0, index, pos, "amin")
    high = pos.new_full((graphs, d), -math.inf).scatter_reduce(0, index, pos, "amax")
    edge = (high - low).amax(dim=1, keepdim=True)
    return Box(low, length / edge.where(edge > 0, 1.0))  # one node, or a graph without nodes


def sincos(places: Tensor, channels: int) -> Tensor:
    r"""Sines and cosines of each coordinate (Vaswani et al. 2017, arXiv 1706.03762).

    .. math::
        [\sin(\omega_0 p), \sin(\omega_1 p), \dots, \cos(\omega_0 p), \dots], \quad
        \omega_i = 10000^{-2 i / c}

    for each of the d coordinates in turn, with c channels for each: the largest even number with
    d c at most ``channels``. The other channels are 0.

    Args:
        places: Coordinates of the size of hundreds, [..., d].
        channels: Channels of the output.

    Returns:
        [..., channels], in float32 at least.
    """
    angles = _angles(places, channels)
    waves = torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(-2)
    rest = waves.new_zeros(*waves.shape[:-1], channels - waves.shape[-1])
    return torch.cat([waves, rest], dim=-1)


class Rotation(NamedTuple):
    """Rotary position embedding of tokens (RoFormer, arXiv 2104.09864).

    Attributes:
        cos: Cosines of the angles of P pairs of channels, [..., 1, P].
        sin: Their sines.
    """

    cos: Tensor
    sin: Tensor

    def __call__(self, heads: Tensor) -> Tensor:
        """Rotate the first 2 P channels of each head, [..., H, D]; the others are kept."""
        rotated = 2 * self.cos.shape[-1]
        a, b = wide(heads[..., :rotated]).unflatten(-1, (-1, 2)).unbind(-1)
        turned = torch.stack([a * self.cos - b * self.sin, a * self.sin + b * self.cos], dim=-1)
        return torch.cat([turned.flatten(-2).to(heads.dtype), heads[..., rotated:]], dim=-1)


def rotation(places: Tensor, channels: int) -> Rotation:
    r"""Rotations by the angles :math:`\omega_i p` of each coordinate, as in :func:`sincos`.

    The scores of a query and a key then depend on the difference of their coordinates.

    Args:
        places: Coordinates [..., d].
        channels: Channels D of a head, at least 2 d.
    """
    angles = _angles(places, channels).flatten(-2)[..., None, :]
    return Rotation(angles.cos(), angles.sin())


def _angles(places: Tensor, channels: int) -> Tensor:
    """Angles [..., d, c / 2]."""
    places = wide(places)
    waves = channels // (2 * places.shape[-1])
    number = torch.arange(waves, device=places.device, dtype=places.dtype)
    return places[..., None] * _LONGEST ** (-number / max(waves, 1))
