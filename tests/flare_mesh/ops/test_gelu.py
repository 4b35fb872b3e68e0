import pytest
import torch
from torch.nn.functional import gelu, linear

from flare_mesh.ops.gelu import _MIN_SIZE, linear_gelu_residual

C = 16


def given(rows, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = (torch.randn(*s, generator=generator) for s in ((rows, C), (C, C), (C,)))
    x[0] *= 1e3  # where exponentials would overflow
    upstream = torch.randn(rows, C, generator=generator).to(dtype)
    return [t.to(dtype).requires_grad_() for t in (x, weight, bias)], upstream


def plain(x, weight, bias):
    return x + gelu(linear(x, weight, bias), approximate="tanh")


@pytest.mark.parametrize("rows", [1, 7, _MIN_SIZE // C, _MIN_SIZE // 3])
def test_value_and_gradients(rows):
    leaves, upstream = given(rows)
    out = linear_gelu_residual(*leaves)
    assert (type(out.grad_fn).__name__ == "_ResidualBackward") == (rows * C >= _MIN_SIZE)
    got = out, *torch.autograd.grad(out, leaves, upstream)
    wide = [t.detach().double().requires_grad_() for t in leaves]
    exact = plain(*wide)
    want = exact, *torch.autograd.grad(exact, wide, upstream.double())
    for a, b in zip(got, want, strict=True):
        assert float((a - b).detach().norm()) < 2e-6 * float(b.detach().norm())


def test_other_inputs_take_torch_operations():
    leaves, _ = given(_MIN_SIZE, torch.float64)
    assert torch.equal(linear_gelu_residual(*leaves), plain(*leaves))
    leaves, _ = given(_MIN_SIZE)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(linear_gelu_residual(*leaves), plain(*leaves))


def test_nan_reaches_the_result():
    (x, weight, bias), _ = given(_MIN_SIZE)
    x.data[5, 3] = torch.nan
    out = linear_gelu_residual(x, weight, bias)
    assert bool(out[5].isnan().all())
    assert int(out.isnan().any(dim=1).sum()) == 1
    (gradient,) = torch.autograd.grad(out.sum(), x)
    assert bool(gradient[5].isnan().all())


def test_without_gradients():
    leaves, _ = given(_MIN_SIZE)
    x = leaves[0].detach().clone()
    with torch.no_grad():
        out = linear_gelu_residual(*leaves)
    torch.testing.assert_close(out, plain(*leaves).detach(), rtol=1e-5, atol=1e-5)
    assert torch.equal(leaves[0], x)


@pytest.mark.parametrize("shape", [(4, _MIN_SIZE // C, C), (2, 2, _MIN_SIZE // C, C)])
def test_leading_dimensions(shape):
    (_, weight, bias), _ = given(1)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(linear_gelu_residual(x, weight, bias), plain(x, weight, bias))


def test_torch_func_and_second_derivatives():
    (x, weight, bias), _ = ([t.detach() for t in leaves] for leaves in given(3 * _MIN_SIZE // C))
    x = x[3:].clone()[: 3 * (len(x) // 3 - 1)].view(3, -1, C)
    weights, biases = torch.stack([weight, 2 * weight]), torch.stack([bias, bias + 1])

    def loss(function):
        return lambda x, weight, bias: function(x, weight, bias).square().mean()

    results = []
    for function in (linear_gelu_residual, plain):
        one = loss(function)
        slopes = torch.func.grad(one, argnums=(0, 1, 2))
        every = torch.func.vmap(slopes, in_dims=(0, None, None))(x, weight, bias)
        ensemble = torch.func.vmap(slopes, in_dims=(None, 0, 0))(x[0], weights, biases)
        leaf = bias.clone().requires_grad_()
        (slope,) = torch.autograd.grad(one(x, weight, leaf), leaf, create_graph=True)
        second = torch.autograd.grad(slope.square().sum(), leaf)
        results.append([*every, *ensemble, slope, *second])
    for got, want in zip(*results, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


def test_third_derivatives_and_forward_mode():
    (x, weight, bias), _ = given(_MIN_SIZE // C)
    x = 0.3 * x.detach()[1:].repeat(2, 1)
    results = []
    for function in (linear_gelu_residual, plain):
        leaf = bias.detach().clone().requires_grad_()
        value = function(x, weight.detach(), leaf).square().sum()
        derivatives = [value]
        for _ in range(3):
            (value,) = torch.autograd.grad(value.sum(), leaf, create_graph=True)
            derivatives.append(value)
        change = torch.func.jvp(lambda b, f=function: f(x, weight, b), (bias,), (bias + 1,))
        results.append([*derivatives, *change])
    for got, want in zip(*results, strict=True):
        assert float((got - want).detach().norm()) < 1e-4 * float(want.detach().norm())


def test_vmap_without_gradients():
    (x, weight, bias), _ = ([t.detach() for t in leaves] for leaves in given(_MIN_SIZE // 4))
    biases = torch.stack([bias, 2 * bias])
    with torch.no_grad():
        got = torch.func.vmap(lambda b: linear_gelu_residual(x, weight, b))(biases)
    want = torch.stack([plain(x, weight, b) for b in biases])
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)
