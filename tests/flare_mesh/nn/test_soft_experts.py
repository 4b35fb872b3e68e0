import pytest
import torch
from torch.nn.functional import gelu, linear

from flare_mesh.nn.soft_experts import SoftExperts


def test_against_one_expert_at_a_time():
    torch.manual_seed(0)
    layer = SoftExperts(4, 6, 3).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(5, 4, dtype=torch.float64)
    gates = torch.rand(5, 3, dtype=torch.float64)
    expected = torch.zeros_like(x)
    for e in range(3):
        of = slice(6 * e, 6 * e + 6)
        hidden = gelu(linear(x, layer.inner.weight[of], layer.inner.bias[of]), approximate="tanh")
        expected += gates[:, e : e + 1] * linear(hidden, layer.outer.weight[:, of], layer.bias[e])
    torch.testing.assert_close(layer(x, gates), expected)


def test_options():
    with pytest.raises(ValueError, match="expected 'num_experts' >= 1"):
        SoftExperts(4, 6, 0)
    assert repr(SoftExperts(4, 6, 2)) == "SoftExperts(4, 6, num_experts=2)"
    assert bool((SoftExperts(4, 6).bias == 0).all())
