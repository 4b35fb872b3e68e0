"""Causal FLARE against two softmaxes over the tokens so far, written out token by token."""

import pytest
import torch

from flare_mesh.ops import CausalState, flare_attention, flare_causal_attention

BACKENDS = ("reference", "numba")
H, M, D, E, F = 2, 5, 3, 4, 6
PTR = torch.tensor([0, 70, 70, 71, 150])


def expected(query, key, value, read=None, latent_key=None, *, ptr=PTR, scale=0.7):
    rows = []
    for b, (start, stop) in enumerate(zip(ptr[:-1].tolist(), ptr[1:].tolist(), strict=True)):
        q = query if query.dim() == 3 else query[b]
        for t in range(start, stop):
            score = scale * torch.einsum("hmd,thd->hmt", q, key[start : t + 1])
            latent = torch.einsum("hmt,the->hme", score.softmax(-1), value[start : t + 1])
            if read is None:
                decode = scale * torch.einsum("hmd,hd->hm", q, key[t])
            else:
                decode = scale * torch.einsum("hmf,hf->hm", latent_key, read[t])
            rows.append(torch.einsum("hm,hme->he", decode.softmax(-1), latent))
    return torch.stack(rows)


def normal(*shape, spread=1.0, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return spread * torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def inputs(separate, spread, graphs=()):
    tensors = [normal(*graphs, H, M, D, spread=spread), normal(150, H, D, spread=spread, seed=1)]
    tensors.append(normal(150, H, E))
    if separate:
        tensors += [normal(150, H, F, spread=spread), normal(H, M, F, seed=2)]
    return [t.requires_grad_() for t in tensors]


def attend(tensors, **options):
    query, key, value, *pair = tensors
    named = dict(zip(("decode_query", "decode_key"), pair, strict=False))
    return flare_causal_attention(query, key, value, scale=0.7, **named, **options)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("separate", "spread", "graphs"), [(0, 1, ()), (1, 8, ()), (0, 8, (4,))])
def test_values_and_gradients(backend, separate, spread, graphs):
    tensors = inputs(separate, spread, graphs)
    want = expected(*tensors)
    got = attend(tensors, ptr=PTR, backend=backend)
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)
    grad = normal(150, H, E, seed=3)
    grads = zip(
        torch.autograd.grad(got, tensors, grad),
        torch.autograd.grad(want, tensors, grad),
        strict=True,
    )
    for ours, theirs in grads:
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("chunk_size", [1, 16, 37, 200])
def test_chunk_size_changes_nothing(chunk_size):
    tensors = inputs(True, 4.0)
    got = attend(tensors, ptr=PTR, backend="reference", chunk_size=chunk_size)
    torch.testing.assert_close(got, attend(tensors, ptr=PTR, backend="numba"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_later_tokens_continue_from_the_state(backend):
    query, key, value = normal(H, M, D), normal(90, H, D), normal(90, H, E)
    whole, last = flare_causal_attention(
        query, key, value, ptr=torch.tensor([0, 90]), return_state=True, backend=backend
    )
    parts, state = [], None
    for start, stop in ((0, 50), (50, 50), (50, 51), (51, 90)):
        tensors = query, key[start:stop], value[start:stop]
        part, state = flare_causal_attention(
            *tensors, ptr=torch.tensor([0, stop - start]), state=state, return_state=True,
            backend=backend,
        )  # fmt: skip
        state = CausalState(*(t.clone() for t in state))
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-12, atol=1e-13)
    for got, want in zip(state, last, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("backend", BACKENDS)
def test_masked_tokens_change_nothing_and_give_zero(backend):
    query, key, value = normal(H, M, D), normal(2, H, 70, D), normal(2, H, 70, E)
    mask = torch.rand(2, 70, generator=torch.Generator().manual_seed(0)) > 0.4
    mask[0, :3] = False  # padding on the left
    hidden = ~mask[:, None, :, None]
    tensors = key.masked_fill(hidden, torch.nan), value.masked_fill(hidden, torch.nan)
    tensors = [query, *tensors]
    for tensor in tensors:
        tensor.requires_grad_()
    got = flare_causal_attention(*tensors, mask=mask, backend=backend)
    assert not got[hidden.expand_as(got)].any()
    for b in range(2):
        rows = [t[b, :, mask[b]].transpose(0, 1) for t in (key, value)]
        one = torch.tensor([0, len(rows[0])])
        want = expected(query, *rows, ptr=one, scale=1.0)
        torch.testing.assert_close(got[b, :, mask[b]].transpose(0, 1), want)
    grads = torch.autograd.grad(got.sum(), tensors)
    assert all(torch.isfinite(g).all() for g in grads)
    assert not any(g[hidden.expand_as(g)].any() for g in grads[1:])


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_token_sees_a_later_one(backend):
    tensors = inputs(False, 1.0)
    out = attend(tensors, ptr=PTR, backend=backend)
    grads = torch.autograd.grad(out[40].sum(), tensors[1:])
    assert all(not g[41:].any() and g[:41].any() for g in grads)


@pytest.mark.parametrize("backend", BACKENDS)
def test_float32_is_as_exact_after_many_tokens(backend):
    tensors = [normal(1, 8, 4, seed=4), normal(3000, 1, 4), normal(3000, 1, 4, seed=5) + 0.5]
    ptr = torch.tensor([0, 3000])
    want = flare_causal_attention(*tensors, ptr=ptr, backend="numba")
    got = flare_causal_attention(*(t.float() for t in tensors), ptr=ptr, backend=backend)
    assert (got - want).norm() < 1e-6 * want.norm()


def test_states_of_single_tokens_do_not_drift():
    query, key, value = normal(1, 4, 2), normal(2000, 1, 2), normal(2000, 1, 2, seed=5)
    want = flare_causal_attention(query, key, value, ptr=torch.tensor([0, 2000]))[-1]
    query, key, value = query.float(), key.float(), value.float()
    one, state = torch.tensor([0, 1]), None
    for t in range(2000):
        out, state = flare_causal_attention(
            query, key[t : t + 1], value[t : t + 1], ptr=one, state=state, return_state=True
        )
    assert (out[0] - want).norm() < 1e-6 * want.norm()


def test_last_token_of_a_bidirectional_layer():
    query, key, value = normal(H, M, D), normal(20, H, D), normal(20, H, D, seed=9)
    ptr = torch.tensor([0, 20])
    causal = flare_causal_attention(query, key, value, ptr=ptr)
    whole = flare_attention(query, key, value, ptr=ptr)
    torch.testing.assert_close(causal[-1], whole[-1])


@pytest.mark.parametrize("backend", BACKENDS)
def test_scores_that_rise_and_fall_by_hundreds(backend):
    key = torch.linspace(-400, 400, 129, dtype=torch.float64)[:, None, None].float()
    key = torch.cat([key, -key])
    value, query = normal(258, 1, 2, dtype=torch.float32), torch.ones(1, 1, 1)
    ptr = torch.tensor([0, 258])
    got = flare_causal_attention(query, key, value, ptr=ptr, backend=backend)
    want = expected(query, key, value, ptr=ptr, scale=1.0)
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype):
    tensors = [t.detach().to(dtype) for t in inputs(False, 1.0)]
    got = attend(tensors, ptr=PTR)
    assert got.dtype == dtype
    want = attend([t.double() for t in tensors], ptr=PTR)
    assert (got.double() - want).abs().max() < 2 * torch.finfo(dtype).eps


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backend": "cuda"}, "unknown backend 'cuda'"),
        ({"chunk_size": 0}, "'chunk_size' of at least 1"),
        ({"value": normal(149, H, E)}, r"'value' of shape \[150, 2, channels\]"),
        ({"value": normal(150, H, E, dtype=torch.float32)}, "'value'"),
        ({"decode_query": normal(150, H, F)}, "both 'decode_query' and 'decode_key'"),
        (
            {"decode_query": normal(150, H, F), "decode_key": normal(H, M, F + 1)},
            r"'decode_key' of shape \[2, M, 6\]",
        ),
        (
            {"state": CausalState(torch.zeros(4, H, M), torch.zeros(4, H, M, E))},
            "'state.logsumexp' torch.float64 of shape",
        ),
    ],
)
def test_bad_input(change, message):
    query, key, value = (t.detach() for t in inputs(False, 1.0))
    named = {"query": query, "key": key, "value": value, "ptr": PTR, **change}
    with pytest.raises(ValueError, match=message):
        flare_causal_attention(**named)


@pytest.mark.slow
def test_compiled():
    tensors = inputs(True, 1.0)
    compiled = torch.compile(lambda *t: attend(t, ptr=PTR, backend="numba"), fullgraph=True)
    grad = normal(150, H, E, seed=3)
    got, want = compiled(*tensors), attend(tensors, ptr=PTR)
    torch.testing.assert_close(got, want)
    grads = (torch.autograd.grad(y, tensors, grad) for y in (got, want))
    for ours, theirs in zip(*grads, strict=True):
        torch.testing.assert_close(ours, theirs)
