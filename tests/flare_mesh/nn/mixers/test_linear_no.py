import torch

from flare_mesh.nn.graphs import graphs_of
from flare_mesh.nn.mixers.linear_no import LinearNOAttention


def test_written_out():
    torch.manual_seed(0)
    layer = LinearNOAttention(6, 2, slices=5).double()
    x, weight = torch.randn(7, 6).double(), torch.rand(7).double() + 0.5
    q, k, v = (p(x).unflatten(-1, (2, -1)) for p in (layer.query, layer.key, layer.value))
    share = (k + weight.log()[:, None, None]).softmax(0)
    heads = torch.einsum("ihg,jhg,jhd->ihd", q.softmax(-1), share, v)
    expected = layer.out(layer.norm(heads.flatten(-2)))
    torch.testing.assert_close(layer(x, graphs_of(x, weight=weight)), expected)


def test_equal_values_are_their_own_mean():
    layer = LinearNOAttention(6, 2)
    torch.nn.init.zeros_(layer.value.weight)
    torch.nn.init.normal_(layer.value.bias)
    x = torch.randn(7, 6)
    expected = layer.out(layer.norm(layer.value.bias)).expand(7, -1)
    torch.testing.assert_close(layer(x, graphs_of(x)), expected)
