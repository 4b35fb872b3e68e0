import math
from itertools import pairwise

import pytest
import torch
import torch_geometric.nn

from flare_mesh.ops.radius_graph import _search_by_extension, radius_graph


def brute_force(pos, radius, ptr=None, max_neighbors=32):
    """Pairs in a double loop."""
    bounds = [0, len(pos)] if ptr is None else ptr.tolist()
    pairs = []
    for start, stop in pairwise(bounds):
        for target in range(start, stop):
            inside = [
                ((pos[source] - pos[target]).norm().item(), source)
                for source in range(start, stop)
                if source != target
            ]
            nearest = sorted(pair for pair in inside if pair[0] <= radius)[:max_neighbors]
            pairs += [(source, target) for source in sorted(source for _, source in nearest)]
    return torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).t()


@pytest.mark.parametrize("pos_dim", [1, 2, 3])
@pytest.mark.parametrize(("radius", "max_neighbors"), [(0.7, 32), (0.7, 3), (math.inf, 5)])
def test_is_brute_force(pos_dim, radius, max_neighbors):
    torch.manual_seed(0)
    pos = torch.randn(41, pos_dim, dtype=torch.float64)
    ptr = torch.tensor([0, 0, 7, 8, 40, 40, 41])  # graphs of 0 and 1 nodes among them
    edges = radius_graph(pos, radius, ptr, max_neighbors)
    assert edges.dtype == torch.int64
    assert edges.shape[1] > 20
    torch.testing.assert_close(edges, brute_force(pos, radius, ptr, max_neighbors))


@pytest.mark.parametrize("max_neighbors", [4, 6, 7, 12, 40])
def test_order_of_nodes_decides_nothing_on_a_regular_grid(max_neighbors):
    axis = torch.arange(4.0)
    pos = torch.cartesian_prod(axis, axis, axis)
    order = torch.randperm(len(pos), generator=torch.Generator().manual_seed(0))
    shuffled = order[radius_graph(pos[order], 1.5, max_neighbors=max_neighbors)]
    edges = {
        tuple(edge) for edge in radius_graph(pos, 1.5, max_neighbors=max_neighbors).t().tolist()
    }
    assert {tuple(edge) for edge in shuffled.t().tolist()} == edges
    counts = torch.tensor([target for _, target in edges]).bincount(minlength=len(pos))
    assert int(counts.max()) == min(max_neighbors, 18)
    inner = [(s, t) for s, t in edges if t == 21]  # its 6 nearest are at 1, the others at sqrt(2)
    near = sum(float((pos[s] - pos[t]).norm()) == 1 for s, t in inner)
    assert near == min(max_neighbors, 6)


def test_points_at_the_same_place():
    edges = radius_graph(torch.zeros(4, 3), 0.1)
    assert edges.shape == (2, 12)
    assert bool((edges[0] != edges[1]).all())


@pytest.mark.parametrize("nodes", [0, 1])
def test_few_nodes(nodes):
    assert radius_graph(torch.zeros(nodes, 3), 1.0).shape == (2, 0)


def test_same_result_twice_and_no_gradient():
    pos = torch.rand(50, 3, requires_grad=True)
    edges = radius_graph(pos, 0.4, max_neighbors=6)
    torch.testing.assert_close(edges, radius_graph(pos, 0.4, max_neighbors=6))
    assert not edges.requires_grad


@pytest.mark.parametrize(
    ("pos", "options", "message"),
    [
        (torch.zeros(3), {}, r"'pos' to be floating-point of shape \[N, pos_dim\]"),
        (torch.zeros(3, 2, dtype=torch.long), {}, r"got torch.int64 \[3, 2\]"),
        (torch.zeros(3, 2), {"radius": 0.0}, r"'radius' to be positive \(got 0.0\)"),
        (torch.zeros(3, 2), {"radius": math.nan}, "'radius' to be positive"),
        (torch.zeros(3, 2), {"max_neighbors": 0}, r"'max_neighbors' >= 1 \(got 0\)"),
        (torch.zeros(3, 2), {"ptr": torch.tensor([0, 2])}, r"from 0 to N = 3 \(got \[0, 2\]\)"),
        (torch.zeros(3, 2), {"ptr": torch.tensor([0, 2, 1, 3])}, "'ptr' to rise"),
        (torch.zeros(3, 2), {"ptr": torch.tensor([0.0, 3.0])}, r"integers of shape \[B \+ 1\]"),
    ],
)
def test_bad_input(pos, options, message):
    with pytest.raises(ValueError, match=message):
        radius_graph(pos, **{"radius": 1.0, **options})


def fake_knn_graph(x, k, batch, *, batch_size):
    """PyG's ``knn_graph``, which needs an extension; its edges in another order than ours."""
    counts = batch.bincount(minlength=batch_size)
    ptr = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    return brute_force(x, math.inf, ptr, k).flip(1)


def test_extension_gives_the_same_edges(monkeypatch):
    monkeypatch.setattr(torch_geometric.nn, "knn_graph", fake_knn_graph)
    pos, ptr = torch.rand(30, 3), torch.tensor([0, 11, 11, 30])
    edges = _search_by_extension(pos, 0.5, ptr, 4)
    torch.testing.assert_close(edges, radius_graph(pos, 0.5, ptr, 4))


def test_without_the_extension_the_message_says_what_to_install(monkeypatch):
    def missing(*args, **options):
        raise ImportError("'knn_graph' requires 'pyg-lib>=0.6.0'")

    monkeypatch.setattr(torch_geometric.nn, "knn_graph", missing)
    pos = torch.zeros(3, 3, device="meta")  # as on a GPU, the search is by extension
    message = r"search on meta needs .*install pyg-lib, or torch-cluster.*pos\.cpu\(\)"
    with pytest.raises(ImportError, match=message):
        radius_graph(pos, 1.0, torch.tensor([0, 3]))
