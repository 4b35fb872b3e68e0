"""One FLARE block evaluated in chunks of nodes: exact, with little memory."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from flare_mesh.nn.flare_attention import Latents
from flare_mesh.nn.flare_block import FLAREBlock
from flare_mesh.nn.graphs import Graphs
from flare_mesh.nn.merge import merge_over_group
from flare_mesh.ops.attention import flare_merge

Chunk = tuple[slice, Graphs]
"""A range of the nodes, and the parts of the graphs in it."""


def chunk_ranges(nodes: int, size: int) -> Iterator[slice]:
    """Ranges of ``size`` nodes, the last one shorter if need be; one empty range for no nodes."""
    return (slice(start, min(start + size, nodes)) for start in range(0, max(nodes, 1), size))


Remember = Callable[[Tensor, Tensor], Tensor]
"""Maps the latents of steps and their log-sum-exps to the latents over the steps so far."""


def _merged(
    encode: Callable[[Chunk], tuple[Tensor, Tensor]],
    chunks: Sequence[Chunk],
    remember: Remember | None = None,
) -> Tensor:
    parts = map(encode, chunks)
    latent, lse = next(parts)
    for more, more_lse in parts:
        latent, lse = flare_merge(torch.stack([latent, more]), torch.stack([lse, more_lse]))
    if remember is not None:
        return remember(latent, lse)
    group = chunks[0][1].group
    return latent if group is None else merge_over_group(latent, lse, group)


def encode_in_chunks(
    block: FLAREBlock,
    h: Tensor,
    chunks: Sequence[Chunk],
    remember: Remember | None = None,
) -> Latents:
    """Latents of a block with input h [N, C], the only memory that grows with N.

    If ``remember`` is given, the meshes are steps of series, and the whole of each step must be in
    one process.
    """
    attention = block.attention

    def encode_seeds(chunk: Chunk) -> tuple[Tensor, Tensor]:
        nodes, graphs = chunk
        return attention.encode_seeds(block.norm1(h[nodes]), graphs)

    if attention.queries == "synthesized":
        query = attention.combine_queries(_merged(encode_seeds, chunks))
    else:
        query = attention.fixed_queries(chunks[0][1])

    def encode(chunk: Chunk) -> tuple[Tensor, Tensor]:
        nodes, graphs = chunk
        x = block.norm1(h[nodes])
        key, value = attention.keys(x), attention.values(x)
        return attention.encode_part(query, key, value, graphs, attention.scale)

    return attention.latents(query, _merged(encode, chunks, remember))


def update_in_chunks(
    block: FLAREBlock, h: Tensor, latents: Latents, chunks: Sequence[Chunk]
) -> None:
    """Replace the block's input h [N, C] by its output. Keys are computed again."""
    for nodes, graphs in chunks:
        keys = block.attention.decode_keys(block.norm1(h[nodes]))
        h[nodes] = block.update(h[nodes], keys, latents, graphs)
