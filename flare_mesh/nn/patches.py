"""Patches of regular grids as tokens, and fields from them."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from flare_mesh.nn.option_checks import check_at_least


class Patches(nn.Module):
    r"""Divide a grid into square patches, and make a field of them (LaMO, arXiv 2505.19105).

    .. math::
        t_p = \mathrm{Norm}(W_1 f_p + b_1) + e_p, \qquad y_p = W_2 (\mathrm{Norm}(t_p) + b_2)

    with the features f and the field y of all nodes of a patch p, and a learned vector e for each
    place. The grid is padded by zeros at the end of each axis.

    Args:
        in_channels: Features F of a node.
        channels: Channels C of a patch.
        out_channels: Channels of the field.
        shape: Nodes along both axes.
        size: Nodes of a patch along each axis.
        padded_shape: Nodes along both axes with padding; by default the next multiples of ``size``.

    Shapes:
        :meth:`embed` [B * prod(shape), F] to [B * patches, C], grid after grid in row-major order;
        :meth:`field` [B * patches, C] to [B * prod(shape), out_channels].

    Raises:
        ValueError: If the padded shape is too small or no multiple of ``size``.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        out_channels: int,
        shape: Sequence[int],
        size: int,
        padded_shape: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        check_at_least(self, 1, size=size)
        padded = [-(-n // size) * size for n in shape] if padded_shape is None else [*padded_shape]
        if len(padded) != len(shape) or any(
            p < n or p % size for p, n in zip(padded, shape, strict=False)
        ):
            raise ValueError(
                f"Patches: expected 'padded_shape' to be multiples of {size}, the nodes of a "
                f"patch, and at least {[*shape]}, the nodes of the grid (got {padded})"
            )
        self.shape, self.padded, self.size = tuple(shape), tuple(padded), size
        self.grid = tuple(n // size for n in padded)
        self.join = nn.Conv2d(in_channels, channels, size, stride=size)
        self.join_norm = nn.LayerNorm(channels)
        self.places = nn.Parameter(torch.empty(self.grid[0] * self.grid[1], channels))
        self.split_norm = nn.LayerNorm(channels)
        self.split_bias = nn.Parameter(torch.empty(channels))
        self.split = nn.ConvTranspose2d(channels, out_channels, size, stride=size, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weights and biases from N(0, 1) as in the authors' code, places 0."""
        assert self.join.bias is not None
        for parameter in (self.join.weight, self.join.bias, self.split.weight, self.split_bias):
            nn.init.normal_(parameter)
        nn.init.zeros_(self.places)
        self.join_norm.reset_parameters()
        self.split_norm.reset_parameters()

    def embed(self, x: Tensor) -> Tensor:
        """Tokens of the patches."""
        grids = (
            x.view(-1, *self.shape, x.shape[1]) if len(x) else x.view(0, *self.shape, x.shape[1])
        )
        missing = [p - n for p, n in zip(self.padded, self.shape, strict=True)]
        grids = pad(grids.movedim(-1, 1), (0, missing[1], 0, missing[0]))
        tokens = self.join_norm(self.join(grids).flatten(2).transpose(1, 2))
        return (tokens + self.places.to(tokens.dtype)).flatten(0, 1)

    def field(self, tokens: Tensor) -> Tensor:
        """The field at the nodes."""
        patches = self.split_norm(tokens) + self.split_bias
        count = self.grid[0] * self.grid[1]
        grids = patches.view(len(patches) // count, *self.grid, patches.shape[1]).movedim(-1, 1)
        out = self.split(grids)[:, :, : self.shape[0], : self.shape[1]]
        return out.movedim(1, -1).flatten(0, 2)
