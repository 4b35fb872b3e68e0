import math

import pytest
import torch

from flare_mesh import flare_attention

H, M, D = 3, 5, 4
SIZES = [
    [7],
    [1],
    [3, 0, 63, 1, 8, 9, 10, 40],
    [0, 0],
    [2] * 30,
    [6, 5],
]


def ptr_of(sizes):
    return torch.tensor([0, *sizes]).cumsum(0)


def inputs(sizes, dtype=torch.float64, per_graph=False, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    nodes = sum(sizes)
    query = draw(len(sizes), H, M, D) if per_graph else draw(H, M, D)
    weight = torch.rand(nodes, generator=generator, dtype=torch.float64).to(dtype) + 0.2
    return query, draw(nodes, H, D), draw(nodes, H, D), weight


def by_hand(query, key, value, weight, scale):
    """One graph and head at a time, sum by sum, as the equations stand."""
    nodes = len(key)
    out = torch.zeros_like(value)
    for h in range(H):
        score = [[scale * float(query[h, m] @ key[n, h]) for n in range(nodes)] for m in range(M)]
        latent = []
        for m in range(M):
            share = [float(weight[n]) * math.exp(score[m][n]) for n in range(nodes)]
            latent.append(sum(s / sum(share) * value[n, h] for n, s in enumerate(share)))
        for n in range(nodes):
            share = [math.exp(score[m][n]) for m in range(M)]
            out[n, h] = sum(s / sum(share) * latent[m] for m, s in enumerate(share))
    return out


@pytest.mark.parametrize("backend", ["reference", "sdpa"])
def test_equations(backend):
    sizes = [4, 7]
    query, key, value, weight = inputs(sizes)
    got = flare_attention(
        query, key, value, ptr=ptr_of(sizes), weight=weight, scale=0.7, backend=backend
    )
    want = [
        by_hand(query, k, v, w, 0.7)
        for k, v, w in zip(*(t.split(sizes) for t in (key, value, weight)), strict=True)
    ]
    torch.testing.assert_close(got, torch.cat(want), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("per_graph", [False, True])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_sdpa_equals_reference_with_gradients(sizes, per_graph, weighted):
    results = []
    for backend in ("reference", "sdpa"):
        leaves = [t.requires_grad_() for t in inputs(sizes, per_graph=per_graph)]
        query, key, value, weight = leaves
        out = flare_attention(
            query,
            key,
            value,
            ptr=ptr_of(sizes),
            weight=weight if weighted else None,
            scale=0.8,
            backend=backend,
        )
        used = leaves if weighted else leaves[:3]
        upstream = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)
        grads = torch.autograd.grad(out, used, upstream, allow_unused=True)
        zero_if_unused = (
            torch.zeros_like(leaf) if grad is None else grad
            for leaf, grad in zip(used, grads, strict=True)
        )
        results.append([out, *zero_if_unused])
    for got, want in zip(*reversed(results), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("backend", ["reference", "sdpa"])
def test_dense_with_mask_equals_ragged(backend):
    sizes = [6, 2, 9]
    query, key, value, weight = inputs(sizes, torch.float32)
    ragged = flare_attention(query, key, value, ptr=ptr_of(sizes), weight=weight)
    mask = torch.arange(9) < torch.tensor(sizes)[:, None]
    # Padding holds what must not leak.
    dense_key = torch.full((3, 9, H, D), torch.nan)
    dense_value = torch.full((3, 9, H, D), torch.inf)
    dense_weight = torch.full((3, 9), torch.nan)
    dense_key[mask], dense_value[mask], dense_weight[mask] = key, value, weight
    dense_key.requires_grad_()
    out = flare_attention(
        query,
        dense_key.transpose(1, 2),
        dense_value.transpose(1, 2),
        mask=mask,
        weight=dense_weight,
        backend=backend,
    ).transpose(1, 2)
    torch.testing.assert_close(out[mask], ragged)
    assert bool((out[~mask] == 0).all())
    (gradient,) = torch.autograd.grad(out.sum(), dense_key)
    assert bool(gradient[mask].isfinite().all())


@pytest.mark.parametrize("backend", ["reference", "sdpa"])
def test_weight_counts_like_copies_of_a_node(backend):
    query, key, value, _ = inputs([6])
    weight = torch.tensor([1, 1, 3, 1, 2, 1])
    weighted = flare_attention(
        query, key, value, ptr=ptr_of([6]), weight=weight.double(), backend=backend
    )
    copies = torch.arange(6).repeat_interleave(weight)
    copied = flare_attention(query, key[copies], value[copies], ptr=ptr_of([9]), backend=backend)
    torch.testing.assert_close(weighted[copies], copied, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 2e-2), (torch.float16, 4e-3)])
@pytest.mark.parametrize("backend", ["reference", "sdpa"])
def test_half_precision(backend, dtype, tolerance):
    sizes = [50, 9]
    query, key, value, _ = inputs(sizes, dtype)
    got = flare_attention(query, key, value, ptr=ptr_of(sizes), backend=backend)
    want = flare_attention(
        query.double(), key.double(), value.double(), ptr=ptr_of(sizes), backend="reference"
    )
    assert got.dtype == dtype
    torch.testing.assert_close(got.double(), want, rtol=tolerance, atol=tolerance)


def test_large_scores_do_not_overflow():
    query, key, value, _ = inputs([20], torch.float32)
    out = flare_attention(query * 100, key * 100, value, ptr=ptr_of([20]))
    want = flare_attention(
        query.double() * 100,
        key.double() * 100,
        value.double(),
        ptr=ptr_of([20]),
        backend="reference",
    )
    torch.testing.assert_close(out.double(), want, rtol=1e-2, atol=1e-2)


def _bad(**changes):
    query, key, value, weight = inputs([4, 3], torch.float32)
    given = {"query": query, "key": key, "value": value, "ptr": ptr_of([4, 3]), "weight": weight}
    return {**given, **changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backend": "fast"}, "unknown backend 'fast'; choose from"),
        ({"value": torch.zeros(7, H, D + 1)}, r"'value' of the shape of 'key', \[7, 3, 4\]"),
        ({"key": torch.zeros(7, D)}, r"'key' with 'ptr' \[N, H, D\] \(got \[7, 4\]\)"),
        ({"ptr": None}, r"'key' without 'ptr' \[B, H, N, D\]"),
        ({"query": torch.zeros(H, M, D + 1)}, r"'query' of shape \[3, M, 4\]"),
        ({"query": torch.zeros(3, H, M, D)}, r"\[2, 3, M, 4\] \(got \[3, 3, 5, 4\]\)"),
        ({"query": torch.zeros(H, 0, D)}, "at least one latent"),
        ({"query": torch.zeros(H, M, D).double()}, "'query' of the dtype and device of 'key'"),
        ({"ptr": torch.tensor([0, 5, 4, 7])}, "'ptr' to rise from 0 to N = 7"),
        ({"ptr": torch.tensor([0, 6])}, "'ptr' to rise from 0 to N = 7"),
        ({"ptr": torch.tensor([0.0, 7.0])}, "'ptr' integers"),
        ({"mask": torch.ones(1, 7, dtype=torch.bool)}, "'mask' belongs to dense input"),
        ({"weight": torch.ones(6)}, r"'weight' of shape \[7\] \(got \[6\]\)"),
        ({"weight": torch.tensor([1.0, 1, 1, 0, 1, 1, 1])}, "'weight' to be positive"),
        ({"weight": torch.full((7,), torch.nan)}, "'weight' to be positive"),
    ],
)
def test_bad_input(changes, message):
    with pytest.raises(ValueError, match=message):
        flare_attention(**_bad(**changes))


def test_mask_that_empties_a_graph():
    query, key, value, _ = inputs([4], torch.float32)
    key, value = key.transpose(0, 1)[None], value.transpose(0, 1)[None]
    with pytest.raises(ValueError, match=r"at least one node of each graph \(got none in \[0\]\)"):
        flare_attention(query, key, value, mask=torch.zeros(1, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match="dtype torch.bool"):
        flare_attention(query, key, value, mask=torch.ones(1, 4))
