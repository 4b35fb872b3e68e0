import math

import pytest
import torch

from flare_mesh import flare_attention

BACKENDS = ["reference", "sdpa", "numba"]
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
    """One graph and head at a time, sum by sum, directly from the equations."""
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


@pytest.mark.parametrize("backend", BACKENDS)
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
@pytest.mark.parametrize("backend", ["sdpa", "numba"])
def test_backends_equal_reference_with_gradients(backend, sizes, per_graph, weighted):
    results = []
    for name in ("reference", backend):
        leaves = [t.requires_grad_() for t in inputs(sizes, per_graph=per_graph)]
        query, key, value, weight = leaves
        out = flare_attention(
            query,
            key,
            value,
            ptr=ptr_of(sizes),
            weight=weight if weighted else None,
            scale=0.8,
            backend=name,
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


@pytest.mark.parametrize("backend", BACKENDS)
def test_dense_with_mask_equals_ragged(backend):
    sizes = [6, 2, 9]
    query, key, value, weight = inputs(sizes, torch.float32)
    ragged = flare_attention(query, key, value, ptr=ptr_of(sizes), weight=weight)
    mask = torch.arange(9) < torch.tensor(sizes)[:, None]
    # NaN and inf in the padding must not reach the result.
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


@pytest.mark.parametrize("backend", BACKENDS)
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
@pytest.mark.parametrize("backend", BACKENDS)
def test_half_precision(backend, dtype, tolerance):
    sizes = [50, 9]
    results = []
    for name, wide in ((backend, dtype), ("reference", torch.float64)):
        leaves = [t.to(dtype).to(wide).requires_grad_() for t in inputs(sizes)[:3]]
        weight = inputs(sizes, torch.float32)[3].requires_grad_()
        out = flare_attention(*leaves, ptr=ptr_of(sizes), weight=weight, backend=name)
        assert out.dtype == wide
        upstream = torch.linspace(-1, 1, out.numel(), dtype=wide).view_as(out)
        results.append([out, *torch.autograd.grad(out, [*leaves, weight], upstream)])
    out, want = results[0][0], results[1][0]
    torch.testing.assert_close(out.double(), want, rtol=tolerance, atol=tolerance)
    for got, want in zip(*(r[1:] for r in results), strict=True):
        assert float((got.double() - want).norm()) < tolerance * float(want.norm())


@pytest.mark.parametrize("backend", BACKENDS)
def test_large_scores(backend):
    # Scores of some hundreds, that rise along the nodes: references have to be raised.
    query, key, value, weight = inputs([600], torch.float32)
    key = key * torch.linspace(1, 60, 600)[:, None, None]
    given = [query, key, value, weight]
    wide = [t.double() for t in given]
    results = []
    for tensors, name in ((given, backend), (wide, "reference")):
        leaves = [t.clone().requires_grad_() for t in tensors]
        out = flare_attention(*leaves[:3], ptr=ptr_of([600]), weight=leaves[3], backend=name)
        results.append([out, *torch.autograd.grad(out.square().sum(), leaves)])
    for got, want in zip(*results, strict=True):
        assert float((got - want).detach().norm() / want.detach().norm()) < 3e-4


@pytest.mark.parametrize("scale", [2e9, 1e25], ids=str)
@pytest.mark.parametrize("backend", BACKENDS)
def test_scores_whose_rounding_is_a_large_exponent(backend, scale):
    # Each softmax takes its largest score alone, although a score is rounded by some hundreds.
    query, key, value, weight = inputs([600], torch.float32)
    value.requires_grad_()
    options = {"ptr": ptr_of([600]), "weight": weight, "backend": backend}
    out = flare_attention(query, key * scale, value, **options)
    scores = torch.einsum("hmd,nhd->hmn", query.double(), key.double())
    latent = value.detach().transpose(0, 1).gather(1, scores.argmax(2)[..., None].expand(-1, -1, D))
    chosen = scores.argmax(1)[..., None].expand(-1, -1, D)
    torch.testing.assert_close(out.detach(), latent.gather(1, chosen).transpose(0, 1))
    # The gradient for a node's value counts the nodes that receive it.
    (grad,) = torch.autograd.grad(out.sum(), value)
    source = scores.argmax(2).gather(1, scores.argmax(1))
    counts = torch.stack([torch.bincount(nodes, minlength=600) for nodes in source], 1).float()
    torch.testing.assert_close(grad, counts[..., None].expand(-1, -1, D))


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
        ({"ptr": torch.tensor([0.0, 7.0])}, "'ptr' of dtype int64 and shape"),
        ({"ptr": torch.tensor([0, 7], dtype=torch.int32)}, "'ptr' of dtype int64"),
        ({"mask": torch.ones(1, 7, dtype=torch.bool)}, "'mask' belongs to dense input"),
        ({"weight": torch.ones(6)}, r"'weight' of shape \[7\] \(got \[6\]\)"),
        ({"weight": torch.tensor([1.0, 1, 1, 0, 1, 1, 1])}, "'weight' to be positive"),
        ({"weight": torch.full((7,), torch.nan)}, "'weight' to be positive"),
        ({"weight": torch.full((7,), torch.inf)}, "'weight' to be positive and finite"),
        ({"weight": torch.ones(7, dtype=torch.long)}, "'weight' of a floating-point dtype"),
        ({"key": torch.zeros(7, H, D, dtype=torch.long)}, "'key' of a floating-point dtype"),
    ],
)
def test_bad_input(changes, message):
    with pytest.raises(ValueError, match=message):
        flare_attention(**_bad(**changes))


@pytest.mark.parametrize("name", ["query", "key", "value"])
def test_optional_check_of_nan(name):
    given = _bad()
    given[name] = given[name].clone()
    given[name].view(-1)[3] = torch.nan
    flare_attention(**given)
    message = rf"'{name}' to be finite \(got 1 of \d+ values NaN or infinite"
    with pytest.raises(ValueError, match=message):
        flare_attention(**given, check_finite=True)


@pytest.mark.parametrize("backend", BACKENDS)
def test_nan_reaches_the_result(backend):
    query, key, value, _ = inputs([9, 5], torch.float32)
    key[2, 1, 0] = torch.nan
    out = flare_attention(query, key, value, ptr=ptr_of([9, 5]), backend=backend)
    assert bool(out[:9, 1].isnan().all())  # its graph and head
    assert bool(out[9:].isfinite().all())
    assert bool(out[:, 0].isfinite().all())


@pytest.mark.parametrize("backend", BACKENDS)
def test_memory_layouts_and_odd_sizes(backend):
    # One latent, an odd head size, more latents than nodes, tensors that are not contiguous.
    for sizes, m, d in (([3, 20], 1, 5), ([2], 70, 1), ([300, 1, 17], 9, 8)):
        generator = torch.Generator().manual_seed(1)
        nodes = sum(sizes)
        query = torch.randn(2, d, m, generator=generator, dtype=torch.float64).transpose(1, 2)
        both = torch.randn(2, nodes, 2 * d, generator=generator, dtype=torch.float64)
        key, value = both.transpose(0, 1).chunk(2, dim=-1)
        got = flare_attention(query, key, value, ptr=ptr_of(sizes), backend=backend)
        want = flare_attention(
            query.contiguous(),
            key.contiguous(),
            value.contiguous(),
            ptr=ptr_of(sizes),
            backend="reference",
        )
        torch.testing.assert_close(got, want, rtol=1e-11, atol=1e-12)


def test_mask_that_empties_a_graph():
    query, key, value, _ = inputs([4], torch.float32)
    key, value = key.transpose(0, 1)[None], value.transpose(0, 1)[None]
    with pytest.raises(
        ValueError, match=r"at least one valid node in each graph \(got none in \[0\]\)"
    ):
        flare_attention(query, key, value, mask=torch.zeros(1, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match="dtype torch.bool"):
        flare_attention(query, key, value, mask=torch.ones(1, 4))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("first", [8, 300], ids=str)
def test_mask_at_the_start_and_in_the_middle(backend, first):
    query, key, value, _ = inputs([first + 40])
    mask = torch.ones(1, first + 40, dtype=torch.bool)
    mask[0, :first] = False
    mask[0, first + 8 : first + 30] = False
    dense = [t.transpose(0, 1)[None] for t in (key, value)]
    got = flare_attention(query, *dense, mask=mask, backend=backend)[0].transpose(0, 1)[mask[0]]
    valid = int(mask.sum())
    want = flare_attention(
        query, key[mask[0]], value[mask[0]], ptr=ptr_of([valid]), backend="reference"
    )
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_outlier_at_the_start_costs_no_digits(backend):
    query, key, value, _ = inputs([64], torch.float32)
    key[:8] = -1e6 * query.mean(dim=1).sign()  # far lower scores than all that follow
    got = flare_attention(query, key, value, ptr=ptr_of([64]), backend=backend)
    want = flare_attention(
        query.double(), key.double(), value.double(), ptr=ptr_of([64]), backend="reference"
    )
    torch.testing.assert_close(got[8:].double(), want[8:], rtol=1e-4, atol=1e-4)


def test_autocast_leaves_weights_alone():
    query, key, value, weight = inputs([200], torch.float32)
    weight = 1e-12 * weight
    want = flare_attention(query, key, value, ptr=ptr_of([200]), weight=weight)
    for backend in BACKENDS:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            got = flare_attention(
                query, key, value, ptr=ptr_of([200]), weight=weight, backend=backend
            )
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_graphs(backend):
    nothing = torch.zeros(0, 2, 5, 4)
    query = torch.zeros(2, 3, 4)
    assert flare_attention(query, nothing, nothing, backend=backend).shape == (0, 2, 5, 4)
    flat = torch.zeros(0, 2, 4)
    out = flare_attention(query, flat, flat, ptr=torch.zeros(1, dtype=torch.long), backend=backend)
    assert out.shape == (0, 2, 4)


def test_check_of_nan_ignores_padding():
    query, key, value, _ = inputs([4], torch.float32)
    dense = [t.transpose(0, 1)[None].clone() for t in (key, value)]
    dense[0][:, :, 3] = torch.nan
    mask = torch.tensor([[True, True, True, False]])
    flare_attention(query, *dense, mask=mask, check_finite=True)
    with pytest.raises(ValueError, match="'scale' to be a number"):
        flare_attention(query, *dense, scale=torch.ones(()))


def test_same_bits_alone_in_a_batch_and_with_other_threads():
    sizes = [300, 7, 1000, 1]
    leaves = [t.requires_grad_() for t in inputs(sizes, torch.float32)]
    results, threads = [], torch.get_num_threads()
    for number in (1, 2):
        torch.set_num_threads(number)
        query, key, value, weight = leaves
        out = flare_attention(query, key, value, ptr=ptr_of(sizes), weight=weight, backend="numba")
        results.append([out, *torch.autograd.grad(out.sum(), leaves[1:])])
    torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    for graph, size in enumerate(sizes):
        alone = [t.detach().split(sizes)[graph].requires_grad_() for t in leaves[1:]]
        key, value, weight = alone
        out = flare_attention(query, key, value, ptr=ptr_of([size]), weight=weight, backend="numba")
        got = [out, *torch.autograd.grad(out.sum(), alone)]
        for single, batch in zip(got, results[0], strict=True):
            assert torch.equal(single, batch.split(sizes)[graph])
