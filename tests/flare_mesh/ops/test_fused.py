import pytest
import torch
from torch._dynamo.testing import CompileCounter
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from flare_mesh import flare_attention, flare_decode
from flare_mesh.ops import numba_kernels

H, M, D = 2, 3, 4


def tensors(sizes=(5, 9), dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=dtype).requires_grad_()

    nodes = sum(sizes)
    ptr = torch.tensor([0, *sizes]).cumsum(0)
    return draw(H, M, D), draw(nodes, H, D), draw(nodes, H, D), ptr


def test_operators_keep_torchs_rules():
    query, key, value, ptr = (t.detach() for t in tensors())
    query = query.expand(2, H, M, D)
    ops = torch.ops.flare_mesh
    for weight in (None, torch.zeros(14, dtype=torch.float64)):
        given = (query, key, value, ptr, weight)
        latent, lse = ops.encode(*given, 0.7, "numba")
        grads = (torch.ones_like(latent), torch.ones_like(lse))
        torch.library.opcheck(ops.encode.default, (*given, 0.7, "numba"))
        torch.library.opcheck(
            ops.encode_backward.default, (*grads, *given, latent, lse, 0.7, "numba")
        )
    given = (query, key, latent, ptr)
    out, lse = ops.decode(*given, 0.7, "numba")
    torch.library.opcheck(ops.decode.default, (*given, 0.7, "numba"))
    torch.library.opcheck(
        ops.decode_backward.default, (torch.ones_like(out), *given, out, lse, 0.7, "numba")
    )


def test_gradients_of_both_halves_keep_torchs_rules():
    query, key, value, ptr = (t.detach() for t in tensors())
    given = (query.expand(2, H, M, D), key, value, ptr, torch.zeros(14, dtype=torch.float64))
    out, *saved = numba_kernels.mix_forward(*given, 0.7)
    torch.library.opcheck(
        torch.ops.flare_mesh.mix_backward.default, (torch.ones_like(out), *given, out, *saved, 0.7)
    )


def test_several_gradients_at_once():
    """And the same values without gradients."""
    query, key, value, ptr = tensors()
    out = flare_attention(query, key, value, ptr=ptr, backend="numba")
    with torch.no_grad():
        alone = flare_attention(query, key, value, ptr=ptr, backend="numba")
    assert torch.equal(out, alone)
    grads = torch.stack([torch.ones_like(out), out.detach()])
    leaves = (query, key, value)
    options = {"retain_graph": True}
    got = torch.autograd.grad(out, leaves, grads, is_grads_batched=True, **options)
    each = [torch.autograd.grad(out, leaves, grad, **options) for grad in grads]
    for both, parts in zip(got, zip(*each, strict=True), strict=True):
        torch.testing.assert_close(both, torch.stack(parts))


def test_gradcheck():
    query, key, value, ptr = tensors((3, 4))
    weight = torch.rand(7, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(
        lambda q, k, v, w: flare_attention(q, k, v, ptr=ptr, weight=w + 0.5, backend="numba"),
        (query, key, value, weight),
    )


def test_triton_behind_the_public_functions():
    pytest.importorskip("triton")
    device = "cuda" if torch.cuda.is_available() else "cpu"  # the interpreter's
    results = []
    for backend in ("reference", "triton"):
        *leaves, ptr = (t.detach().to(device) for t in tensors((5, 0, 40), torch.float32))
        leaves.append(torch.linspace(0.5, 2, 45, device=device))
        leaves = [leaf.requires_grad_() for leaf in leaves]
        query, key, value, weight = leaves
        out = flare_attention(query, key, value, ptr=ptr, weight=weight, scale=0.7, backend=backend)
        results.append([out, *torch.autograd.grad(out.float().square().sum(), leaves)])
    for got, want in zip(*reversed(results), strict=True):
        assert float((got - want).detach().norm()) < 1e-5 * float(want.detach().norm())


def test_torch_func():
    query, key, value, _ = tensors()
    key, value = key[None].transpose(1, 2), value[None].transpose(1, 2)

    def loss(q):
        return flare_attention(q, key, value, backend="numba").square().sum()

    (want,) = torch.autograd.grad(loss(query), query)
    torch.testing.assert_close(torch.func.grad(loss)(query), want)
    queries = torch.stack([query, 2 * query]).detach()
    got = torch.func.vmap(lambda q: flare_attention(q, key, value, backend="numba"))(queries)
    want = torch.stack([flare_attention(q, key, value, backend="numba") for q in queries])
    torch.testing.assert_close(got, want)


def test_compiles_into_one_graph_for_all_sizes():
    counter = CompileCounter()
    compiled = torch.compile(flare_attention, backend=counter, fullgraph=True, dynamic=True)
    for sizes in ((5, 9), (40, 3), (1, 1)):
        query, key, value, ptr = tensors(sizes)
        got = compiled(query, key, value, ptr=ptr)
        torch.testing.assert_close(got, flare_attention(query, key, value, ptr=ptr))
    assert counter.frame_count == 1


def test_a_trace_has_the_operators():
    def mix(query, key):
        return flare_attention(query, key, key, backend="numba")

    query, key, *_ = (t.detach() for t in tensors())
    key = key[None].transpose(1, 2)
    graph = make_fx(mix)(query, key)
    torch.testing.assert_close(graph(query, 2 * key), mix(query, 2 * key))
    with FakeTensorMode() as fake:
        assert mix(fake.from_tensor(query), fake.from_tensor(key)).shape == key.shape


@pytest.mark.parametrize("offsets", [[0, 15], [0, 5], [1, 14], [0, 20, 14]])
def test_operators_refuse_wrong_offsets(offsets):
    """They are all that compiled code checks."""
    query, key, value, _ = (t.detach() for t in tensors())
    ptr = torch.tensor(offsets)
    query = query.expand(len(ptr) - 1, H, M, D)
    latent = torch.zeros_like(query)
    with pytest.raises(ValueError, match="'ptr' to rise from 0 to N = 14"):
        torch.ops.flare_mesh.encode(query, key, value, ptr, None, 0.7, "numba")
    with pytest.raises(ValueError, match="'ptr' to rise from 0 to N = 14"):
        torch.ops.flare_mesh.decode(query, key, latent, ptr, 0.7, "numba")
    query, ptr = query[:1].expand(3, H, M, D), torch.tensor([0, 5, 14])
    with pytest.raises(ValueError, match=r"'query' of the 2 graphs of 'ptr' \(got \[3,"):
        torch.ops.flare_mesh.encode(query, key, value, ptr, None, 0.7, "numba")


@pytest.mark.parametrize("leaf", [0, 1, 2], ids=["query", "key", "value"])
@pytest.mark.parametrize("backend", ["numba", "sdpa", "auto"])
def test_second_derivatives_are_refused_and_not_zero(backend, leaf):
    *given, ptr = tensors()
    given = [t.detach().requires_grad_(i == leaf) for i, t in enumerate(given)]
    if backend == "auto":
        given, ptr = [*given[:1], *(t[:4].detach() for t in given[1:])], torch.tensor([0, 4])
        given[leaf].requires_grad_()
    out = flare_attention(*given, ptr=ptr, backend=backend)
    (slope,) = torch.autograd.grad(out.square().sum(), given[leaf], create_graph=True)
    with pytest.raises(NotImplementedError, match="use backend='reference'"):
        torch.autograd.grad(slope.square().sum(), given[leaf])


@pytest.mark.parametrize("backend", ["numba", "sdpa"])
def test_second_derivatives_of_a_decode_are_refused(backend):
    query, key, _, ptr = tensors()
    latent = torch.randn(len(ptr) - 1, H, M, D, dtype=key.dtype, requires_grad=True)
    out = flare_decode(query, key, latent, ptr=ptr, backend=backend)
    (slope,) = torch.autograd.grad(out.square().sum(), latent, create_graph=True)
    with pytest.raises(NotImplementedError, match="use backend='reference'"):
        torch.autograd.grad(slope.square().sum(), latent)
