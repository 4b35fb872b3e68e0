import pytest
import torch
from torch.nn import functional

from flare_mesh.ops.rms_norm import _MAX_WIDTH, _MIN_SIZE, rms_norm

EPS = 1e-3


def given(width, rows=None, weighted=True, dtype=torch.float32):
    """Rows of several lengths, a weight, and the upstream gradient."""
    generator = torch.Generator().manual_seed(0)
    rows = rows or _MIN_SIZE // width + 7
    x = torch.randn(rows, width, generator=generator) * torch.logspace(-3, 3, rows)[:, None]
    weight = torch.randn(width, generator=generator)
    upstream = torch.randn(rows, width, generator=generator).to(dtype)
    leaves = [x, weight] if weighted else [x]
    return [t.to(dtype).requires_grad_() for t in leaves], upstream


def plain(x, *weight, eps=EPS):
    """As the equation."""
    y = x * (x.square().mean(-1, keepdim=True) + eps).rsqrt()
    return y * weight[0] if weight else y


def is_compiled(out):
    return "_RMSNorm" in str(out.grad_fn)


def assert_near(got, want, tolerance=1e-6):
    for a, b in zip(got, want, strict=True):
        assert float((a - b).detach().norm()) < tolerance * float(b.detach().norm())


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("width", [1, 8, 13, 64, _MAX_WIDTH])
def test_value_and_gradients(width, weighted):
    leaves, upstream = given(width, weighted=weighted)
    out = rms_norm(*leaves, eps=EPS)
    assert is_compiled(out)
    got = out, *torch.autograd.grad(out, leaves, upstream)
    wide = [t.detach().double().requires_grad_() for t in leaves]
    exact = plain(*wide)
    assert_near(got, (exact, *torch.autograd.grad(exact, wide, upstream.double())))
    with torch.no_grad():
        assert torch.equal(rms_norm(*leaves, eps=EPS), out)


def test_many_rows_have_the_same_result_each_time():
    """With several parts for each thread."""
    leaves, upstream = given(8, rows=2**15 + 5)
    results = []
    for _ in range(2):
        out = rms_norm(*leaves)
        results.append((out, *torch.autograd.grad(out, leaves, upstream)))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    wide = [t.detach().double().requires_grad_() for t in leaves]
    exact = plain(*wide, eps=torch.finfo(torch.float32).eps)
    assert_near(results[0], (exact, *torch.autograd.grad(exact, wide, upstream.double())))


def test_the_default_of_eps_is_torchs():
    x = torch.full((_MIN_SIZE, 2), 1e-4)
    torch.testing.assert_close(rms_norm(x), functional.rms_norm(x, (2,)))


@pytest.mark.parametrize(
    "leaves",
    [
        given(8, rows=2)[0],
        given(8, dtype=torch.float64)[0],
        given(2 * _MAX_WIDTH)[0],
        [given(8)[0][0].t().contiguous().t(), given(8)[0][1]],
    ],
    ids=["few", "double", "wide", "strided"],
)
def test_other_inputs_take_torchs_operations(leaves):
    out = rms_norm(*leaves, eps=EPS)
    assert not is_compiled(out)
    assert torch.equal(out, functional.rms_norm(leaves[0], leaves[1].shape, leaves[1], EPS))


@pytest.mark.parametrize("size", [1, 7])
def test_a_weight_of_another_shape_is_torchs(size):
    (x, _), _ = given(8)
    with pytest.raises(RuntimeError):
        rms_norm(x, torch.ones(size))


@pytest.mark.parametrize("width", [8, 20, 32])
def test_squares_beyond_the_largest_number(width):
    (x, weight), upstream = given(width)
    x.data[5, 3], x.data[6, 2] = 1e20, torch.inf
    results = []
    for function in (rms_norm, lambda x, w: functional.rms_norm(x, (width,), w)):
        out = function(x, weight)
        results.append((out, *torch.autograd.grad(out, (x, weight), upstream)))
    for got, want in zip(*results, strict=True):
        assert torch.equal(got.isfinite(), want.isfinite())
    assert float(results[0][0][5].detach().abs().max()) == 0


def test_gradients_of_many_by_vmap():
    leaves, upstream = given(8)
    out = rms_norm(*leaves, EPS)
    many = torch.stack([upstream, -upstream])
    got = torch.func.vmap(lambda v: torch.autograd.grad(out, leaves, v, retain_graph=True))(many)
    want = torch.autograd.grad(plain(*leaves), leaves, upstream)
    assert_near(got, [torch.stack([t, -t]) for t in want])


def test_nan_stays_in_its_row():
    (x, weight), upstream = given(8)
    x.data[5, 3] = torch.nan
    out = rms_norm(x, weight)
    (gradient,) = torch.autograd.grad(out, x, upstream)
    for t in (out, gradient):
        assert t.isnan().any(1).nonzero().flatten().tolist() == [5]
        assert bool(t[5].isnan().all())


def test_only_the_gradient_that_is_needed():
    (x, weight), upstream = given(8)
    out = rms_norm(x.detach(), weight, EPS)
    (got,) = torch.autograd.grad(out, weight, upstream)
    assert_near([got], torch.autograd.grad(plain(x.detach(), weight), weight, upstream))


def test_second_derivatives_and_transforms():
    (x, weight), upstream = given(8, rows=_MIN_SIZE)
    results = []
    for function in (rms_norm, functional.rms_norm):
        options = {} if function is rms_norm else {"normalized_shape": (8,)}
        out = function(x, weight=weight, **options)
        (first,) = torch.autograd.grad(out, x, upstream, create_graph=True)
        second = torch.autograd.grad(first.square().sum(), (x, weight))
        many = torch.stack([upstream, -upstream])
        out = function(x, weight=weight, **options)
        batched = torch.autograd.grad(out, (x, weight), many, is_grads_batched=True)
        both = torch.func.vmap(lambda x, f=function, o=options: f(x, weight=weight, **o))(
            x.detach().expand(2, -1, -1)
        )
        results.append((first, *second, *batched, both))
    assert_near(*results, 1e-5)
