import pytest
import torch
from torch.nn.functional import gelu

from flare_mesh.nn import ResidualMLP


def test_equation_with_both_residuals():
    torch.manual_seed(0)
    mlp = ResidualMLP(4, 4, 4, 2, input_residual=True, output_residual=True)
    x = torch.randn(5, 4)
    first, *hidden, last = mlp.layers
    h = x + gelu(first(x), approximate="tanh")
    for layer in hidden:
        h = h + gelu(layer(h), approximate="tanh")
    torch.testing.assert_close(mlp(x), h + last(h))


def test_residuals_only_where_sizes_agree():
    mlp = ResidualMLP(3, 4, 2, 1, input_residual=True, output_residual=True)
    x = torch.randn(5, 3)
    first, hidden, last = mlp.layers
    h = gelu(first(x), approximate="tanh")
    torch.testing.assert_close(mlp(x), last(h + gelu(hidden(h), approximate="tanh")))


def test_single_linear():
    x = torch.randn(5, 4)
    plain = ResidualMLP(4, 9, 4, -1)
    torch.testing.assert_close(plain(x), plain.layers[0](x))
    both = ResidualMLP(4, 9, 4, -1, input_residual=True, output_residual=True)
    torch.testing.assert_close(both(x), x + both.layers[0](x))


def test_reset_and_repr():
    mlp = ResidualMLP(4, 8, 2, 3)
    torch.nn.init.ones_(mlp.layers[0].bias)
    mlp.reset_parameters()
    assert bool((mlp.layers[0].bias == 0).all())
    assert 0.01 < float(mlp.layers[1].weight.detach().std()) < 0.03
    assert repr(mlp) == "ResidualMLP(4, 8, 2, num_layers=3)"


def test_bad_depth():
    with pytest.raises(ValueError, match=r"'num_layers' >= -1 \(got -2\)"):
        ResidualMLP(4, 4, 4, -2)


def test_hooks_and_replaced_layers_are_called():
    x = torch.randn(5000, 8)
    mlp = ResidualMLP(8, 8, 8, 2, input_residual=True)
    seen = []
    for layer in mlp.layers:
        layer.register_forward_hook(lambda *_: seen.append(1))
    mlp.act.register_forward_hook(lambda *_: seen.append(1))
    mlp(x)
    assert len(seen) == 7

    mlp = ResidualMLP(8, 8, 8, 2, input_residual=True)
    for module in (*mlp.layers, mlp.act):
        handle = module.register_full_backward_pre_hook(lambda *_: seen.append(1))
        mlp(x.requires_grad_()).sum().backward()
        handle.remove()
    assert len(seen) == 7 + 4 + 3

    mlp = ResidualMLP(8, 8, 8, 2, input_residual=True)
    mlp.act.forward = torch.zeros_like  # as packages do that move weights between devices
    torch.testing.assert_close(mlp(x), mlp.layers[-1](x))

    class Doubled(torch.nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    mlp = ResidualMLP(8, 8, 8, 2, input_residual=True)
    before = mlp(x)
    mlp.layers[1] = Doubled(8, 8)
    assert not torch.allclose(mlp(x), before)
