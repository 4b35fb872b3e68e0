"""Assertions that hold for any model of fields on graphs."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Batch, Data


@torch.no_grad()
def assert_graphs_independent(
    model: Callable[[Any], Tensor], graphs: Sequence[Data], *, atol: float = 1e-5
) -> None:
    """Assert that a graph has the same result in a batch and alone."""
    together = model(Batch.from_data_list(list(graphs)))
    alone = torch.cat([model(graph) for graph in graphs])
    torch.testing.assert_close(together, alone, atol=atol, rtol=atol)


@torch.no_grad()
def assert_permutation_equivariant(
    model: Callable[[Any], Tensor], graph: Data, *, atol: float = 1e-5, seed: int = 0
) -> None:
    """Assert that a permutation of the nodes permutes the result; edges get the new numbers."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(graph.num_nodes or 0, generator=generator)
    found = {key: value for key, value in graph.to_dict().items() if value is not None}
    edges = found.pop("edge_index", None)
    shuffled = Data(**{key: value[order] for key, value in found.items()})
    if edges is not None:
        shuffled.edge_index = order.argsort()[edges]
    torch.testing.assert_close(model(shuffled), model(graph)[order], atol=atol, rtol=atol)
