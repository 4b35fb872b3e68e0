import pytest
import torch

from flare_mesh.nn.graphs import graphs_of
from flare_mesh.nn.mixers.third_order import ThirdOrderAttention

C, H, N = 6, 2, 7


def layer(scores, std=1.0):
    torch.manual_seed(0)
    made = ThirdOrderAttention(C, H, scores=scores).double()
    torch.nn.init.normal_(made.project.weight, std=std)
    torch.nn.init.normal_(made.project.bias)
    return made


def written_out(made, x, weight):
    q, a, b, v1, v2 = made.project(x).unflatten(-1, (5, H, -1)).unbind(-3)
    if made.scores == "simplicial":
        score = torch.einsum("ihd,jhd,khd->hijk", q, a, b)
    else:
        score = torch.einsum("ihd,jhd->hij", q, a)[..., None]
        score = score + torch.einsum("jhd,khd->hjk", a, b)[:, None]
        score = score + torch.einsum("khd,ihd->hik", b, q)[:, :, None]
    score = score / (C / H) ** 0.5 + weight.log()[:, None] + weight.log()
    share = score.flatten(2).softmax(-1).view_as(score)
    return made.out(torch.einsum("hijk,jhd,khd->ihd", share, v1, v2).flatten(-2))


@pytest.mark.parametrize("std", [0.5, 4.0])
@pytest.mark.parametrize("scores", ["simplicial", "strassen"])
def test_written_out(scores, std):
    """Also where scores are large: nothing but the softmax's maximum is subtracted."""
    made = layer(scores, std)
    x, weight = torch.randn(N, C).double(), torch.rand(N).double() + 0.5
    found, expected = made(x, graphs_of(x, weight=weight)), written_out(made, x, weight)
    torch.testing.assert_close(found, expected)
    parameters = list(made.parameters())
    torch.testing.assert_close(
        torch.autograd.grad(found.square().sum(), parameters, retain_graph=True),
        torch.autograd.grad(expected.square().sum(), parameters),
    )


def test_large_graphs_are_refused():
    made = ThirdOrderAttention(C, H, max_nodes=6)
    with pytest.raises(
        ValueError, match=r"at most 6 nodes.*\(got 7\); raise 'max_nodes', or use 'tr"
    ):
        made(torch.randn(8, C), graphs_of(torch.zeros(8, 1), ptr=torch.tensor([0, 1, 8])))


def test_constant_second_factors_give_softmax_attention():
    made = layer("simplicial")
    with torch.no_grad():
        made.project.weight[2 * C : 3 * C] = 0.0
        made.project.bias[2 * C : 3 * C] = 1.0
        made.project.weight[4 * C :] = 0.0
        made.project.bias[4 * C :] = 1.0
    x = torch.randn(N, C).double()
    q, k, _, v, _ = made.project(x).unflatten(-1, (5, H, -1)).unbind(-3)
    q, k, v = (t.transpose(0, 1) for t in (q, k, v))
    heads = torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(0, 1)
    torch.testing.assert_close(made(x, graphs_of(x)), made.out(heads.flatten(-2)))


def test_strassen_without_second_factors_is_softmax_attention_times_a_mean():
    made = layer("strassen")
    with torch.no_grad():
        made.project.weight[2 * C : 3 * C] = 0.0
        made.project.bias[2 * C : 3 * C] = 0.0
    x = torch.randn(N, C).double()
    q, k, _, v1, v2 = made.project(x).unflatten(-1, (5, H, -1)).unbind(-3)
    q, k, v1 = (t.transpose(0, 1) for t in (q, k, v1))
    heads = torch.nn.functional.scaled_dot_product_attention(q, k, v1).transpose(0, 1)
    heads = heads * v2.mean(0)
    torch.testing.assert_close(made(x, graphs_of(x)), made.out(heads.flatten(-2)))
