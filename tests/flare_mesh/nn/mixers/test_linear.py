import pytest
import torch

from flare_mesh.models import Backbone
from flare_mesh.nn.feature_maps import ELEMENTWISE, LEARNED
from flare_mesh.nn.graphs import graphs_of
from flare_mesh.nn.mixers.linear import LinearAttention

MAPS = [*ELEMENTWISE, *LEARNED]


def attention(**options):
    torch.manual_seed(0)
    layer = LinearAttention(6, 2, **options).double()
    layer.reset_parameters()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    return layer


def numbers(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def written_out(layer, x, weight):
    """With all pairs of nodes."""
    q, k, v = (layer.project(x)[:, i * 6 : i * 6 + 6].split(3, 1) for i in range(3))
    heads = []
    for h in range(2):
        scores = layer.features(q[h]) @ layer.features(k[h]).T * weight
        total = scores.sum(1, keepdim=True) / weight.sum()
        small = (
            total.abs() < 1e-6
        )  # with "relu" a query may have no feature in common with the keys
        total = torch.where(small, 1e-6, total)
        heads.append(scores @ v[h] / weight.sum() / total)
    return layer.out(torch.cat(heads, 1))


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("name", MAPS)
def test_against_the_matrix_of_pairs(name, normalize):
    layer = attention(feature_map=name, normalize=normalize)
    x, weight = numbers(11, 6).requires_grad_(), torch.rand(11, dtype=torch.float64) + 0.1
    ptr = torch.tensor([0, 4, 4, 11])
    for w in (torch.ones_like(weight), weight):
        got = layer(x, graphs_of(x, ptr=ptr, weight=w if w is weight else None))
        want = torch.cat([written_out(layer, x[s], w[s]) for s in (slice(0, 4), slice(4, 11))])
        torch.testing.assert_close(got, want)
        gradients = [
            torch.autograd.grad(y.sin().sum(), [x, *layer.parameters()]) for y in (got, want)
        ]
        torch.testing.assert_close(*gradients)


def test_equal_keys_give_the_mean_of_the_values():
    layer, x, weight = attention(), numbers(7, 6), torch.arange(1.0, 8.0).double()
    with torch.no_grad():
        layer.project.weight[6:12] = 0
    mean = weight @ layer.project(x)[:, 12:] / weight.sum()
    got = layer(x, graphs_of(x, weight=weight))
    torch.testing.assert_close(got, layer.out(mean).expand(7, -1))


def test_a_denominator_of_zero_gives_zero():
    layer, x = attention(feature_map="relu"), numbers(7, 6)
    with torch.no_grad():
        layer.project.weight[:6] = 0
        layer.project.bias[:6] = -1  # no query has a feature
    torch.testing.assert_close(layer(x, graphs_of(x)), layer.out.bias.expand(7, -1))


def test_half_precision_sums_many_nodes():
    layer = attention().half()
    x = torch.randn(70_000, 6).half()  # more than float16 can count
    assert bool(layer(x, graphs_of(x)).isfinite().all())


def test_the_size_of_the_comparison():
    model = Backbone(0, 1, pos_dim=2, mixer="linear")
    assert sum(p.numel() for p in model.parameters()) == 425_217
    learned = Backbone(0, 1, pos_dim=2, mixer="linear", mixer_options={"feature_map": "hadamard"})
    assert sum(p.numel() for p in learned.parameters()) == 425_217 + 8 * 2 * (8 * 8 + 8)


def test_unknown_maps_are_refused():
    with pytest.raises(ValueError, match="unknown feature_map 'elu'; choose from .*'elu.1'"):
        attention(feature_map="elu")
