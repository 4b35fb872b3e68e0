"""Average of a prediction over the symmetries of the square."""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from flare_mesh.choices import check_options
from flare_mesh.data.transforms.checks import first_columns

_OPTIONS = ("vectors", "sizes")

EVALUATIONS = 8
"""Evaluations of the model for an average: the elements of the group."""


class SquareAverage(nn.Module):
    r"""Average over the eight 90-degree rotations and reflections about the z axis, the group D4.

    .. math::
        \bar f(p, x) = \frac{1}{8} \sum_{g \in D_4} g^{-1} f(g p, g x)

    This prediction is equivariant, :math:`\bar f(g p, g x) = g \bar f(p, x)`, for any model f, up
    to rounding. It costs eight evaluations. The symmetries change the same columns as
    :class:`~flare_mesh.data.transforms.RandomSquareSymmetry` with the same arguments.

    Args:
        vectors: First of the (x, y) columns of each vector, by field: ``"pos"``, ``"x"``, ``"y"``.
        sizes: First of the (x, y) columns of each pair of lengths, likewise.
        channels: Channels of each of these fields.

    Raises:
        ValueError: If a field is unknown, columns are outside of a field or overlap, or the
            coordinates are no vector.
    """

    def __init__(
        self,
        vectors: Mapping[str, Sequence[int]],
        sizes: Mapping[str, Sequence[int]],
        channels: Mapping[str, int],
    ) -> None:
        super().__init__()
        given = [first_columns(one, "square_symmetry") for one in (vectors, sizes)]
        unknown = [key for one in given for key in one if key not in channels]
        if unknown:
            raise ValueError(
                f"square_symmetry: no columns of {unknown}; expected fields among {[*channels]}"
            )
        if given[0].get("pos") != (0,) or "pos" in given[1]:
            raise ValueError(
                f"square_symmetry: expected vectors {{'pos': [0]}}, since the coordinates are a "
                f"vector (got vectors {dict(vectors)} and sizes {dict(sizes)})"
            )
        for key, count in channels.items():
            signed, unsigned = (one.get(key, ()) for one in given)
            _check_pairs(key, [*signed, *unsigned], count)
            index, sign = _tables(signed, unsigned, count)
            # Not among the weights: the header of the file has the columns.
            self.register_buffer(f"_{key}_index", index, persistent=False)
            self.register_buffer(f"_{key}_sign", sign, persistent=False)

    @classmethod
    def from_options(
        cls, options: Mapping[str, Any], channels: Mapping[str, int]
    ) -> "SquareAverage":
        """Build an average from the mapping in the header of a surrogate.

        Raises:
            ValueError: As the class; or if an option is unknown.
        """
        check_options("square_symmetry", options, _OPTIONS)
        return cls(options.get("vectors", {}), options.get("sizes", {}), channels)

    def forward(
        self, predict: Callable[[Tensor, Tensor | None], Tensor], pos: Tensor, x: Tensor | None
    ) -> Tensor:
        """The average of a prediction, [N, C_out].

        Args:
            predict: Maps pos [N, d] and x [N, C_in] or None to y [N, C_out]. It is first called
                with the mesh as it is.
            pos: Coordinates.
            x: Features in physical units, or None.
        """
        total: Tensor | None = None
        for element in range(EVALUATIONS):
            moved = None if x is None else self._act("x", element, x)
            y = predict(self._act("pos", element, pos), moved)
            y = self._act("y", element, y, inverse=True)
            total = y if total is None else total + y
        assert total is not None
        return total / EVALUATIONS

    def _act(self, key: str, element: int, values: Tensor, *, inverse: bool = False) -> Tensor:
        index = getattr(self, f"_{key}_index")[element]
        sign = getattr(self, f"_{key}_sign")[element].to(values.dtype)
        # Columns are exchanged in pairs, so that the inverse changes the signs first.
        return (values * sign)[:, index] if inverse else values[:, index] * sign


def _tables(vectors: Sequence[int], sizes: Sequence[int], channels: int) -> tuple[Tensor, Tensor]:
    """Column from which each element of the group takes each column, and its sign, [8, C] each."""
    index = torch.arange(channels).repeat(EVALUATIONS, 1)
    sign = torch.ones(EVALUATIONS, channels)
    for element, (swap, *flips) in enumerate(product((False, True), repeat=3)):
        for first in (*vectors, *sizes):
            if swap:
                index[element, first : first + 2] = torch.tensor([first + 1, first])
        for first in vectors:
            sign[element, first : first + 2] = 1 - 2 * torch.tensor(flips, dtype=torch.float)
    return index, sign


def _check_pairs(key: str, firsts: Sequence[int], channels: int) -> None:
    columns = [column for first in firsts for column in (first, first + 1)]
    if len({*columns}) < len(columns) or any(column >= channels for column in columns):
        raise ValueError(
            f"square_symmetry: expected pairs of columns of '{key}' that do not overlap, among its "
            f"{channels} channels (got the first columns {sorted(firsts)})"
        )
