"""The latents of an operator, and the field that is decoded from them at any points."""

from typing import Any, Protocol

from torch import Tensor

from flare_mesh.models.nodes import Nodes, read_nodes
from flare_mesh.nn import FLAREBlock, Latents


class LatentModel(Protocol):
    """What encode and decode need of :class:`~flare_mesh.models.FLAREOperator`."""

    encoder: Any
    norm: Any
    head: Any

    @property
    def can_stream(self) -> bool: ...
    @property
    def block_sequence(self) -> list[FLAREBlock]: ...
    def embed_nodes(self, nodes: Nodes) -> Tensor: ...


def encode_nodes(model: LatentModel, nodes: Nodes) -> list[Latents]:
    """Latents of all blocks."""
    h, every, sequence = model.embed_nodes(nodes), [], model.block_sequence
    for number, block in enumerate(sequence, 1):
        attention, n = block.attention, block.norm1(h)
        key, latents = attention.encode(n, nodes.graphs)
        every.append(latents)
        if number < len(sequence):
            h = block.update(h, attention.decode_keys(n, key), latents, nodes.graphs)
    return every


def decode_nodes(model: LatentModel, latents: list[Latents], nodes: Nodes) -> Tensor:
    """The field at checked points."""
    h = model.embed_nodes(nodes)
    for block, latent in zip(model.block_sequence, latents, strict=True):
        attention, n = block.attention, block.norm1(h)
        keys = attention.decode_keys(n, attention.keys(n))
        h = block.update(h, keys, latent, nodes.graphs)
    return model.head(model.norm(h))


def read_points(
    model: LatentModel,
    latents: list[Latents],
    x: Any,
    pos: Tensor | None,
    batch: Tensor | None,
    ptr: Tensor | None,
    batch_size: int | None,
) -> Nodes:
    """Check latents and points for the decode.

    Raises:
        ValueError: If shapes or numbers of graphs do not fit, or the encoder is not pointwise.
    """
    if not model.can_stream:
        raise ValueError(
            "FLAREOperator.decode: expected a pointwise encoder, as points have no neighbours "
            f"(got {type(model.encoder).__name__})"
        )
    blocks = len(model.block_sequence)
    if len(latents) != blocks:
        raise ValueError(
            f"FLAREOperator.decode: expected the latents of {blocks} blocks (got {len(latents)})"
        )
    if batch_size is None and latents:
        batch_size = latents[0].value.shape[0]
    nodes = read_nodes(model, x, pos, batch, ptr, batch_size=batch_size)
    graphs = nodes.graphs.layout.num_graphs
    if latents and graphs != latents[0].value.shape[0]:
        raise ValueError(
            f"FLAREOperator.decode: expected points of the {latents[0].value.shape[0]} encoded "
            f"graphs (got {graphs} graphs)"
        )
    return nodes
