"""Triton kernels of causal FLARE against two SDPA calls on the tokens so far, in float64."""

import os
from itertools import pairwise

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention as sdpa

if not torch.cuda.is_available():
    # Triton's interpreter; read when triton is imported.
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

from flare_mesh.ops import CausalState, causal_operator, flare_causal_attention, triton_causal_flare
from flare_mesh.ops.causal_flare import attend_causally
from flare_mesh.ops.layout import Layout

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
F32, BF16, F16 = torch.float32, torch.bfloat16, torch.float16
SCALE = 0.7
# The interpreter computes with NumPy, which warns of what IEEE arithmetic defines.
pytestmark = [
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.usefixtures("interpreter"),
]


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch):
    monkeypatch.setattr(causal_operator, "TRITON_CHUNK", 32)


def expected(ptr, query, key, value, read=None, latent_key=None, scale=SCALE):
    outs = []
    for b, (start, stop) in enumerate(pairwise(ptr.tolist())):
        q = query if query.dim() == 3 else query[b]
        reads, keys = (key, q) if read is None else (read, latent_key)
        for t in range(start, stop):
            past = [rows[start : t + 1].transpose(0, 1) for rows in (key, value)]
            outs.append(sdpa(reads[t][:, None], keys, sdpa(q, *past, scale=scale), scale=scale))
    return torch.stack(outs)[:, :, 0]


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def inputs(nodes, heads, latents, dim, width, *, separate=0, spread=1.0, graphs=(), layout="rows"):
    query, key = spread * draw(*graphs, heads, latents, dim), spread * draw(nodes, heads, dim)
    given = [query, key, draw(nodes, heads, width, seed=1)]
    if separate:
        given += [spread * draw(nodes, heads, separate), draw(heads, latents, separate)]
    if layout == "heads_first":
        given[1:3] = [t.transpose(0, 1).contiguous().transpose(0, 1) for t in given[1:3]]
    return given


def offsets(sizes):
    return torch.tensor([0, *sizes]).cumsum(0).to(DEVICE)


def attend(given, **options):
    query, key, value, *pair = given
    pair = dict(zip(("decode_query", "decode_key"), pair, strict=False))
    return flare_causal_attention(
        query, key, value, scale=SCALE, backend="triton", **pair, **options
    )


def check(sizes, heads, latents, dim, width, *, dtype=F32, tolerance=1e-5, **how):
    rounded = [t.to(dtype) for t in inputs(sum(sizes), heads, latents, dim, width, **how)]
    given = [t.to(DEVICE).requires_grad_() for t in rounded]
    exact = [t.double().requires_grad_() for t in rounded]
    ptr = offsets(sizes)
    pairs = [(attend(given, ptr=ptr), given), (expected(ptr, *exact), exact)]
    upstream = draw(sum(sizes), heads, width, seed=2).to(dtype)
    results = [[out, *torch.autograd.grad(out, leaves, upstream.to(out))] for out, leaves in pairs]
    for got, want in zip(*results, strict=True):
        assert got.dtype == dtype
        error = (got.cpu().double() - want).norm() / want.norm()
        assert error < tolerance, error


def test_values_and_gradients():
    check([35, 0, 1], 1, 5, 3, 4)  # two chunks, the first of two tiles; empty; one token


def test_steep_scores_and_latents_of_each_sequence():
    # Scores of hundreds, which share no reference, and queries for reading.
    check([4, 2], 2, 3, 3, 2, separate=6, spread=8.0, graphs=(2,), tolerance=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sizes", "latents", "dims", "how"),
    [
        ([20, 3], 40, (3, 3), {}),  # blocks of latents
        # Gradients of steep scores are differences of nearly equal numbers.
        ([35, 5], 5, (3, 4), {"spread": 8.0, "tolerance": 1e-4}),
        ([9], 33, (17, 40), {"separate": 5, "layout": "heads_first"}),
        ([35, 2], 16, (8, 8), {"dtype": BF16, "tolerance": 2e-2}),
        ([20], 70, (8, 8), {"dtype": F16, "tolerance": 1e-2, "spread": 4.0}),
    ],
    ids=str,
)
def test_other_sizes_and_types(sizes, latents, dims, how):
    check(sizes, 1, latents, *dims, **how)


def test_a_sequence_has_the_same_bits_in_any_batch():
    given = [t.to(DEVICE, F32) for t in inputs(40, 1, 5, 3, 4)]
    alone = attend([given[0], *(t[3:38] for t in given[1:])], ptr=offsets([35]))
    assert torch.equal(attend(given, ptr=offsets([3, 35, 2]))[3:38], alone)


def test_later_tokens_continue_from_the_state():
    query, key, value = inputs(20, 1, 3, 2, 2)
    exact, last = flare_causal_attention(
        query, key, value, ptr=torch.tensor([0, 20]), scale=SCALE, return_state=True
    )
    query, key, value = (t.to(DEVICE, F32) for t in (query, key, value))
    parts, state = [], None
    for start, stop in pairwise((0, 17, 18, 20)):
        part, state = attend(
            [query, key[start:stop], value[start:stop]], ptr=offsets([stop - start]), state=state,
            return_state=True,
        )  # fmt: skip
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts).cpu().double(), exact, rtol=1e-5, atol=1e-6)
    for got, want in zip(state, last, strict=True):
        assert got.dtype == torch.float64
        torch.testing.assert_close(got.cpu(), want, rtol=1e-6, atol=1e-7)


def test_a_token_after_a_million_others_counts():
    query, key, value = inputs(1, 1, 3, 2, 2)
    # In float32 a sum of e^20 could not grow by its weight.
    state = CausalState(
        torch.full((1, 1, 3), 20.0, dtype=torch.float64),
        torch.full((1, 1, 3, 2), 0.1, dtype=torch.float64),
    )
    _, want = flare_causal_attention(
        query, key, value, ptr=torch.tensor([0, 1]), scale=SCALE, state=state, return_state=True
    )
    given = [t.to(DEVICE, F32) for t in (query, key, value)]
    state = CausalState(*(t.to(DEVICE) for t in state))
    _, got = attend(given, ptr=offsets([1]), state=state, return_state=True)
    for new, other, old in zip(got, want, state, strict=True):
        torch.testing.assert_close(new - old, other.to(DEVICE) - old, rtol=1e-5, atol=0.0)


def test_masked_tokens_change_nothing_and_give_zero():
    query, key, value = inputs(18, 1, 5, 3, 4)
    mask = torch.rand(18, generator=torch.Generator().manual_seed(0)) > 0.4
    mask[:3] = False
    key[~mask], value[~mask] = torch.nan, torch.inf
    dense = [t.to(F32).transpose(0, 1)[None].to(DEVICE).requires_grad_() for t in (key, value)]
    leaves = [query.to(DEVICE, F32).requires_grad_(), *dense]
    out = attend(leaves, mask=mask[None].to(DEVICE))[0].transpose(0, 1)
    grads = torch.autograd.grad(out.sum(), leaves)
    assert not out[~mask].any()
    want = expected(torch.tensor([0, int(mask.sum())]), query, key[mask], value[mask])
    torch.testing.assert_close(out[mask].cpu().double(), want, rtol=1e-5, atol=1e-6)
    assert all(g.isfinite().all() for g in grads)
    assert not any(g[0, :, ~mask].any() for g in grads[1:])


def test_no_tokens():
    query, key, value = (t.to(DEVICE, F32).requires_grad_() for t in inputs(0, 2, 5, 3, 4))
    out, state = attend([query, key, value], ptr=offsets([0, 0]), return_state=True)
    assert out.shape == (0, 2, 4)
    assert (state.logsumexp == -torch.inf).all()
    assert not torch.autograd.grad(out.sum(), query)[0].any()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (inputs(2, 1, 3, 65, 4), "1 to 64 channels .got keys of 65, values of 4 .* 'reference'"),
        (inputs(2, 1, 3, 4, 4), "float16, bfloat16 and float32"),
    ],
)
def test_what_the_kernels_cannot_do_is_refused(given, message):
    dtype = F32 if given[1].shape[-1] == 65 else torch.float64
    with pytest.raises(ValueError, match=message):
        attend([t.to(DEVICE, dtype) for t in given], ptr=offsets([2]))


@pytest.mark.parametrize("latents", [1, 16, 64, 128, 256])
@pytest.mark.parametrize("width", [16, 32, 64])
@pytest.mark.parametrize("dtype", [F32, BF16, F16], ids=str)
def test_sums_fit_into_the_registers(latents, width, dtype):
    sizes = triton_causal_flare.tiles(latents, width, dtype)
    assert sizes.latents >= min(16, latents)
    assert sizes.tokens >= 16  # products of matrices need as many
    assert 256 % sizes.tokens == 0
    # The sums of the latents and of three gradients: half of a thread's 255 registers.
    assert 4 * sizes.latents * width <= 128 * 32 * sizes.warps


@pytest.mark.parametrize(("store", "separate"), [(True, 2), (False, 0)])
def test_shapes_are_those_that_the_compiler_expects(store, separate):
    query, key, value, *pair = (t.to(DEVICE, F32) for t in inputs(3, 1, 3, 2, 4, separate=separate))
    pair = (pair[0], pair[1][None]) if pair else (None, None)
    state = CausalState.empty(query, value, 1)
    given = (query[None], key, value, *pair, None, offsets([3]))
    forward = torch.ops.flare_mesh.causal_flare
    torch.library.opcheck(
        forward, (*given, *state, 1.0, store, "triton"), test_utils="test_faketensor"
    )
    if store:
        out, _, _, *stored = forward(*given, *state, 1.0, True, "triton")
        backward = torch.ops.flare_mesh.causal_flare_backward
        arguments = (out, *given, out, *stored, 1.0, "triton")
        torch.library.opcheck(backward, arguments, test_utils="test_faketensor")


@pytest.mark.gpu
@pytest.mark.skipif(DEVICE == "cpu", reason="needs a CUDA device")
@pytest.mark.parametrize(
    ("dtype", "latents", "width"),
    [(F32, 64, 8), (BF16, 256, 64), (F16, 16, 32)],
    ids=str,
)
def test_many_tokens_the_same_bits_and_no_wait(monkeypatch, dtype, latents, width):
    monkeypatch.setattr(causal_operator, "TRITON_CHUNK", 256)
    sizes = [5_000, *[3] * 20, 700]
    drawn = inputs(sum(sizes), 2, latents, width, width, spread=width**-0.25)
    given = [t.to(DEVICE, dtype).requires_grad_() for t in drawn]
    exact = [t.detach().double().requires_grad_() for t in given]
    ptr, layout = offsets(sizes), Layout(offsets(sizes))
    upstream = draw(sum(sizes), 2, width, seed=2).to(DEVICE, dtype)

    def step():
        out, _ = attend_causally(*given, None, None, None, layout, scale=SCALE, backend="triton")
        return [out, *torch.autograd.grad(out, given, upstream)]

    first = step()
    torch.cuda.set_sync_debug_mode("error")
    try:
        second = step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    out = flare_causal_attention(*exact, ptr=ptr, scale=SCALE, backend="reference", chunk_size=16)
    want = [out, *torch.autograd.grad(out, exact, upstream.double())]
    for got, right in zip(first, want, strict=True):
        error = (got.double() - right).norm() / right.norm()
        assert error < (1e-4 if dtype == F32 else 3e-2), error
