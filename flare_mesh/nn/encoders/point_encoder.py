"""Base class of the point encoders."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from flare_mesh.nn.option_checks import check_at_least


class PointEncoder(nn.Module):
    """Base class of the point encoders: sizes, and the check of the input of :meth:`embed`.

    Args:
        in_channels: Features of each node besides its coordinates; 0 for none.
        hidden_channels: Channels of the embeddings.
        pos_dim: Dimension of the coordinates.

    Attributes:
        pointwise: Whether a node's embedding depends on that node alone. If so, the encoder can
            be evaluated in chunks and at new points.

    Shapes:
        x [N, in_channels], or None where ``in_channels`` is 0; pos [N, pos_dim]; ptr [B + 1],
        the offsets of the graphs, or None for one graph; edge_index [2, E], or None;
        output [N, hidden_channels].

    Raises:
        ValueError: If a size is too small, or x or pos do not have these shapes.
    """

    pointwise: bool
    _OPTIONS: ClassVar[tuple[str, ...]] = ()  # attributes in the representation

    def __init__(self, in_channels: int, hidden_channels: int, pos_dim: int) -> None:
        super().__init__()
        check_at_least(self, 0, in_channels=in_channels)
        check_at_least(self, 1, hidden_channels=hidden_channels, pos_dim=pos_dim)
        self.in_channels = in_channels
        self.hidden_channels = hidden_channels
        self.pos_dim = pos_dim

    def reset_parameters(self) -> None:
        """Draw all parameters again."""
        raise NotImplementedError

    def forward(
        self,
        x: Tensor | None,
        pos: Tensor,
        *,
        ptr: Tensor | None = None,
        edge_index: Tensor | None = None,
    ) -> Tensor:
        if pos.dim() != 2 or pos.shape[-1] != self.pos_dim:
            raise ValueError(
                f"{type(self).__name__}: expected 'pos' of shape [N, {self.pos_dim}] "
                f"(got {list(pos.shape)})"
            )
        expected = (pos.shape[0], self.in_channels)
        if (x is None and self.in_channels) or (x is not None and tuple(x.shape) != expected):
            raise ValueError(
                f"{type(self).__name__}: expected 'x' of shape {list(expected)} "
                f"(got {None if x is None else list(x.shape)})"
            )
        return self.embed(pos if x is None else torch.cat([pos, x], dim=-1), pos, ptr, edge_index)

    def embed(self, nodes: Tensor, pos: Tensor, ptr: Tensor | None, edges: Tensor | None) -> Tensor:
        """Embeddings of the nodes, from their checked input [pos, x] and the coordinates."""
        raise NotImplementedError

    def __repr__(self) -> str:
        sizes = f"{self.in_channels}, {self.hidden_channels}, {self.pos_dim}"
        options = "".join(f", {name}={getattr(self, name)!r}" for name in self._OPTIONS)
        return f"{type(self).__name__}({sizes}{options})"
