import pytest
import torch

from flare_mesh.models import Backbone
from flare_mesh.nn.graphs import graphs_of
from flare_mesh.nn.mixers.nystromformer import NystromformerAttention, pseudo_inverse

PARTS = [slice(0, 5), slice(5, 16), slice(16, 17)]
PTR = torch.tensor([0, 5, 5, 16, 17])


def attention(landmarks=3, **options):
    torch.manual_seed(0)
    layer = NystromformerAttention(6, 2, num_landmarks=landmarks, **options).double()
    layer.reset_parameters()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    return layer


def numbers(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def projected(layer, x):
    """Queries, keys and values of the two heads."""
    return (layer.project(x)[:, i * 6 : i * 6 + 6].split(3, dim=1) for i in range(3))


def written_out(layer, x, weight):
    """The formula for one graph."""
    q, k, v = projected(layer, x)
    n, heads = len(x), []
    m = min(layer.num_landmarks, n)
    segments = [slice(j * n // m, (j + 1) * n // m) for j in range(m)]

    def means(t):
        return torch.stack([weight[s] @ t[s] / weight[s].sum() for s in segments])

    for h in range(2):
        near, far = means(q[h]), means(k[h])
        a, p = (torch.softmax(t @ far.T / 3**0.5, 1) for t in (q[h], near))
        r = torch.softmax(near @ k[h].T / 3**0.5 + weight.log(), 1)
        z = p.T / p.abs().sum(0).max()
        eye = torch.eye(m)
        for _ in range(layer.iterations):
            pz = p @ z
            z = z / 4 @ (13 * eye - pz @ (15 * eye - pz @ (7 * eye - pz)))
        heads.append(a @ z @ r @ v[h])
        if layer.convolution is not None:
            kernel = layer.convolution.kernel[h, 0]
            reach = len(kernel) // 2
            for t in range(-reach, reach + 1):
                band = (
                    torch.ones(n - abs(t), dtype=x.dtype).diag(t)
                    if abs(t) < n
                    else x.new_zeros(n, n)
                )
                heads[-1] = heads[-1] + kernel[t + reach] * (band @ v[h])
    return layer.out(torch.cat(heads, 1))


@pytest.mark.parametrize(
    ("landmarks", "options"),
    [
        (3, {"backend": "sdpa"}),
        (3, {"backend": "numba", "kernel_size": 5}),
        (7, {"backend": "numba", "iterations": 2}),
        (12, {"backend": "sdpa"}),
    ],
)
def test_against_the_formula(landmarks, options):
    layer = attention(landmarks, **options)
    x, weight = numbers(17, 6).requires_grad_(), torch.rand(17, dtype=torch.float64) + 0.1
    for w in (torch.ones_like(weight), weight):
        got = layer(x, graphs_of(x, ptr=PTR, weight=w if w is weight else None))
        want = torch.cat([written_out(layer, x[s], w[s]) for s in PARTS])
        torch.testing.assert_close(got, want)
        of = [x, *layer.parameters()]
        torch.testing.assert_close(*[torch.autograd.grad(y.sin().sum(), of) for y in (got, want)])


def test_all_nodes_as_landmarks_give_softmax_attention():
    """Also with weights, which count in one of the three matrices only."""
    layer, x = attention(landmarks=20, iterations=30), numbers(8, 6)
    weight = torch.rand(8, dtype=torch.float64) + 0.5
    q, k, v = projected(layer, x)
    heads = [torch.softmax(q[h] @ k[h].T / 3**0.5 + weight.log(), 1) @ v[h] for h in range(2)]
    torch.testing.assert_close(
        layer(x, graphs_of(x, weight=weight)), layer.out(torch.cat(heads, 1)), rtol=1e-6, atol=1e-6
    )


def test_pseudo_inverse_converges():
    torch.manual_seed(0)
    for m in (1, 8, 64):
        matrix = torch.softmax(numbers(m, 8) @ numbers(8, m) / 8**0.5, 1)
        errors = [
            float((matrix @ pseudo_inverse(matrix, n) @ matrix - matrix).norm() / matrix.norm())
            for n in (6, 30)
        ]
        assert errors[1] < 1e-8
        assert errors[0] < 0.2


def test_the_size_of_the_comparison():
    """That of softmax attention, as of the published model without its convolution."""
    model = Backbone(0, 1, pos_dim=2, mixer="nystromformer")
    assert sum(p.numel() for p in model.parameters()) == 425_217
    more = Backbone(0, 1, pos_dim=2, mixer="nystromformer", mixer_options={"kernel_size": 35})
    assert sum(p.numel() for p in more.parameters()) == 425_217 + 8 * 8 * 35


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"landmarks": 0}, "expected 'num_landmarks' >= 1"),
        ({"iterations": 0}, "expected 'iterations' >= 1"),
        ({"kernel_size": 2}, "odd 'kernel_size'"),
        ({"backend": "cuda"}, "unknown backend 'cuda'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        attention(**options)
