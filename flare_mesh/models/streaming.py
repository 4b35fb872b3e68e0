"""Evaluation of an operator in chunks of nodes."""

from typing import Any, Protocol

import torch
from torch import Tensor

from flare_mesh.models.nodes import Nodes
from flare_mesh.nn import FLAREBlock, Latents
from flare_mesh.nn.streaming import Chunk, chunk_ranges, encode_in_chunks, update_in_chunks


class StreamedModel(Protocol):
    """The interface of :class:`~flare_mesh.models.FLAREOperator` for evaluation in chunks."""

    norm: Any
    head: Any

    @property
    def can_stream(self) -> bool: ...
    @property
    def block_sequence(self) -> list[FLAREBlock]: ...
    def embed_nodes(self, nodes: Nodes) -> Tensor: ...
    def decode_nodes(self, latents: list[Latents], nodes: Nodes) -> Tensor: ...


def check_chunk_size(model: object, size: int) -> None:
    """Raise a ValueError for a size below one, or if gradients are enabled."""
    name = type(model).__name__
    if size < 1:
        raise ValueError(f"{name}: expected 'chunk_size' >= 1 (got {size})")
    if torch.is_grad_enabled():
        hint = ""
        if "checkpointing" in getattr(model, "config", {}):
            hint = ", or train with checkpointing=True to save memory"
        raise ValueError(
            f"{name}: 'chunk_size' evaluates without gradients (got gradients enabled); call "
            f"it under torch.no_grad(){hint}"
        )


def start_chunks(model: StreamedModel, nodes: Nodes, size: int) -> tuple[Tensor, list[Chunk]]:
    """Embeddings of the nodes [N, C], and the chunks of all blocks."""
    check_chunk_size(model, size)
    # Until a block of this size has been freed once, glibc returns the memory of each chunk to
    # the system, which costs a quarter of the time.
    torch.empty(31 * 2**20, dtype=torch.uint8)
    ranges = list(chunk_ranges(len(nodes.pos), size))
    if model.can_stream:
        first = model.embed_nodes(nodes.chunk(ranges[0]))
        h = first.new_empty(len(nodes.pos), first.shape[-1])
        h[ranges[0]] = first
        for part in ranges[1:]:
            h[part] = model.embed_nodes(nodes.chunk(part))
    else:
        h = model.embed_nodes(nodes)
    return h, [(part, nodes.graphs.chunk(part)) for part in ranges]


def forward_in_chunks(model: StreamedModel, nodes: Nodes, size: int) -> Tensor:
    """Output [N, out_channels] of the operator; latents are merged over the chunks."""
    h, chunks = start_chunks(model, nodes, size)
    for block in model.block_sequence:
        update_in_chunks(block, h, encode_in_chunks(block, h, chunks), chunks)
    return torch.cat([model.head(model.norm(h[part])) for part, _ in chunks])


def latents_in_chunks(model: StreamedModel, nodes: Nodes, size: int) -> list[Latents]:
    """Latents of all blocks."""
    h, chunks = start_chunks(model, nodes, size)
    every, sequence = [], model.block_sequence
    for number, block in enumerate(sequence, 1):
        latents = encode_in_chunks(block, h, chunks)
        every.append(latents)
        if number < len(sequence):
            update_in_chunks(block, h, latents, chunks)
    return every


def decode_in_chunks(
    model: StreamedModel, latents: list[Latents], nodes: Nodes, size: int
) -> Tensor:
    """The field at nodes, decoded from given latents."""
    check_chunk_size(model, size)
    chunks = (nodes.chunk(part) for part in chunk_ranges(len(nodes.pos), size))
    return torch.cat([model.decode_nodes(latents, chunk) for chunk in chunks])
