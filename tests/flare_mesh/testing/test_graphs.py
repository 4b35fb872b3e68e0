import pytest
import torch

from flare_mesh.testing import assert_permutation_equivariant, random_graph


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 30, 36])
def test_two_steps_along_the_edges_reach_every_node(n):
    graph = random_graph(n, edges=True)
    reach = torch.eye(n)
    source, target = graph.edge_index
    assert bool((source != target).all())
    reach[target, source] += 1
    assert bool((reach <= 1).all())  # no edge twice
    assert bool((reach @ reach > 0).all())
    assert n < 7 or not reach.equal(reach.T)


def test_edges_follow_the_nodes_of_a_permutation():
    graph = random_graph(7, 2, edges=True)

    def sums(data):
        return torch.zeros(7, 2).index_add(0, data.edge_index[1], data.x[data.edge_index[0]])

    assert_permutation_equivariant(sums, graph)
    with pytest.raises(AssertionError):
        assert_permutation_equivariant(lambda data: sums(data) + torch.arange(7.0)[:, None], graph)
