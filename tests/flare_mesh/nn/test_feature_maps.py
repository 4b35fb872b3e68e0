import math

import pytest
import torch

from flare_mesh.models import Backbone
from flare_mesh.nn.feature_maps import ELEMENTWISE, LEARNED, FeatureMap

X = [-1.5, 0.0, 2.0]


def softplus(x):
    return math.log1p(math.exp(x))


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def elu(x):
    return x if x > 0 else math.expm1(x)


EXPECTED = {
    "elu+1": lambda x: elu(x) + 1,
    "relu": lambda x: max(x, 0),
    "relu^2": lambda x: max(x, 0) ** 2,
    "softplus": lambda x: softplus(x) + 1e-6,
    "sigmoid": sigmoid,
    "exp": math.exp,
    "elu_norm": lambda x: elu(x / 2) + 1,
    "silu+0.5": lambda x: x * sigmoid(x) + 0.5,
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "identity": lambda x: x,
    "tanh": math.tanh,
    "softsign": lambda x: x / (1 + abs(x)),
    "cos": math.cos,
    "sin": math.sin,
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_maps(name):
    x = torch.tensor(X, dtype=torch.float64)
    expected = torch.tensor([EXPECTED[name](value) for value in X], dtype=torch.float64)
    torch.testing.assert_close(FeatureMap(name, 3)(x), expected)
    unit = expected / (expected.norm() + 1e-6)
    torch.testing.assert_close(FeatureMap(name, 3, normalize=True)(x), unit)


def test_hedgehog_begins_with_the_identity():
    """Also in a model, which draws Linear layers otherwise."""
    model = Backbone(2, 1, mixer="linear", mixer_options={"feature_map": "hedgehog"})
    features = model.blocks[0].attention.layer.features
    x = torch.linspace(-1, 1, 8)
    exponents = torch.cat([(2 * x).exp(), (-2 * x).exp()])
    torch.testing.assert_close(features(x), exponents / exponents.sum())


def test_learned_maps():
    torch.manual_seed(0)
    x = torch.randn(5, 3, dtype=torch.float64)
    maps = {name: FeatureMap(name, 3).double() for name in LEARNED}
    a, b = maps["hadamard"].learned.first, maps["hadamard"].learned.second
    torch.testing.assert_close(maps["hadamard"](x), a(x) * b(x))
    inner, outer = maps["swiglu"].learned.inner, maps["swiglu"].learned.outer
    u, g = inner(x)[:, :3], inner(x)[:, 3:]
    torch.testing.assert_close(maps["swiglu"](x), outer(u * g / (1 + (-g).exp())))
    assert maps["hedgehog"](x).shape == (5, 6)
    assert maps["hedgehog"].float()(x.float()).dtype == torch.float32
