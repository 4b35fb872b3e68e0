"""The check of edges that a model or an encoder passes messages along."""

import torch
from torch import Tensor

from flare_mesh.ops.checks import check_offsets, check_ptr


def check_edges(owner: object, edge_index: Tensor, num_nodes: int, ptr: Tensor | None) -> None:
    """Check edges; all values are read at once, as each read is a wait for the device.

    Args:
        owner: The object whose class the message names.
        edge_index: Edges [2, E].
        num_nodes: Number N of nodes.
        ptr: Offsets of the graphs [B + 1], or None for one graph.

    Raises:
        ValueError: If the edges are no int64 [2, E], have a node that does not exist, or run
            between two graphs; or if the offsets do not rise from 0 to N.
    """
    name = type(owner).__name__
    if edge_index.dim() != 2 or len(edge_index) != 2 or edge_index.dtype != torch.int64:
        raise ValueError(
            f"{name}: expected 'edge_index' to be int64 of shape [2, E] "
            f"(got {edge_index.dtype} {list(edge_index.shape)})"
        )
    if not edge_index.numel():
        return
    crosses = torch.zeros(edge_index.shape[1], dtype=torch.bool, device=edge_index.device)
    if ptr is not None:
        check_ptr(ptr)
        source, target = torch.searchsorted(
            ptr.to(edge_index.dtype), edge_index.contiguous(), right=True
        )
        crosses = source != target
    values = [torch.stack(edge_index.aminmax()), crosses.any()[None]]
    least, most, crossing, *offsets = torch.cat(values if ptr is None else [*values, ptr]).tolist()
    if least < 0 or most >= num_nodes:
        raise ValueError(
            f"{name}: expected node numbers from 0 to {num_nodes - 1} in 'edge_index' "
            f"(got {least} to {most})"
        )
    if ptr is not None:
        check_offsets(offsets, num_nodes)
    if crossing:
        source, target = edge_index[:, crosses.nonzero()[0, 0]].tolist()
        raise ValueError(
            f"{name}: expected the edges of each graph to stay within it (got an edge "
            f"from node {source} to node {target} of another graph)"
        )
