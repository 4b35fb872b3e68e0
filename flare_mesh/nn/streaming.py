"""One FLARE block on nodes that are gone through in pieces: exact, with little memory."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from flare_mesh.nn.flare_attention import Latents
from flare_mesh.nn.flare_block import FLAREBlock
from flare_mesh.nn.graphs import Graphs
from flare_mesh.nn.merge import merge_over_group
from flare_mesh.ops.attention import flare_merge


def pieces(nodes: int, size: int) -> Iterator[slice]:
    """Slices of ``size`` nodes, the last maybe shorter; without nodes an empty one."""
    return (slice(start, min(start + size, nodes)) for start in range(0, max(nodes, 1), size))


def _merged(
    part: Callable[[slice], tuple[Tensor, Tensor]], nodes: int, size: int, graphs: Graphs
) -> Tensor:
    parts = map(part, pieces(nodes, size))
    latent, lse = next(parts)
    for more, more_lse in parts:
        latent, lse = flare_merge(torch.stack([latent, more]), torch.stack([lse, more_lse]))
    return latent if graphs.group is None else merge_over_group(latent, lse, graphs.group)


def gather_in_pieces(
    block: FLAREBlock, h: Tensor, graphs: Graphs, size: int, kept: Tensor | None = None
) -> tuple[Latents, Tensor]:
    """Latents of a block, and what the nodes read with, from the block's input.

    Args:
        block: The block.
        h: Its input [N, C].
        graphs: The graphs of the nodes.
        size: Nodes of a piece.
        kept: The read keys of the block before, whose memory is used again.

    Returns:
        The latents, and the read keys [N, H, D]: beside h the only memory that grows with N.
    """
    attention, nodes = block.attention, len(h)

    def seed_part(piece: slice) -> tuple[Tensor, Tensor]:
        return attention.seed_part(block.norm1(h[piece]), graphs.chunk(piece))

    if attention.queries == "synthesized":
        query = attention.combine_queries(_merged(seed_part, nodes, size, graphs))
    else:
        query = attention.fixed_queries(graphs)

    def part(piece: slice) -> tuple[Tensor, Tensor]:
        nonlocal kept
        x = block.norm1(h[piece])
        key = attention.keys(x)
        if kept is None:
            kept = key.new_empty(nodes, *key.shape[1:])
        kept[piece] = attention.read_keys(x, key)
        return attention.gather_part(query, key, attention.values(x), graphs.chunk(piece))

    gathered = _merged(part, nodes, size, graphs)
    assert kept is not None
    return attention.latents(query, gathered), kept


def update_in_pieces(
    block: FLAREBlock, h: Tensor, kept: Tensor, latents: Latents, graphs: Graphs, size: int
) -> None:
    """Replaces the block's input h [N, C] by its output, piece by piece."""
    for piece in pieces(len(h), size):
        h[piece] = block.update(h[piece], kept[piece], latents, graphs.chunk(piece))
