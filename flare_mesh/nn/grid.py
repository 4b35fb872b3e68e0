"""Graphs whose nodes are those of a regular grid, in row-major order."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from flare_mesh.ops.layout import Layout


def check_grid_shape(owner: object, shape: Sequence[int] | None) -> list[int] | None:
    """The option ``grid_shape`` as a list, or None.

    Args:
        owner: The object that is being built.
        shape: Nodes along each of 1 to 3 axes, or None.

    Raises:
        ValueError: If it is something else.
    """
    if shape is None:
        return None
    whole = isinstance(shape, Sequence) and all(type(n) is int and n > 0 for n in shape)
    if not whole or not 1 <= len(shape) <= 3:
        raise ValueError(
            f"{type(owner).__name__}: expected 'grid_shape' to be the numbers of nodes along 1 to "
            f"3 axes, such as [85, 85] (got {shape!r})"
        )
    return list(shape)


def check_grids(owner: object, layout: Layout, shape: Sequence[int]) -> None:
    """Refuse graphs that are no grids of a shape; graphs without nodes are passed over.

    Args:
        owner: The model.
        layout: The graphs.
        shape: Nodes along each axis.

    Raises:
        ValueError: If a graph has another number of nodes.
    """
    nodes = math.prod(shape)
    for start, stop in pairwise(layout.offsets):
        if stop - start not in (0, nodes):
            raise ValueError(
                f"{type(owner).__name__}: expected grids of {' x '.join(map(str, shape))} = "
                f"{nodes} nodes, as 'grid_shape' says (got a graph of {stop - start} nodes); point "
                f"clouds and meshes need a model without 'grid_shape'"
            )


def reference_distances(shape: Sequence[int], points: int, like: Tensor) -> Tensor:
    r"""Distances of a grid's nodes to the points of a coarse grid, both on the unit cube.

    Args:
        shape: Nodes along each of d axes.
        points: Reference points along each axis.
        like: A tensor of the dtype and device of the result.

    Returns:
        [prod(shape), points^d], both in row-major order.
    """

    def grid(sizes: Sequence[int]) -> Tensor:
        axes = [torch.linspace(0, 1, n, dtype=like.dtype, device=like.device) for n in sizes]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).flatten(0, -2)

    difference = grid(shape)[:, None] - grid([points] * len(shape))
    return difference.square().sum(-1).sqrt()
