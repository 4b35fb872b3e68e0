from functools import partial

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.functional import gelu, linear
from torch.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    create_selective_checkpoint_contexts,
)

from flare_mesh.ops.residual_layers import _MIN_SIZE, residual_layers

C = 16
ROWS = _MIN_SIZE // C  # for these and more, the compiled passes


def given(rows, layers=3, dtype=torch.float32, channels=C, in_channels=None, last_channels=2):
    """The input, and weight and bias of each layer; the upstream gradient."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(rows, channels), *[(channels, channels), (channels,)] * (layers - 1)]
    shapes += [(last_channels, channels), (last_channels,)]
    if in_channels:
        shapes[:2] = [(rows, in_channels), (channels, in_channels)]
    tensors = [0.3 * torch.randn(s, generator=generator) for s in shapes]
    tensors[0][0] *= 1e3  # where exponentials would overflow
    upstream = torch.randn(rows, last_channels, generator=generator)
    return [t.to(dtype).requires_grad_() for t in tensors], upstream.to(dtype)


def evaluate(x, *parameters, first=True, last=False):
    return residual_layers(x, parameters, first=first, last=last)


def plain(x, *parameters, first=True, last=False):
    for i in range(0, len(parameters) - 2, 2):
        h = gelu(linear(x, *parameters[i : i + 2]), approximate="tanh")
        x = x + h if i or first else h
    y = linear(x, *parameters[-2:])
    return x + y if last else y


def is_compiled(out):
    return "_Layers" in str(out.grad_fn.next_functions)


def assert_near(got, want, tolerance=2e-6):
    for a, b in zip(got, want, strict=True):
        assert float((a - b).detach().norm()) < tolerance * float(b.detach().norm())


@pytest.mark.parametrize(("rows", "layers"), [(1, 3), (ROWS, 3), (ROWS + 77, 4), (ROWS, 1)])
@pytest.mark.parametrize(("first", "last"), [(True, True), (True, False), (False, True)])
def test_value_and_gradients(rows, layers, first, last):
    leaves, upstream = given(rows, layers)
    if last:
        leaves[-2:] = [t.detach().repeat(C // 2, *[1] * (t.dim() - 1)) for t in leaves[-2:]]
        leaves[-2:] = [t.requires_grad_() for t in leaves[-2:]]
        upstream = upstream.repeat(1, C // 2)
    options = {"first": first, "last": last}
    out = evaluate(*leaves, **options)
    assert is_compiled(out) == (rows >= ROWS)
    got = out, *torch.autograd.grad(out, leaves, upstream)
    wide = [t.detach().double().requires_grad_() for t in leaves]
    exact = plain(*wide, **options)
    assert_near(got, (exact, *torch.autograd.grad(exact, wide, upstream.double())))


@pytest.mark.parametrize(
    ("channels", "in_channels"), [(12, None), (32, None), (48, None), (128, None), (C, 3)]
)
def test_widths(channels, in_channels):
    """Rows of blocks of several sizes, rows of no whole blocks, and a first layer not square."""
    leaves, upstream = given(_MIN_SIZE // 2 + 77, 3, channels=channels, in_channels=in_channels)
    options = {"first": in_channels is None}
    with torch.no_grad():
        plainly = evaluate(*leaves, **options)
    out = evaluate(*leaves, **options)
    assert is_compiled(out)
    got = out, *torch.autograd.grad(out, leaves, upstream)
    wide = [t.detach().double().requires_grad_() for t in leaves]
    exact = plain(*wide, **options)
    assert_near(got, (exact, *torch.autograd.grad(exact, wide, upstream.double())))
    assert_near([plainly], [out], 1e-6)


def test_only_the_gradients_that_are_needed():
    leaves, upstream = given(ROWS)
    wanted = [leaves[2], leaves[3]]
    for t in leaves:
        t.requires_grad_(any(t is w for w in wanted))
    out = evaluate(*leaves)
    got = torch.autograd.grad(out, wanted, upstream, retain_graph=True)
    assert_near(got, torch.autograd.grad(plain(*leaves), wanted, upstream))
    assert_near(got, torch.autograd.grad(out, wanted, upstream), 1e-9)  # a second time


def moved(tensor, offset):
    """A copy at an address that is no multiple of four bytes."""
    memory = bytearray(offset) + bytearray(tensor.detach().numpy().tobytes())
    return torch.frombuffer(memory, dtype=tensor.dtype, offset=offset).view(tensor.shape)


@pytest.mark.parametrize("strange", ["x", "weight", "bias", "gradient"])
def test_numbers_at_any_address(strange):
    leaves, upstream = given(ROWS, last_channels=C)
    want = torch.autograd.grad(plain(*leaves, last=True), leaves, upstream)
    number = {"x": 0, "weight": 1, "bias": 2}.get(strange)
    if number is None:
        upstream = moved(upstream, 1)
    else:
        leaves[number] = moved(leaves[number], 1).requires_grad_()
        assert leaves[number].data_ptr() % 4
    assert_near(torch.autograd.grad(evaluate(*leaves, last=True), leaves, upstream), want)


@pytest.mark.parametrize("strange", ["weight", "gradient"])
def test_numbers_in_any_order(strange):
    leaves, upstream = given(ROWS, last_channels=C)
    want = torch.autograd.grad(plain(*leaves, last=True), leaves, upstream)
    if strange == "weight":
        leaves[1] = leaves[1].detach().t().contiguous().t().requires_grad_()
    else:
        upstream = upstream.t().contiguous().t()
    assert_near(torch.autograd.grad(evaluate(*leaves, last=True), leaves, upstream), want)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("saved", ["ordered", "reordered"])
def test_saved_tensors_may_come_back_in_another_order(first, saved):
    leaves, upstream = given(ROWS, last_channels=C)
    if first:  # a weight that the loop of square layers cannot take
        leaves[1] = leaves[1].detach().t().contiguous().t().requires_grad_()

    def unpack(t):
        t = t.detach()
        return t.contiguous() if saved == "ordered" or t.dim() < 2 else t.t().contiguous().t()

    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, unpack):
        got = torch.autograd.grad(evaluate(*leaves, last=True), leaves, upstream)
    assert_near(got, torch.autograd.grad(plain(*leaves, last=True), leaves, upstream))


def test_gradients_have_memory_of_their_own():
    leaves, upstream = given(ROWS, last_channels=C)
    grads = torch.autograd.grad(evaluate(*leaves, last=True), leaves, upstream)
    assert len({t.untyped_storage().data_ptr() for t in grads}) == len(grads)


def test_gradients_of_many_by_vmap():
    leaves, upstream = given(ROWS)
    out = evaluate(*leaves)
    many = torch.stack([upstream, -2 * upstream])
    got = torch.func.vmap(lambda v: torch.autograd.grad(out, leaves, v, retain_graph=True))(many)
    want = torch.autograd.grad(plain(*leaves), leaves, upstream)
    assert_near(got, [torch.stack([t, -2 * t]) for t in want])


@pytest.mark.parametrize("size", [1, C + 8])
def test_a_bias_of_another_shape_is_torchs(size):
    (x, *parameters), _ = given(ROWS)
    parameters[1] = torch.ones(size)
    if size == 1:
        torch.testing.assert_close(evaluate(x, *parameters), plain(x, *parameters))
    else:
        with pytest.raises(RuntimeError):
            evaluate(x, *parameters)


def test_parameters_elsewhere_are_torchs():
    (x, weight, *others), _ = given(ROWS)
    with torch.no_grad():
        parameters = weight.to("meta"), *others
        assert evaluate(x, *parameters).device == plain(x, *parameters).device


def test_other_inputs_take_torch_operations():
    leaves, _ = given(ROWS, dtype=torch.float64)
    assert torch.equal(evaluate(*leaves), plain(*leaves))
    leaves, _ = given(ROWS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(evaluate(*leaves), plain(*leaves))


def test_nan_reaches_the_result():
    (x, *parameters), _ = given(ROWS)
    x.data[5, 3] = torch.nan
    out = evaluate(x, *parameters)
    assert bool(out[5].isnan().all())
    assert int(out.isnan().any(dim=1).sum()) == 1
    (gradient,) = torch.autograd.grad(out.sum(), x)
    assert bool(gradient[5].isnan().all())


def test_without_gradients():
    leaves, _ = given(ROWS)
    x = leaves[0].detach().clone()
    with torch.no_grad():
        out = evaluate(*leaves)
    torch.testing.assert_close(out, plain(*leaves).detach(), rtol=1e-5, atol=1e-5)
    assert torch.equal(leaves[0], x)


def test_leading_dimensions():
    (_, *parameters), _ = given(1)
    x = torch.randn((2, 3, ROWS, C), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(evaluate(x, *parameters), plain(x, *parameters))


def test_torch_func():
    (x, *parameters), _ = ([t.detach() for t in leaves] for leaves in given(ROWS))
    x = x[1:].repeat(2, 1, 1)
    many = [torch.stack([t, 2 * t]) for t in parameters]

    def run(function):
        slopes = torch.func.grad(lambda *inputs: function(*inputs).square().mean(), argnums=(0, 1))
        none = (None,) * len(parameters)
        yield from torch.func.vmap(slopes, in_dims=(0, *none))(x, *parameters)
        yield from torch.func.vmap(slopes, in_dims=(None, *(0 for _ in many)))(x[0], *many)
        changes = tuple(t + 1 for t in parameters)
        yield from torch.func.jvp(lambda *p: function(x[0], *p), tuple(parameters), changes)
        yield torch.func.vmap(function, in_dims=(0, *none))(x, *parameters)

    for got, want in zip(run(evaluate), run(plain), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


def test_many_gradients_at_once():
    leaves, upstream = given(ROWS)
    many = torch.stack([upstream, -2 * upstream])
    got = torch.autograd.grad(evaluate(*leaves), leaves, many, is_grads_batched=True)
    want = torch.autograd.grad(plain(*leaves), leaves, upstream)
    assert_near(got, [torch.stack([t, -2 * t]) for t in want])


def test_selective_checkpointing():
    def policy(context, operator, *args, **kwargs):
        products = torch.ops.aten.mm.default, torch.ops.aten.addmm.default
        kinds = CheckpointPolicy
        return kinds.MUST_SAVE if operator in products else kinds.PREFER_RECOMPUTE

    leaves, upstream = given(ROWS)
    contexts = partial(create_selective_checkpoint_contexts, policy)
    out = checkpoint(evaluate, *leaves, use_reentrant=False, context_fn=contexts)
    want = torch.autograd.grad(plain(*leaves), leaves, upstream)
    assert_near(torch.autograd.grad(out, leaves, upstream), want)


def test_a_trace_has_all_operations():
    (x, *parameters), _ = ([t.detach() for t in leaves] for leaves in given(ROWS))
    graph = make_fx(evaluate)(x, *parameters)
    torch.testing.assert_close(graph(x / 2, *parameters), plain(x / 2, *parameters))


def test_forward_mode():
    (x, *parameters), _ = ([t.detach() for t in leaves] for leaves in given(ROWS))
    results = []
    for function in (evaluate, plain):
        with torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(x, x + 1)
            results.append(torch.autograd.forward_ad.unpack_dual(function(dual, *parameters)))
    assert_near(*results)


def test_higher_derivatives_of_dependent_inputs():
    (x, weight, *others), _ = given(ROWS)
    x = x.detach()[1:].repeat(2, 1)
    results = []
    for function in (evaluate, plain):
        leaf = weight.detach().clone().requires_grad_()
        moved = torch.tanh(x @ leaf)  # both inputs depend on the leaf
        value = function(moved, leaf, *(t.detach() for t in others)).square().sum()
        derivatives = [value]
        for _ in range(3):
            (value,) = torch.autograd.grad(value.sum(), leaf, create_graph=True)
            derivatives.append(value)
        results.append(derivatives)
    assert_near(*results, 1e-4)
