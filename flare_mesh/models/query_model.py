"""Base of models whose nodes are independent queries of tokens."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from flare_mesh.models.field_model import FieldModel
from flare_mesh.models.nodes import Nodes, read_nodes, read_points
from flare_mesh.models.streaming import check_chunk_size
from flare_mesh.nn.streaming import chunk_ranges


class QueryModel(FieldModel):
    """Base of models that encode each graph into tokens, of which its nodes are queries.

    No query sees another one. So the field can be evaluated in chunks of nodes, exactly, and at
    any points besides the nodes. A subclass computes :meth:`encode_nodes` and
    :meth:`decode_nodes`, and names its last layer ``head``.
    """

    head: nn.Module

    @property
    def can_stream(self) -> bool:
        return True

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
    ) -> Tensor:
        """The field at the nodes; other arguments as in :meth:`FieldModel.forward`.

        Args:
            chunk_size: Evaluate that many nodes at a time: the same result with less memory.
                Without gradients only.

        Returns:
            [N, out_channels].

        Raises:
            ValueError: If shapes do not fit, or ``chunk_size`` is given with gradients enabled.
        """
        nodes = read_nodes(self, x, pos, batch, ptr, weight, edge_index, batch_size)
        if chunk_size is None:
            return self.evaluate(nodes)
        check_chunk_size(self, chunk_size)
        if nodes.pos.shape[0] == 0:
            return self.evaluate(nodes)
        return self._decode_chunks(self.encode_nodes(nodes), nodes, chunk_size)

    def evaluate(self, nodes: Nodes) -> Tensor:
        if nodes.pos.shape[0] == 0:
            return self.head(nodes.pos.new_zeros(0, self.config["hidden_channels"]))
        return self.decode_nodes(self.encode_nodes(nodes), nodes)

    @abstractmethod
    def encode_nodes(self, nodes: Nodes) -> Any:
        """Tokens of the graphs, of which at least one has a node."""

    @abstractmethod
    def decode_nodes(self, tokens: Any, nodes: Nodes) -> Tensor:
        """The field [N, out_channels] at nodes of the encoded graphs, each by itself."""

    def encode(
        self,
        x: Any,
        pos: Tensor | None = None,
        batch: Tensor | None = None,
        *,
        ptr: Tensor | None = None,
        weight: Tensor | None = None,
        batch_size: int | None = None,
    ) -> Any:
        """The tokens with which :meth:`decode` evaluates the field anywhere.

        Takes the arguments of :meth:`forward`.

        Raises:
            ValueError: If shapes do not fit, or there is no node.
        """
        nodes = read_nodes(self, x, pos, batch, ptr, weight, None, batch_size)
        if nodes.pos.shape[0] == 0:
            raise ValueError(f"{type(self).__name__}.encode: expected at least one node (got none)")
        return self.encode_nodes(nodes)

    def decode(
        self,
        tokens: Any,
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
        tokens.

        Args:
            tokens: Result of :meth:`encode`.
            x: Features of the points; this, ``pos``, ``batch`` and ``ptr`` as in :meth:`forward`.
            batch_size: Number of graphs of ``batch``; by default as in the tokens.
            chunk_size: Evaluate that many points at a time. Without gradients only.

        Returns:
            [N, out_channels].

        Raises:
            ValueError: If shapes or numbers of graphs do not fit.
        """
        nodes = read_points(self, tokens.box.low.shape[0], x, pos, batch, ptr, batch_size)
        if chunk_size is None:
            return self.decode_nodes(tokens, nodes)
        check_chunk_size(self, chunk_size)
        return self._decode_chunks(tokens, nodes, chunk_size)

    def _decode_chunks(self, tokens: Any, nodes: Nodes, size: int) -> Tensor:
        parts = chunk_ranges(nodes.pos.shape[0], size)
        return torch.cat([self.decode_nodes(tokens, nodes.chunk(part)) for part in parts])


def check_box(model: object, box: Sequence[float] | None) -> list[float] | None:
    """Limits of the coordinates as a list, or None; a ValueError unless the second is larger."""
    if box is None:
        return None
    limits = [float(limit) for limit in box]
    if len(limits) != 2 or not limits[0] < limits[1]:
        raise ValueError(
            f"{type(model).__name__}: expected 'box' to be [low, high] with low < high, or None "
            f"(got {limits})"
        )
    return limits
