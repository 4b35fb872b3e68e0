"""Evaluation of an operator on nodes that are gone through in pieces."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from flare_mesh.models.nodes import Nodes
from flare_mesh.nn import Latents
from flare_mesh.nn.streaming import gather_in_pieces, pieces, update_in_pieces

if TYPE_CHECKING:
    from flare_mesh.models.flare_operator import FLAREOperator


def prepare(size: int) -> None:
    """Raises a ValueError where pieces have no size, or gradients would keep them all."""
    if size < 1:
        raise ValueError(f"FLAREOperator: expected 'chunk_size' >= 1 (got {size})")
    if torch.is_grad_enabled():
        raise ValueError(
            "FLAREOperator: 'chunk_size' evaluates without gradients (got them enabled); call it "
            "under torch.no_grad(), or train with checkpointing=True to save memory"
        )
    # glibc gives the memory of each piece back to the system, which costs a quarter of the time,
    # until a block of that size has once been freed.
    torch.empty(31 * 2**20, dtype=torch.uint8)


def _encode_points(model: "FLAREOperator", nodes: Nodes, size: int) -> Tensor:
    if not model.can_stream:
        return model.encode_points(nodes)
    h = None
    for piece in pieces(len(nodes.pos), size):
        code = model.encode_points(nodes.chunk(piece))
        if h is None:
            h = code.new_empty(len(nodes.pos), code.shape[-1])
        h[piece] = code
    assert h is not None
    return h


def evaluate_in_pieces(model: "FLAREOperator", nodes: Nodes, size: int) -> Tensor:
    """The operator's output [N, out_channels]; a graph's latents are merged over the pieces."""
    prepare(size)
    h = _encode_points(model, nodes, size)
    kept = None
    for block in model.blocks:
        latents, kept = gather_in_pieces(block, h, nodes.graphs, size, kept)
        update_in_pieces(block, h, kept, latents, nodes.graphs, size)
    return torch.cat([model.head(model.norm(h[piece])) for piece in pieces(len(h), size)])


def encode_in_pieces(model: "FLAREOperator", nodes: Nodes, size: int) -> list[Latents]:
    """The latents of all blocks."""
    prepare(size)
    h = _encode_points(model, nodes, size)
    every, kept = [], None
    for block in model.blocks:
        latents, kept = gather_in_pieces(block, h, nodes.graphs, size, kept)
        every.append(latents)
        if block is not model.blocks[-1]:
            update_in_pieces(block, h, kept, latents, nodes.graphs, size)
    return every


def decode_in_pieces(
    model: "FLAREOperator", latents: list[Latents], nodes: Nodes, size: int
) -> Tensor:
    """The field at points that read from given latents."""
    prepare(size)
    parts = (nodes.chunk(piece) for piece in pieces(len(nodes.pos), size))
    return torch.cat([model.decode_points(latents, part) for part in parts])
