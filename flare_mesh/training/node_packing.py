"""Batches of cases with a largest number of nodes."""

from collections.abc import Sequence

RankCases = list[list[int]]
"""A batch: indices of the cases of each process."""


def pack_in_order(
    sizes: Sequence[int], order: Sequence[int], max_nodes: int, world_size: int
) -> list[RankCases]:
    """Batches of cases in a given order; a case that does not fit starts the next batch.

    A case goes to the process that has the fewest nodes. A case larger than ``max_nodes`` is the
    only one of its process.
    """
    found: list[RankCases] = []
    parts: RankCases = [[] for _ in range(world_size)]
    filled = [0] * world_size
    for index in order:
        rank = min(range(world_size), key=filled.__getitem__)
        if filled[rank] and filled[rank] + sizes[index] > max_nodes:
            found.append(parts)
            parts, filled, rank = [[] for _ in range(world_size)], [0] * world_size, 0
        parts[rank].append(index)
        filled[rank] += sizes[index]
    return [*found, parts] if any(parts) else found


def pack_densely(
    sizes: Sequence[int], order: Sequence[int], max_nodes: int, world_size: int
) -> list[RankCases]:
    """Few batches, by first fit decreasing; their number does not depend on the order.

    Cases of equal size are taken in the given order. The time is that of sorting: a tree of the
    largest free spaces finds the first batch that fits.
    """
    leaves = 1 << max(0, len(order) - 1).bit_length()
    free = [max_nodes] * (2 * leaves)  # of the batches from free[leaves] on; above, their maxima
    cases: list[list[int]] = []
    for index in sorted(order, key=lambda i: -sizes[i]):
        size, place = sizes[index], 1
        if size > max_nodes:
            place = leaves + len(cases)  # larger cases come first, and fill a batch each
        while place < leaves:
            place *= 2
            place += free[place] < size
        if place - leaves == len(cases):
            cases.append([])
        cases[place - leaves].append(index)
        free[place] -= size
        while place > 1:
            place //= 2
            free[place] = max(free[2 * place], free[2 * place + 1])
    groups = [cases[i : i + world_size] for i in range(0, len(cases), world_size)]
    return [group + [[]] * (world_size - len(group)) for group in groups]


def split_to(batches: list[RankCases], count: int) -> list[RankCases]:
    """Exactly ``count`` batches, by halving those with the most cases.

    Raises:
        ValueError: If there are fewer cases than ``count``.
    """
    batches = list(batches)
    while len(batches) < count:
        largest = max(range(len(batches)), key=lambda b: sum(map(len, batches[b])))
        parts = batches[largest]
        if sum(map(len, parts)) < 2:
            raise ValueError(f"expected at most one batch a case (got {count})")
        if max(map(len, parts)) > 1:
            halves = [part[::2] for part in parts], [part[1::2] for part in parts]
        else:
            # One case a process at most: each half gets every other process that has one.
            first = [rank for rank, part in enumerate(parts) if part][::2]
            halves = (
                [part if rank in first else [] for rank, part in enumerate(parts)],
                [[] if rank in first else part for rank, part in enumerate(parts)],
            )
        batches[largest : largest + 1] = halves
    return batches
