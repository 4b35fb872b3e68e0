import pytest
import torch
from torch.nn.functional import gelu

from flare_mesh.ops.gelu import _MIN_SIZE, gelu_residual


def given(size, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    z, x, upstream = (torch.randn(size, generator=generator) for _ in range(3))
    z[:6] = torch.tensor([-1e4, -30.0, -5.0, 0.0, 30.0, 1e4])
    return (3 * z).to(dtype).requires_grad_(), x.to(dtype).requires_grad_(), upstream.to(dtype)


@pytest.mark.parametrize("size", [7, _MIN_SIZE, 5 * _MIN_SIZE + 3])
def test_value_and_gradients(size):
    z, x, upstream = given(size)
    out = gelu_residual(z, x)
    assert (type(out.grad_fn).__name__ == "_GeluResidualBackward") == (size >= _MIN_SIZE)
    got = out, *torch.autograd.grad(out, (z, x), upstream)
    wide = [t.detach().double().requires_grad_() for t in (z, x)]
    exact = wide[1] + gelu(wide[0], approximate="tanh")
    want = exact, *torch.autograd.grad(exact, wide, upstream.double())
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes_take_torchs_operations(dtype):
    z, x, _ = given(2 * _MIN_SIZE, dtype)
    assert torch.equal(gelu_residual(z, x), x + gelu(z, approximate="tanh"))


def test_nan_is_not_swallowed():
    z, x, _ = given(_MIN_SIZE)
    z.data[5] = torch.nan
    out = gelu_residual(z, x)
    assert bool(out[5].isnan())
    (gradient,) = torch.autograd.grad(out.sum(), z)
    assert bool(gradient[5].isnan())
    assert int(gradient.isnan().sum()) == 1


def test_strided_input_and_torch_func():
    z, x, _ = (t.detach() for t in given(4 * _MIN_SIZE))
    z, x = z.view(-1, 64).t(), x.view(-1, 64).t()
    want = x + gelu(z, approximate="tanh")
    torch.testing.assert_close(gelu_residual(z, x), want, rtol=1e-6, atol=1e-6)
    z, x = z.contiguous(), x.contiguous()
    got = torch.func.grad(lambda z: gelu_residual(z, x).square().sum())(z)
    slope = torch.func.grad(lambda z: (x + gelu(z, approximate="tanh")).square().sum())(z)
    torch.testing.assert_close(got, slope, rtol=1e-5, atol=1e-5)


def test_vmap_of_gradients_and_second_derivatives():
    z, x, _ = (t.detach() for t in given(3 * _MIN_SIZE))
    z, x = z.view(3, -1), x[:_MIN_SIZE]

    def compiled(z):
        return gelu_residual(z, x).square().sum()

    def plain(z):
        return (x + gelu(z, approximate="tanh")).square().sum()

    torch.testing.assert_close(torch.func.vmap(compiled)(z), torch.func.vmap(plain)(z))
    got, want = (torch.func.vmap(torch.func.grad(f))(z) for f in (compiled, plain))
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)

    second = []
    for function in (compiled, plain):
        leaf = z[1].clone().requires_grad_()
        (slope,) = torch.autograd.grad(function(leaf), leaf, create_graph=True)
        second.append(torch.autograd.grad(slope.square().sum(), leaf)[0])
    torch.testing.assert_close(*second, rtol=1e-4, atol=1e-4)
