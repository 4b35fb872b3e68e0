"""Batches of cases under a budget of nodes."""

from collections.abc import Sequence

Batch = list[list[int]]
"""Cases of each process."""


def pack_in_order(
    sizes: Sequence[int], order: Sequence[int], max_nodes: int, world_size: int
) -> list[Batch]:
    """Batches of cases in a given order, each ended when the next case does not fit.

    A case goes to the process that has the fewest nodes. One that is larger than the budget is a
    process's only one.
    """
    found: list[Batch] = []
    parts: Batch = [[] for _ in range(world_size)]
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
) -> list[Batch]:
    """Few batches, whose number does not depend on the order: first fit, larger cases first.

    Cases of equal size stand in the given order.
    """
    bins: list[tuple[int, list[int]]] = []
    for index in sorted(order, key=lambda i: -sizes[i]):
        for number, (filled, cases) in enumerate(bins):
            if filled + sizes[index] <= max_nodes:
                bins[number] = filled + sizes[index], [*cases, index]
                break
        else:
            bins.append((sizes[index], [index]))
    cases = [cases for _, cases in bins]
    groups = [cases[i : i + world_size] for i in range(0, len(cases), world_size)]
    return [group + [[]] * (world_size - len(group)) for group in groups]


def split_to(batches: list[Batch], count: int) -> list[Batch]:
    """``count`` batches, by halving those of the most cases; each half stays in the budget."""
    batches = list(batches)
    while len(batches) < count:
        largest = max(range(len(batches)), key=lambda b: sum(map(len, batches[b])))
        parts = batches[largest]
        if sum(map(len, parts)) < 2:
            raise ValueError(f"expected at most one batch a case (got {count})")
        if max(map(len, parts)) > 1:
            halves = [part[::2] for part in parts], [part[1::2] for part in parts]
        else:
            kept = [rank for rank, part in enumerate(parts) if part][::2]
            halves = (
                [part if rank in kept else [] for rank, part in enumerate(parts)],
                [[] if rank in kept else part for rank, part in enumerate(parts)],
            )
        batches[largest : largest + 1] = halves
    return batches
