"""Search for the neighbours of points within a radius."""

from itertools import chain, pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flare_mesh.ops.checks import check_offsets, check_ptr


def radius_graph(
    pos: Tensor, radius: float, ptr: Tensor | None = None, max_neighbors: int = 32
) -> Tensor:
    """Edges from each point's neighbours within ``radius`` to the point, without self-loops.

    A point with more than ``max_neighbors`` neighbours gets the nearest ones (PyG's
    ``radius_graph`` takes any of them). Neighbours at equal distance, as on a regular grid, are
    ranked by coordinates and not by the order of the nodes. Choose a radius between two such
    distances: at one of them, rounding decides which points are within.

    On the CPU the search is by SciPy's KDTree, O(N log N). On a GPU it is by PyG's ``knn_graph``,
    which needs an extension, compares distances in the precision of ``pos``, and ranks equal
    distances in its own way.

    Args:
        pos: Coordinates [N, pos_dim].
        radius: Largest distance of a neighbour, in units of ``pos``; may be infinite.
        ptr: Offsets of the graphs [B + 1], or None for one graph. Edges are within a graph.
        max_neighbors: Largest number of edges into a point.

    Returns:
        ``edge_index`` [2, E], from ``edge_index[0]`` to ``edge_index[1]``, sorted by target, then
        by source.

    Raises:
        ValueError: If shapes do not fit, or ``radius`` or ``max_neighbors`` is not positive.
        ImportError: If ``pos`` is on a GPU and the extension is missing.
    """
    if pos.dim() != 2 or not pos.is_floating_point():
        raise ValueError(
            "radius_graph: expected 'pos' to be floating-point of shape [N, pos_dim] "
            f"(got {pos.dtype} {list(pos.shape)})"
        )
    if not radius > 0:
        raise ValueError(f"radius_graph: expected 'radius' to be positive (got {radius})")
    if max_neighbors < 1:
        raise ValueError(f"radius_graph: expected 'max_neighbors' >= 1 (got {max_neighbors})")
    if ptr is None:
        ptr = torch.tensor([0, len(pos)], device=pos.device)
    check_ptr(ptr)
    offsets = ptr.tolist()
    check_offsets(offsets, len(pos))
    if pos.device.type != "cpu":
        return _search_by_extension(pos.detach(), radius, ptr, max_neighbors)
    points = pos.detach().double().numpy()
    search = torch.compiler.disable(_search_by_tree)  # torch.compile traces NumPy as torch
    parts = [
        start + search(points[start:stop], radius, max_neighbors)  # pyright: ignore[reportCallIssue]
        for start, stop in pairwise(offsets)
        if stop - start > 1
    ]
    return torch.from_numpy(np.concatenate([np.empty((2, 0), np.int64), *parts], axis=1))


def _search_by_tree(
    points: NDArray[np.float64], radius: float, max_neighbors: int
) -> NDArray[np.int64]:
    from scipy.spatial import KDTree  # here, as its import is slow

    tree = KDTree(points)
    workers = torch.get_num_threads()
    reach = np.full(len(points), radius)
    if max_neighbors + 1 < len(points):
        # The first neighbour of a point is itself. All at the last distance are candidates.
        k = [max_neighbors + 1]
        last = tree.query(points, k, workers=workers)[0][:, 0]  # pyright: ignore[reportArgumentType]
        reach = np.minimum(reach, last)
    found = tree.query_ball_point(points, reach * (1 + 1e-9), workers=workers, return_sorted=True)
    counts = np.fromiter(map(len, found), np.int64, len(found))
    source = np.fromiter(chain.from_iterable(found), np.int64, int(counts.sum()))
    target = np.repeat(np.arange(len(points)), counts)
    distance = np.linalg.norm(points[source] - points[target], axis=1)
    keep = (source != target) & (distance <= radius)
    source, target, distance = source[keep], target[keep], distance[keep]

    place = np.empty(len(points), np.int64)
    place[np.lexsort(points.T)] = np.arange(len(points))
    order = np.lexsort((place[source], distance, target))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    rank -= np.searchsorted(target, target)
    return np.stack([source, target])[:, rank < max_neighbors]


def _search_by_extension(pos: Tensor, radius: float, ptr: Tensor, max_neighbors: int) -> Tensor:
    from torch_geometric.nn import knn_graph

    counts = ptr.to(pos.device).diff()
    graphs = torch.arange(len(counts), device=pos.device)
    batch = graphs.repeat_interleave(counts, output_size=len(pos))
    try:
        source, target = knn_graph(pos, max_neighbors, batch, batch_size=len(counts))
    except ImportError as error:
        raise ImportError(
            f"radius_graph: the search on {pos.device} needs an extension of PyG ({error}); "
            "install pyg-lib, or torch-cluster if PyG is older than 2.8 "
            "(https://pytorch-geometric.readthedocs.io, Installation), or search on the CPU once "
            "per mesh with radius_graph(pos.cpu(), ...), and pass the result as edge_index"
        ) from error
    keep = (pos[source] - pos[target]).norm(dim=-1) <= radius
    source, target = source[keep], target[keep]
    return torch.stack([source, target])[:, torch.argsort(target * len(pos) + source)]
