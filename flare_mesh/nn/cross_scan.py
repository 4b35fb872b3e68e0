"""The sequence mixer of LaMO on regular grids: scans along rows and columns, in both directions."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, softplus

from flare_mesh.nn.graphs import Graphs
from flare_mesh.nn.option_checks import check_at_least
from flare_mesh.ops.state_space import state_space_chunks

_DIRECTIONS = 4
_CHANNELS_A_HEAD = 16  # of the input: the heads of a direction are C / 16, rounded up


class CrossScan(nn.Module):
    r"""State-space layers along the rows and the columns of a grid (LaMO, arXiv 2505.19105).

    With :math:`[x, z] = W_1 u`, the grid x passes a depthwise convolution over 3 x 3 nodes and
    GELU. It is read row by row, column by column, and both in reverse. In each of these four
    sequences with keys, queries and time steps :math:`\Delta` linear in x, and y the output of
    :func:`~flare_mesh.ops.state_space.state_space_chunks`,

    .. math::
        o_d = y_d(x, \mathrm{softplus}(\Delta_d + b_d), -e^{a_d}, k_d, q_d) + s_d \odot x, \quad
        v = W_2\, (\mathrm{Norm}(\textstyle\sum_d o_d) \odot \mathrm{GELU}(z))

    As in the authors' code; this is plain PyTorch, without their kernels.

    Args:
        channels: Channels C; each direction has C / 16 heads, rounded up.
        shape: Nodes along both axes of the grid.
        expand: Width of x over C.
        state_size: Numbers of a state for each channel of x.

    Shapes:
        u [B * prod(shape), C], grid after grid in row-major order; output of the same shape.

    Raises:
        ValueError: If the sizes do not fit together.
    """

    def __init__(
        self, channels: int, shape: Sequence[int], *, expand: int = 2, state_size: int = 64
    ) -> None:
        super().__init__()
        check_at_least(self, 1, channels=channels, expand=expand, state_size=state_size)
        inner, heads = expand * channels, -(-channels // _CHANNELS_A_HEAD)
        if inner % heads:
            raise ValueError(
                f"CrossScan: expected {expand} x {channels} channels to be divisible by {heads} "
                f"heads, one for each {_CHANNELS_A_HEAD} channels; take a multiple of "
                f"{_CHANNELS_A_HEAD}"
            )
        self.shape, self.heads, self.state_size = tuple(shape), heads, state_size
        self.project = nn.Linear(channels, 2 * inner, bias=False)
        self.convolution = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        self.scan = nn.Parameter(torch.empty(_DIRECTIONS, heads + 2 * state_size, inner))
        self.step_bias = nn.Parameter(torch.empty(_DIRECTIONS, heads))
        self.log_rate = nn.Parameter(torch.empty(_DIRECTIONS, heads))
        self.skip = nn.Parameter(torch.empty(_DIRECTIONS, inner))
        self.norm = nn.LayerNorm(inner)
        self.out = nn.Linear(inner, channels, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Rates -1, skip 1, biases of the steps from U(0, 0.1), others as torch draws them."""
        for layer in (self.project, self.convolution, self.norm, self.out):
            layer.reset_parameters()
        limit = 1 / math.sqrt(self.scan.shape[-1])
        nn.init.uniform_(self.scan, -limit, limit)
        nn.init.uniform_(self.step_bias, 0.0, 0.1)
        nn.init.zeros_(self.log_rate)
        nn.init.ones_(self.skip)

    def forward(self, x: Tensor, graphs: Graphs) -> Tensor:
        if not len(x):
            return x + 0 * sum(one.sum() for one in self.parameters())
        x, gate = self.project(x).chunk(2, dim=-1)
        grid = x.unflatten(0, (-1, *self.shape)).movedim(-1, 1)
        grid = gelu(self.convolution(grid))
        mixed = self._mix(grid).flatten(0, 1).to(x.dtype)
        return self.out(self.norm(mixed) * gelu(gate))

    def _mix(self, grid: Tensor) -> Tensor:
        """Sum of the four scans [B, L, inner] in row-major order, from a grid [B, inner, h, w]."""
        rows, columns = (t.flatten(2).transpose(1, 2) for t in (grid, grid.transpose(2, 3)))
        sequences = torch.stack([rows, columns, rows.flip(1), columns.flip(1)], dim=2)
        scanned = torch.einsum("blkd,kcd->blkc", sequences, self.scan.to(sequences.dtype))
        step, key, query = scanned.split([self.heads, self.state_size, self.state_size], dim=-1)
        y = state_space_chunks(
            sequences.unflatten(-1, (self.heads, -1)).flatten(2, 3),
            softplus(step + self.step_bias).flatten(2),
            -self.log_rate.exp().flatten(),
            key,
            query,
        )
        y = y.unflatten(2, (_DIRECTIONS, -1)).flatten(3) + self.skip * sequences
        ahead, behind = y[:, :, :2], y[:, :, 2:].flip(1)
        by_rows, by_columns = (ahead + behind).unbind(2)
        by_columns = by_columns.unflatten(1, self.shape[::-1]).transpose(1, 2).flatten(1, 2)
        return by_rows + by_columns
