"""Embedding of a token's place in its sequence."""

import torch
from torch import Tensor, nn

from flare_mesh.nn.option_checks import check_choice
from flare_mesh.nn.positions import Rotation, rotation, sincos

POSITIONS = ("learned", "sinusoidal", "rotary", "none")
"""Kinds of :class:`PlaceEmbedding`."""


class PlaceEmbedding(nn.Module):
    r"""What a model knows of the places 0, 1, ... of the tokens of a sequence.

    ``"learned"``: a vector for each of ``length`` places, from N(0, 0.02). ``"sinusoidal"``:
    :func:`~flare_mesh.nn.positions.sincos` of the place, times a learned factor that starts at
    :math:`C^{-1/2}`, as in FLARE's comparison (arXiv 2508.12594). Both are added to the tokens.
    ``"rotary"``: the rotation of queries and keys by their place (arXiv 2104.09864), see
    :func:`~flare_mesh.nn.positions.rotation`. ``"none"``: nothing.

    Args:
        kind: One of :data:`POSITIONS`.
        channels: Channels C of the tokens.
        heads: Heads H of the mixing layers; divides C.
        length: Places of ``"learned"``; others have no limit.

    Raises:
        ValueError: If the kind is unknown, or ``"learned"`` has no length.
    """

    def __init__(self, kind: str, channels: int, heads: int, length: int | None = None) -> None:
        super().__init__()
        check_choice(self, POSITIONS, kind=kind)
        self.kind, self.channels, self.heads, self.length = kind, channels, heads, length
        if kind == "learned":
            if length is None or length < 1:
                raise ValueError(
                    f"{type(self).__name__}: expected 'length' >= 1 with learned places "
                    f"(got {length})"
                )
            self.table = nn.Embedding(length, channels)
        elif kind == "sinusoidal":
            self.factor = nn.Parameter(torch.empty(()))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the table, or set the factor."""
        if self.kind == "learned":
            nn.init.normal_(self.table.weight, std=0.02)
        elif self.kind == "sinusoidal":
            nn.init.constant_(self.factor, self.channels**-0.5)

    def forward(self, place: Tensor) -> Tensor | None:
        """Vectors [N, C] to add to the tokens at places [N]; None if nothing is added.

        Args:
            place: The places as floating-point numbers, in float32 at least.
        """
        if self.kind == "learned":
            return self.table(place.long())
        if self.kind == "sinusoidal":
            return self.factor * sincos(place[:, None], self.channels)
        return None

    def rotation(self, place: Tensor) -> Rotation | None:
        """Rotation of the heads of tokens at places [N]; None unless ``"rotary"``."""
        if self.kind != "rotary":
            return None
        return rotation(place[:, None], self.channels // self.heads)

    def __repr__(self) -> str:
        return f"{type(self).__name__}('{self.kind}', {self.channels}, length={self.length})"
