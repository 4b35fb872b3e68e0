"""Columns that a symmetry of the square changes, from the names of the channels."""

from collections.abc import Sequence
from itertools import pairwise

from flare_mesh.data.transforms.channels import Channel


def square_columns(channels: Sequence[Channel]) -> tuple[list[int], list[int]]:
    """First of the (x, y) columns of each vector, and of each pair of sizes.

    They are the ``vectors`` and ``sizes`` of
    :class:`~flare_mesh.data.transforms.RandomSquareSymmetry` for a field with these channels.

    Args:
        channels: All channels of the field, in order.
    """
    pairs = [
        (first, one.kind)
        for first, (one, other) in enumerate(pairwise(channels))
        if one.kind == other.kind and (one.axis, other.axis) == (0, 1)
    ]
    vectors = [first for first, kind in pairs if kind == "vector"]
    return vectors, [first for first, kind in pairs if kind == "size"]
