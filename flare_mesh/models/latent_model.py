"""Base of models of FLARE's blocks, whose field follows from the latents of the blocks."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from flare_mesh.models.field_model import FieldModel
from flare_mesh.models.nodes import Nodes, read_nodes, read_points
from flare_mesh.models.streaming import decode_in_chunks, forward_in_chunks, latents_in_chunks
from flare_mesh.nn import FLAREBlock, Latents


class LatentModel(FieldModel):
    """Base of :class:`~flare_mesh.FLAREOperator`, with the ways to evaluate its blocks.

    At all nodes at once, in chunks of nodes, with the nodes spread over several processes, or from
    stored latents at any points. A subclass makes ``encoder``, ``blocks``, ``norm`` and ``head``,
    and has the options ``passes``, ``mixer`` and ``checkpointing``.
    """

    encoder: nn.Module
    blocks: Sequence[FLAREBlock]
    norm: nn.Module
    head: nn.Module

    @property
    def block_sequence(self) -> list[FLAREBlock]:
        """The blocks in the order in which they are applied, in each pass."""
        return [*self.blocks] * self.config["passes"]

    @property
    def uses_edges(self) -> bool:
        """Whether the encoder needs edges; with a radius it searches the neighbours itself."""
        return not self._is_pointwise and getattr(self.encoder, "radius", None) is None

    @property
    def can_stream(self) -> bool:
        """Whether the mixer is FLARE's and the encoder pointwise: it sees each node by itself."""
        return self._is_pointwise and self.config["mixer"] is None

    @property
    def can_spread(self) -> bool:
        """As :attr:`can_stream`."""
        return self.can_stream

    @property
    def _is_pointwise(self) -> bool:
        return bool(getattr(self.encoder, "pointwise", False))

    def check_latents(self, use: str) -> None:
        """Refuse a use of the latents, which only FLARE's mixer has.

        Args:
            use: Beginning of the message, such as "FLAREOperator.encode".

        Raises:
            ValueError: If the mixer is another one.
        """
        if self.config["mixer"] is not None:
            raise ValueError(
                f"{use}: expected FLARE's mixer, which has latents (got "
                f"mixer='{self.config['mixer']}'); leave out mixer"
            )

    def forward(
        self,
        x: Any,
        pos: Tensor | None = None,
        batch: Tensor | None = None,
        *,
        ptr: Tensor | None = None,
        weight: Tensor | None = None,
        edge_index: Tensor | None = None,
        batch_size: int | None = None,
        chunk_size: int | None = None,
        group: Any = None,
    ) -> Tensor:
        """The field at the nodes; other arguments as in :meth:`FieldModel.forward`.

        Args:
            chunk_size: Evaluate that many nodes at a time: the same result, with memory for one
                vector of ``hidden_channels`` a node; keys are computed twice. Without gradients
                only.
            group: ``torch.distributed`` process group over which the nodes of each graph are
                spread; every process passes its own nodes, and the same number of graphs.

        Returns:
            [N, out_channels].

        Raises:
            ValueError: If shapes do not fit, or ``chunk_size`` is given with gradients enabled.
        """
        if chunk_size is not None or group is not None:
            self.check_latents(f"{type(self).__name__} with chunk_size or group")
        nodes = read_nodes(self, x, pos, batch, ptr, weight, edge_index, batch_size, group)
        if chunk_size is not None:
            return forward_in_chunks(self, nodes, chunk_size)
        return self.evaluate(nodes)

    def evaluate(self, nodes: Nodes) -> Tensor:
        h = self.embed_nodes(nodes)
        for block in self.block_sequence:
            h = self.run_block(block.mix, h, nodes.graphs)
        return self.head(self.norm(h))

    def encode(
        self,
        x: Any,
        pos: Tensor | None = None,
        batch: Tensor | None = None,
        *,
        ptr: Tensor | None = None,
        weight: Tensor | None = None,
        edge_index: Tensor | None = None,
        batch_size: int | None = None,
        chunk_size: int | None = None,
        group: Any = None,
    ) -> list[Latents]:
        """The latents of all blocks, with which :meth:`decode` evaluates the field anywhere.

        Takes the arguments of :meth:`forward`. The result, ``num_layers * passes`` times two
        tensors [B, H, M, D], does not grow with the number of nodes.
        """
        self.check_latents(f"{type(self).__name__}.encode")
        nodes = read_nodes(self, x, pos, batch, ptr, weight, edge_index, batch_size, group)
        if chunk_size is not None:
            return latents_in_chunks(self, nodes, chunk_size)
        h, every, sequence = self.embed_nodes(nodes), [], self.block_sequence
        for number, block in enumerate(sequence, 1):
            attention, n = block.attention, block.norm1(h)
            key, latents = attention.encode(n, nodes.graphs)
            every.append(latents)
            if number < len(sequence):
                h = block.update(h, attention.decode_keys(n, key), latents, nodes.graphs)
        return every

    def decode(
        self,
        latents: list[Latents],
        x: Any,
        pos: Tensor | None = None,
        batch: Tensor | None = None,
        *,
        ptr: Tensor | None = None,
        batch_size: int | None = None,
        chunk_size: int | None = None,
    ) -> Tensor:
        """The field at any points of the encoded graphs: probes, cuts, finer meshes.

        At the encoded nodes it is the result of :meth:`forward`. The points do not change the
        latents.

        Args:
            latents: Result of :meth:`encode`.
            x: Features of the points; this, ``pos``, ``batch`` and ``ptr`` as in :meth:`forward`.
            batch_size: Number of graphs of ``batch``; by default as in the latents.
            chunk_size: Evaluate that many points at a time.

        Returns:
            [N, out_channels].

        Raises:
            ValueError: If shapes or numbers of graphs do not fit, or the encoder is not pointwise.
        """
        self.check_latents(f"{type(self).__name__}.decode")
        nodes = self._read_points(latents, x, pos, batch, ptr, batch_size)
        if chunk_size is not None:
            return decode_in_chunks(self, latents, nodes, chunk_size)
        return self.decode_nodes(latents, nodes)

    def decode_nodes(self, latents: list[Latents], nodes: Nodes) -> Tensor:
        """:meth:`decode` at checked points."""
        h = self.embed_nodes(nodes)
        for block, latent in zip(self.block_sequence, latents, strict=True):
            attention, n = block.attention, block.norm1(h)
            h = block.update(h, attention.decode_keys(n), latent, nodes.graphs)
        return self.head(self.norm(h))

    def embed_nodes(self, nodes: Nodes) -> Tensor:
        """Embeddings [N, hidden_channels] of checked nodes."""
        ptr = nodes.graphs.layout.ptr
        return self.encoder(nodes.x, nodes.pos, ptr=ptr, edge_index=nodes.edge_index)

    def _read_points(
        self,
        latents: list[Latents],
        x: Any,
        pos: Tensor | None,
        batch: Tensor | None,
        ptr: Tensor | None,
        batch_size: int | None,
    ) -> Nodes:
        name = f"{type(self).__name__}.decode"
        if not self.can_stream:
            raise ValueError(
                f"{name}: expected a pointwise encoder, as points have no neighbours "
                f"(got {type(self.encoder).__name__})"
            )
        blocks = len(self.block_sequence)
        if len(latents) != blocks:
            raise ValueError(
                f"{name}: expected the latents of {blocks} blocks (got {len(latents)})"
            )
        graphs = latents[0].value.shape[0] if latents else None
        return read_points(self, graphs, x, pos, batch, ptr, batch_size)
