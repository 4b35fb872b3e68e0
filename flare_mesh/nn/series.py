"""Which graphs of a batch are the steps of which series."""

from collections.abc import Sequence
from itertools import pairwise
from numbers import Integral
from typing import Any, NamedTuple

import torch
from torch import Tensor

from flare_mesh.ops import checks


class Series(NamedTuple):
    """Series of steps, each step a graph of a batch; the steps of a series follow one another.

    Attributes:
        number: Series of each step, [S].
        place: Place of each step in its series from 0, [S].
        length: Steps of each series, [B].
        last: Graph of each series' last step, [B]; any graph for a series without steps.
        longest: Steps of the longest series, or a larger number.
    """

    number: Tensor
    place: Tensor
    length: Tensor
    last: Tensor
    longest: int


def series_of_graphs(
    given: Tensor | Sequence[int] | int | None, graphs: int, device: torch.device
) -> Series:
    """The series that a batch of graphs consists of.

    Args:
        given: Offsets of the series in the graphs, from 0 to S, as a tensor, int64 [B + 1], or a
            list; the number of steps of each series, where all have as many; or None where each
            graph is a series of one step.
        graphs: Number S of graphs.
        device: Device of the result.

    Raises:
        ValueError: If the graphs cannot be divided in this way.
    """
    checking = not torch.compiler.is_compiling()
    graph = torch.arange(graphs, device=device)
    if isinstance(given, list | tuple):
        if checking and not all(_is_integer(offset) for offset in given):
            checks.fail("'series'", "to be a list of integers", given)
        given = torch.tensor(given, dtype=torch.int64, device=device)
    if isinstance(given, Tensor):
        longest = _longest(given, graphs, device) if checking else graphs
        number = torch.searchsorted(given, graph, right=True) - 1
        length = given[1:] - given[:-1]
        return Series(number, graph - given[number], length, (given[1:] - 1).clamp_min(0), longest)
    steps: Any = 1 if given is None else given
    if checking and not _is_integer(steps):
        checks.fail(
            "'series'", "to be a number of steps, or offsets as an int64 tensor or a list",
            f"{steps!r} of type {type(steps).__name__}",
        )  # fmt: skip
    if steps < 1 or graphs % steps:
        checks.fail("'series'", f"a number of steps that divides the {graphs} graphs", steps)
    count = graphs // steps
    last = torch.arange(1, count + 1, device=device) * steps - 1
    return Series(graph // steps, graph % steps, torch.full_like(last, steps), last, steps)


def _is_integer(given: object) -> bool:
    return isinstance(given, Integral) and not isinstance(given, bool)


def _longest(offsets: Tensor, graphs: int, device: torch.device) -> int:
    if offsets.dtype != torch.int64 or offsets.dim() != 1 or not len(offsets):
        checks.fail("'series'", "int64 of shape [B + 1]", f"{offsets.dtype} {list(offsets.shape)}")
    if offsets.device != device:
        checks.fail("'series'", f"on the device of the nodes, {device}", offsets.device)
    values = offsets.tolist()
    lengths = [stop - start for start, stop in pairwise(values)]
    if (values[0], values[-1]) != (0, graphs) or min(lengths, default=0) < 0:
        checks.fail("'series'", f"to rise from 0 to the number of graphs, {graphs}", values)
    return max(lengths, default=0)
