import pytest
import torch

from flare_mesh import flare_attention, flare_decode, flare_encode
from flare_mesh.ops import flare_merge, sdpa

BACKENDS = ["reference", "sdpa", "numba"]
H, M, D = 3, 5, 4


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ptr_of(sizes):
    return torch.tensor([0, *sizes]).cumsum(0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_encode_is_softmax_and_logsumexp(backend):
    query, key, value = draw(H, M, D), draw(9, H, D, seed=1), draw(9, H, D, seed=2)
    weight = draw(9, seed=3).exp()
    latent, lse = flare_encode(
        query, key, value, ptr=ptr_of([4, 0, 5]), weight=weight, scale=0.7, backend=backend
    )
    for graph, nodes in ((0, slice(0, 4)), (2, slice(4, 9))):
        scores = torch.einsum("hmd,nhd->hmn", 0.7 * query, key[nodes]) + weight[nodes].log()
        total = scores.exp().sum(-1)
        want = torch.einsum("hmn,nhd->hmd", scores.exp(), value[nodes]) / total[..., None]
        torch.testing.assert_close(latent[graph], want)
        torch.testing.assert_close(lse[graph], total.log())
    assert bool((latent[1] == 0).all())
    assert bool((lse[1] == -torch.inf).all())


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_of_latents_and_logsumexps(backend, monkeypatch):
    monkeypatch.setattr(sdpa, "_LSE_CHUNK", 16)  # one graph at once, the other in two chunks
    results = []
    for name in ("reference", backend):
        leaves = [draw(2, H, M, D), draw(30, H, D, seed=1), draw(30, H, D, seed=2), draw(30).exp()]
        leaves = [leaf.requires_grad_() for leaf in leaves]
        query, key, value, weight = leaves
        latent, lse = flare_encode(
            query, key, value, ptr=ptr_of([12, 18]), weight=weight, backend=name
        )
        upstream = draw(*latent.shape, seed=5), draw(*lse.shape, seed=6)
        results.append([latent, lse, *torch.autograd.grad((latent, lse), leaves, upstream)])
    for got, want in zip(*reversed(results), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_of_decode(backend):
    results = []
    for name in ("reference", backend):
        leaves = [draw(2, H, M, D), draw(30, H, D, seed=1), draw(2, H, M, D, seed=2)]
        leaves = [leaf.requires_grad_() for leaf in leaves]
        out = flare_decode(*leaves, ptr=ptr_of([12, 18]), scale=0.6, backend=name)
        grads = torch.autograd.grad(out, leaves, draw(*out.shape, seed=5))
        results.append([out, *grads])
    for got, want in zip(*reversed(results), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_halves_make_the_whole_in_both_layouts(backend):
    query, key, value = draw(H, M, D), draw(2, H, 7, D, seed=1), draw(2, H, 7, D, seed=2)
    mask = torch.arange(7) < torch.tensor([[7], [3]])
    whole = flare_attention(query, key, value, mask=mask, backend=backend)
    latent, _ = flare_encode(query, key, value, mask=mask, backend=backend)
    parts = flare_decode(query, key, latent, mask=mask, backend=backend)
    torch.testing.assert_close(parts, whole)
    assert bool((parts[1, :, 3:] == 0).all())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("sizes", [[20], [7, 13], [1] * 20, [0, 20, 0]], ids=str)
def test_merged_chunks_equal_the_whole_with_gradients(backend, sizes):
    leaves = [draw(H, M, D), draw(20, H, D, seed=1), draw(20, H, D, seed=2)]
    leaves = [leaf.requires_grad_() for leaf in leaves]
    query, key, value = leaves
    whole, total = flare_encode(query, key, value, ptr=ptr_of([20]), backend=backend)
    parts = [
        flare_encode(query, k, v, ptr=ptr_of([len(k)]), backend=backend)
        for k, v in zip(key.split(sizes), value.split(sizes), strict=True)
    ]
    latent, lse = flare_merge(*(torch.stack(part) for part in zip(*parts, strict=True)))
    torch.testing.assert_close(latent, whole)
    torch.testing.assert_close(lse, total)
    upstream = draw(*whole.shape, seed=3), draw(*total.shape, seed=4)
    want = torch.autograd.grad((whole, total), leaves, upstream)
    got = torch.autograd.grad((latent, lse), leaves, upstream)
    torch.testing.assert_close(got, want)


def test_merge_of_nothing_is_empty():
    latent, lse = flare_merge(torch.zeros(2, 1, H, M, D), torch.full((2, 1, H, M), -torch.inf))
    assert bool((latent == 0).all())
    assert bool((lse == -torch.inf).all())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_sums_in_float32(backend, dtype):
    # 5,000 equal shares of 1: a sum in half precision would stop growing long before.
    key, value = torch.zeros(5000, 1, 4, dtype=dtype), torch.ones(5000, 1, 4, dtype=dtype)
    latent, lse = flare_encode(
        torch.zeros(1, 2, 4, dtype=dtype),
        key,
        value,
        ptr=ptr_of([5000]),
        weight=torch.full((5000,), 1e-6),
        backend=backend,
    )
    assert latent.dtype == lse.dtype == torch.float32
    torch.testing.assert_close(latent, torch.ones_like(latent), rtol=1e-3, atol=0)
    torch.testing.assert_close(lse.exp(), torch.full_like(lse, 5e-3), rtol=1e-3, atol=0)
    out = flare_decode(torch.zeros(1, 2, 4, dtype=dtype), key, latent, ptr=ptr_of([5000]))
    assert out.dtype == dtype


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latent": torch.zeros(H, M, D)}, r"'latent' of shape \[1, 3, M, 4\] \(got \[3, 5, 4\]\)"),
        ({"latent": torch.zeros(1, H, M + 1, D)}, "'latent' to hold the 5 latents of 'query'"),
        ({"query": torch.zeros(H, M, D).double()}, "'query' of the dtype and device of 'key'"),
        ({"key": torch.zeros(6, D)}, r"'key' with 'ptr' \[N, H, D\]"),
    ],
)
def test_bad_input_of_decode(changes, message):
    given = {
        "query": torch.zeros(H, M, D),
        "key": torch.zeros(6, H, D),
        "latent": torch.zeros(1, H, M, D),
        "ptr": ptr_of([6]),
    }
    with pytest.raises(ValueError, match=message):
        flare_decode(**{**given, **changes})
