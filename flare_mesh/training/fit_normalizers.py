"""Statistics of the training cases for a surrogate's normalisers."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor
from torch_geometric.data import Data

from flare_mesh.surrogate.surrogate import Surrogate
from flare_mesh.surrogate.training_statistics import merge_statistics


def fit_normalizers(
    surrogate: Surrogate,
    cases: Sequence[Data],
    *,
    rank: int = 0,
    world_size: int = 1,
    nonzero: bool = False,
) -> None:
    """Fit the normalisers on the training cases, of which each process reads a share.

    Args:
        surrogate: The surrogate, changed in place.
        cases: All training cases.
        rank: Number of this process.
        world_size: Number of processes.
        nonzero: Whether each field of each case must have a relative error.

    Raises:
        ValueError: With ``nonzero``, if a field of a case is zero at every node.
    """
    mine = (cases[i] for i in range(rank, len(cases), world_size))
    parts = [surrogate.gather_statistics(_checked(surrogate, mine) if nonzero else mine)]
    if world_size > 1:
        parts = [parts[0]] * world_size
        torch.distributed.all_gather_object(parts, parts[rank])
    surrogate.set_statistics(merge_statistics(parts))


def _checked(surrogate: Surrogate, cases: Iterable[Data]) -> Iterator[Data]:
    for case in cases:
        assert isinstance(case.y, Tensor)
        for name, field in surrogate.split_fields(case.y).items():
            if not bool(field.any()):
                raise ValueError(
                    f"case '{case.case_id}': '{name}' is zero at every node, so that it has no "
                    f"relative error; leave the case out, or take model.loss.name=mse"
                )
        yield case
