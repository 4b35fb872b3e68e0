import pytest
import torch

from flare_mesh.training.graph_sums import graph_sums


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_sums_and_gradients(batch_size):
    values = draw(11, 2).requires_grad_()
    batch = torch.arange(11) % batch_size
    one_hot = torch.nn.functional.one_hot(batch, batch_size).double()
    upstream = draw(batch_size, 2, seed=1)
    want = one_hot.T @ values
    for got in (graph_sums(values, batch, batch_size), graph_sums(values, batch)):
        torch.testing.assert_close(got, want)
        for result in (got, want):
            (grad,) = torch.autograd.grad((result * upstream).sum(), values, retain_graph=True)
            torch.testing.assert_close(grad, one_hot @ upstream)


def test_one_graph_without_a_batch_vector():
    values = draw(5, 3)
    torch.testing.assert_close(graph_sums(values), values.sum(0)[None])


def test_graphs_without_nodes():
    sums = graph_sums(draw(2, 1), torch.tensor([1, 1]), 4)
    assert torch.equal(sums != 0, torch.tensor([[False], [True], [False], [False]]))
    assert torch.equal(
        graph_sums(draw(0, 2), torch.zeros(0, dtype=torch.long), 3), torch.zeros(3, 2)
    )
