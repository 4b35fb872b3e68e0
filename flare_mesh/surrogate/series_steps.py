"""Prediction of a time series step by step."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from flare_mesh.models import HistoryState

if TYPE_CHECKING:
    from flare_mesh.surrogate.surrogate import Surrogate


def predict_steps(
    surrogate: "Surrogate",
    data: Data,
    known: Sequence[Tensor],
    num_steps: int,
    feed: Callable[[int, Tensor], Tensor] | None = None,
    *,
    truncate: int | None = None,
    chunk_size: int | None = None,
    group: Any = None,
) -> Tensor:
    """Predict the steps after the known ones, each from the one before, [N, C].

    Args:
        surrogate: Surrogate with a rollout.
        data: The meshes.
        known: What the model sees at the known steps, from :meth:`Rollout.known`.
        num_steps: Steps to predict.
        feed: Maps the number of a predicted step, from 0, and the step to what is appended to the
            past in its place; by default the prediction.
        truncate: Steps after which gradients stop at the state of a model with history; None for
            never.
        chunk_size: As in :meth:`Surrogate.forward`.
        group: As in :meth:`Surrogate.forward`.
    """
    rollout = surrogate.rollout
    assert rollout is not None
    (*earlier, x), steps, state, count = known, list[Tensor](), None, 0

    def advance(x: Tensor, state: HistoryState | None) -> tuple[Tensor, HistoryState | None]:
        nonlocal count
        if truncate is not None and state is not None and count % truncate == 0:
            state = state.detach()
        count += 1
        return surrogate.advance(data, x, state, chunk_size=chunk_size, group=group)

    for one in earlier:
        _, state = advance(one, state)
    for number in range(num_steps):
        step, state = advance(x, state)
        steps.append(step)
        x = rollout.advance(x, step if feed is None else feed(number, step))
    return rollout.join(steps)


def predict_in_parallel(
    surrogate: "Surrogate", data: Data, seen: Sequence[Tensor], truncate: int | None = None
) -> list[Tensor]:
    """Predict the step after each of the given ones, all at once by a model with history.

    Args:
        surrogate: Surrogate with a rollout.
        data: The meshes, without what has another size than their nodes.
        seen: What the model sees at each step, from :meth:`Rollout.along`.
        truncate: As in :func:`predict_steps`.
    """
    size = len(seen) if truncate is None else truncate
    state, found = None, list[Tensor]()
    for first in range(0, len(seen), size):
        part = seen[first : first + size]
        repeated, order, place = _repeat(data, len(part))
        x = torch.cat([*part])[order]
        state = None if state is None else state.detach()
        steps, state = surrogate.advance(repeated, x, state, series=len(part))
        found += [steps[rows] for rows in place]
    return found


def _repeat(data: Data, steps: int) -> tuple[Data, Tensor, Tensor]:
    """Each mesh of a batch T = ``steps`` times, one after the other.

    Returns:
        The meshes; the row of each of their nodes in T batches one after the other, [T N]; and the
        inverse of that, [T, N].
    """
    pos = data.pos
    assert isinstance(pos, Tensor)
    nodes, device = len(pos), pos.device
    if "batch" in data and data.batch is not None:
        graph, count = data.batch, data.num_graphs
        ptr = torch.searchsorted(graph, torch.arange(count + 1, device=device))
    else:
        graph = torch.zeros(nodes, dtype=torch.int64, device=device)
        ptr = torch.arange(2, device=device) * nodes
    sizes = ptr[1:] - ptr[:-1]
    step = torch.arange(steps, device=device)[:, None]
    # The nodes of the graphs before in all steps, and those of the graph in the steps before.
    place = (steps - 1) * ptr[graph] + step * sizes[graph] + torch.arange(nodes, device=device)
    rows = torch.arange(steps * nodes, device=device)
    order = torch.empty_like(rows).index_copy(0, place.flatten(), rows)
    node = order % max(nodes, 1)
    found = {"pos": pos[node]}
    if "weight" in data and data.weight is not None:
        found["weight"] = data.weight[node]
    if "edge_index" in data and data.edge_index is not None:
        found["edge_index"] = place[:, data.edge_index].transpose(0, 1).flatten(1)
    starts = steps * ptr[:-1, None] + step.T * sizes[:, None]
    found["ptr"] = torch.cat([starts.flatten(), steps * ptr[-1:]])
    return Data.from_dict(found), order, place
