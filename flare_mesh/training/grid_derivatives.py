"""Errors of the derivatives of fields on structured grids."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from flare_mesh.training.metrics import at_least_float32, check_fields, field_sums, root


def derivative_error(
    prediction: Tensor,
    target: Tensor,
    channels: Sequence[int],
    grid_shape: Sequence[int],
    *,
    weight: Tensor | None = None,
) -> Tensor:
    r"""Sum over the axes of a grid of the relative L2 errors of the derivatives.

    .. math:: \sum_a \frac{|\delta_a (u - v)|}{|\delta_a v|}, \quad
        (\delta_a u)_i = u_{i + 1} - u_{i - 1} \text{ along axis } a

    Prediction and target are set to zero on the border and outside, as published for Darcy flow,
    whose solution is zero there (arXiv 2508.12594). A uniform grid spacing cancels; on a
    body-fitted grid, the derivatives are along the grid lines.

    Args:
        prediction: u [B * prod(grid_shape), C], graph after graph, nodes in row-major order.
        target: v, of the same shape.
        channels: Channels of each of the F fields, which are concatenated in C.
        grid_shape: Nodes along each axis, at least 3.
        weight: Quadrature weight of each node in the norms, [N]; 1 without.

    Returns:
        [B, F].

    Raises:
        ValueError: If shapes do not fit.
    """
    check_fields(prediction, target, channels, weight)
    size = math.prod(grid_shape)
    if min(grid_shape, default=0) < 3 or len(target) % size:
        raise ValueError(
            f"expected whole grids of {' x '.join(map(str, grid_shape))} nodes, at least 3 along "
            f"each axis (got {len(target)} nodes)"
        )
    inner = slice(1, -1)
    axes = range(len(grid_shape))
    target = at_least_float32(target)
    error = at_least_float32(prediction) - target
    fields = torch.cat([error, target], dim=1).view(-1, *grid_shape, error.shape[1] * 2)
    # The border is zero, and so are the derivatives along it: only interior lines count.
    fields = fields[(slice(None), *[inner] * len(axes))]
    shares = None if weight is None else weight.view(-1, *grid_shape)
    total = error.new_zeros(len(fields), len(channels))
    for axis in axes:
        widths = [0, 0] * (len(axes) - axis) + [2, 2]
        padded = pad(fields, widths)
        length = grid_shape[axis]
        squares = (padded.narrow(axis + 1, 2, length) - padded.narrow(axis + 1, 0, length)).square()
        lines = [slice(None) if other == axis else inner for other in axes]
        share = None if shares is None else shares[(slice(None), *lines)]
        squares = field_sums(squares, [*channels, *channels], share)
        norms = squares.flatten(1, -2).sum(1)
        error_norm, target_norm = root(norms).chunk(2, dim=1)
        total = total + error_norm / target_norm
    return total
