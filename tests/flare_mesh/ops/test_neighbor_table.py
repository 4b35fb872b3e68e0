import torch

from flare_mesh.ops.neighbor_table import neighbor_table
from flare_mesh.ops.radius_graph import radius_graph


def test_nearest_neighbours_first():
    pos = torch.tensor([[0.0], [3.0], [1.0], [10.0], [-2.0]])
    # Two into node 1, four into node 0 of which one from itself, none into the others.
    edges = torch.tensor([[0, 2, 4, 1, 0, 2], [1, 1, 0, 0, 0, 0]])
    positions, distances = neighbor_table(pos, edges, 2)
    inf = torch.inf
    assert positions[..., 0].tolist() == [[1, -2], [1, 0], [0, 0], [0, 0], [0, 0]]
    assert distances.tolist() == [[1, 2], [2, 3], [inf, inf], [inf, inf], [inf, inf]]
    positions, distances = neighbor_table(pos, edges, 4)
    assert distances[0].tolist() == [1, 2, 3, inf]


def test_one_search_serves_every_smaller_radius():
    pos = torch.rand(40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    positions, distances = neighbor_table(pos, radius_graph(pos, 0.6, max_neighbors=12), 12)
    for radius, number in ((0.6, 12), (0.3, 12), (0.4, 3)):
        source, target = radius_graph(pos, radius, max_neighbors=number)
        near = distances[:, :number] <= radius
        assert near.sum(1).equal(torch.bincount(target, minlength=40))
        for node in range(40):
            expected = pos[source[target == node]]
            expected = expected[(expected - pos[node]).norm(dim=1).argsort()]
            assert positions[node, :number][near[node]].equal(expected)


def test_equal_distances_do_not_depend_on_the_order_of_nodes_and_edges():
    grid = torch.cartesian_prod(torch.arange(4.0), torch.arange(4.0))
    edges = radius_graph(grid, 1.5)
    positions, distances = neighbor_table(grid, edges, 3)
    generator = torch.Generator().manual_seed(1)
    order = torch.randperm(16, generator=generator)
    mixed = order.argsort()[edges[:, torch.randperm(edges.shape[1], generator=generator)]]
    again = neighbor_table(grid[order], mixed, 3)
    assert again[0].equal(positions[order])
    assert again[1].equal(distances[order])


def test_without_edges_or_nodes():
    none = torch.empty(2, 0, dtype=torch.int64)
    positions, distances = neighbor_table(torch.rand(3, 2), none, 2)
    assert (positions.shape, distances.shape) == ((3, 2, 2), (3, 2))
    assert bool(distances.isinf().all())
    assert neighbor_table(torch.rand(0, 2), none, 2)[0].shape == (0, 2, 2)
    assert neighbor_table(torch.rand(3, 2), torch.tensor([[0], [1]]), 0)[0].shape == (3, 0, 2)
