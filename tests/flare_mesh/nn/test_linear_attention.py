import pytest
import torch
from torch.nn.functional import linear

from flare_mesh.nn.linear_attention import NormalizedLinearAttention
from flare_mesh.ops.layout import Layout, equal_layout


def attention(channels=6, heads=2):
    torch.manual_seed(0)
    layer = NormalizedLinearAttention(channels, heads).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    return layer


def by_scores(layer, x, y, weight):
    """With the matrix of all pairs of nodes."""
    heads = []
    for h in torch.arange(6).view(2, 3):
        q, k, v = (
            linear(t, part.weight[h], part.bias[h])
            for t, part in ((x, layer.query), (y, layer.key), (y, layer.value))
        )
        q, k = torch.softmax(q, 1), torch.softmax(k, 1)
        scores = (q @ k.T) * weight
        heads.append(q + scores / scores.sum(1, keepdim=True) @ v)
    return linear(torch.cat(heads, 1), layer.out.weight, layer.out.bias)


def test_against_the_matrix_of_pairs():
    layer = attention()
    x, y = torch.randn(2, 11, 6, dtype=torch.float64)
    weight = torch.rand(11, dtype=torch.float64) + 0.1
    products = equal_layout(1, 11, x.device).products(11)
    expected = by_scores(layer, x, y, weight)
    torch.testing.assert_close(layer(x, y, products, weight), expected)
    torch.testing.assert_close(layer(x, y, products), by_scores(layer, x, y, torch.ones(11)))
    ragged = Layout(torch.tensor([0, 4, 4, 11])).products(11)
    parts = [by_scores(layer, x[s], y[s], weight[s]) for s in (slice(0, 4), slice(4, 11))]
    torch.testing.assert_close(layer(x, y, ragged, weight), torch.cat(parts))


def test_half_precision_sums_many_nodes():
    layer = attention().half()
    x = torch.randn(200_000, 6).half()  # more than float16 can count
    products = equal_layout(1, len(x), x.device).products(len(x))
    assert bool(layer(x, x, products).isfinite().all())


def test_heads_must_divide():
    with pytest.raises(ValueError, match="6 channels, 4 heads"):
        NormalizedLinearAttention(6, 4)
    assert repr(attention()) == "NormalizedLinearAttention(6, heads=2)"
