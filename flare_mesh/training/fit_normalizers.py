"""Statistics of the training cases for a surrogate's scales and normalisers."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from flare_mesh.surrogate.surrogate import Surrogate
from flare_mesh.surrogate.training_statistics import Statistics, merge_statistics


def fit_normalizers(
    surrogate: Surrogate,
    cases: Sequence[Data],
    *,
    rank: int = 0,
    world_size: int = 1,
    nonzero: bool = False,
) -> None:
    """Fit the scales and normalisers on training cases, of which each process reads a share.

    Args:
        surrogate: The surrogate, changed in place.
        cases: All training cases.
        rank: Number of this process.
        world_size: Number of processes.
        nonzero: Whether each field of each case must have a relative error.

    Raises:
        ValueError: If every target has one value in all cases, a case has no scale, or, with
            ``nonzero``, a field of a case is zero at every node.

    Warns:
        UserWarning: If a target has one value in all cases and another one has not.
    """

    def mine() -> Iterator[Data]:
        found = (cases[i] for i in range(rank, len(cases), world_size))
        return _checked(surrogate, found) if nonzero else found

    if surrogate.scale is not None:
        parts = _exchange(surrogate.scale.measure(mine()), world_size)
        surrogate.scale.fit([parts[i % world_size][i // world_size] for i in range(len(cases))])
    statistics = merge_statistics(_exchange(surrogate.gather_statistics(mine()), world_size))
    _check_varies(surrogate, statistics)
    surrogate.set_statistics(statistics)


def check_scales(
    surrogate: Surrogate, cases: Sequence[Data], *, rank: int = 0, world_size: int = 1
) -> None:
    """Refuse validation or test cases in which a scale would vary.

    Args:
        surrogate: The surrogate with fitted scales; without scales no case is read.
        cases: The cases, of which each process reads a share.
        rank: Number of this process.
        world_size: Number of processes.

    Raises:
        ValueError: If there is such a case; it is named.
    """
    if surrogate.scale is None:
        return
    for i in range(rank, len(cases), world_size):
        case = cases[i]
        surrogate.check_input(case, str(case.get("case_id", i)))


def _exchange(mine: Any, world_size: int) -> list[Any]:
    """The objects of all processes, in their order."""
    parts = [mine] * world_size
    if world_size > 1:
        torch.distributed.all_gather_object(parts, mine)
    return parts


def _check_varies(surrogate: Surrogate, statistics: Statistics) -> None:
    """Warn of a target that has one value at all nodes of all cases; refuse if no target varies."""
    low, high = statistics["y"].minimum, statistics["y"].maximum
    fields = surrogate.fields if surrogate.rollout is None else surrogate.rollout.step_fields
    sizes = [*fields.values()]
    ranges = zip(fields, low.split(sizes), high.split(sizes), strict=True)
    constant = {name: a for name, a, b in ranges if torch.equal(a, b)}
    messages = [
        f"target '{name}': all nodes of all training cases have the value "
        f"{', '.join(f'{number:.4g}' for number in value.tolist())}, so that there is nothing to "
        f"learn; leave it out of the targets"
        for name, value in constant.items()
    ]
    if messages and len(constant) == len(fields):
        raise ValueError("; ".join(messages))
    for message in messages:
        warnings.warn(message, stacklevel=3)


def _checked(surrogate: Surrogate, cases: Iterable[Data]) -> Iterator[Data]:
    for case in cases:
        assert isinstance(case.y, Tensor)
        for name, field in surrogate.split_fields(case.y).items():
            if not bool(field.any()):
                raise ValueError(
                    f"case '{case.case_id}': '{name}' is zero at every node, so that it has no "
                    f"relative error; leave the case out (or the target, if it is zero in all "
                    f"cases), or take model.loss.name=mse"
                )
        yield case
