"""Compiled loops of causal FLARE on a CPU; ``causal_flare`` has the equations.

A task is one head of one sequence. It walks along the tokens with the sums of its M latents, which
stay in cache: no product of two tokens is formed. Scores are in base 2, with log2(e) and the scale
multiplied into the latents' vectors.

Names: t is a token, m a latent (contiguous), d a channel of a key, e one of a value. The sums of
2^(score - shift) and of its products with the values are ``total`` [M] and ``sums`` [E, M].
"""

import math

import numpy as np
import torch
from torch import Tensor

from flare_mesh.compiled.jit import FAST_MAX, FAST_SUM, jit
from flare_mesh.compiled.team import fork, next_task, run_tasks
from flare_mesh.ops import checks
from flare_mesh.ops.causal_operator import CHUNK
from flare_mesh.ops.numba_exp2 import exp2
from flare_mesh.ops.precision import sum_dtype

_SLACK = 30.0  # sums are rescaled if a score exceeds the shift by more than 30, in base 2
_FEW = 8  # tokens of a sequence
_BELOW = -1e30  # shift before the first token
_LOG2E, _LN2 = math.log2(math.e), math.log(2.0)


@jit
def _power(x):
    return exp2(x)


@jit
def _scores(latents, rows, t, h, out):
    for m in range(len(out)):
        out[m] = 0
    for d in range(latents.shape[0]):
        x = rows[t, h, d]
        for m in range(len(out)):
            out[m] += x * latents[d, m]


@jit(fastmath=FAST_MAX)
def _excess(score, shift):
    worst = score[0] - shift[0]
    for m in range(len(score)):
        worst = max(worst, score[m] - shift[m])
    return worst


@jit
def _raise_shift(score, shift, factor):
    """Raise the shift to the scores above it; the sums are to be multiplied by ``factor``."""
    for m in range(len(score)):
        factor[m] = 1
        if score[m] > shift[m]:
            factor[m] = _power(shift[m] - score[m])
            shift[m] = score[m]


@jit
def _multiply(total, sums, factor):
    for m in range(len(total)):
        total[m] *= factor[m]
    for e in range(sums.shape[0]):
        for m in range(len(total)):
            sums[e, m] *= factor[m]


@jit
def _add_token(score, shift, value, t, h, total, sums, weight):
    """Add a token to the sums, with the weight 2^(score - shift)."""
    for m in range(len(score)):
        weight[m] = _power(score[m] - shift[m])
        total[m] += weight[m]
    for e in range(sums.shape[0]):
        x = value[t, h, e]
        for m in range(len(score)):
            sums[e, m] += x * weight[m]


@jit(fastmath=FAST_SUM)
def _softmax(score, out):
    top = score[0]
    for m in range(len(score)):
        top = max(top, score[m])
    norm = score[0] * 0
    for m in range(len(score)):
        out[m] = _power(score[m] - top)
        norm += out[m]
    for m in range(len(score)):
        out[m] /= norm


@jit
def _move(total, sums, more_total, more):
    """Add the sums ``more`` to the others, and set them to zero."""
    for m in range(len(total)):
        total[m] += more_total[m]
        more_total[m] = 0
    for e in range(sums.shape[0]):
        for m in range(len(total)):
            sums[e, m] += more[e, m]
            more[e, m] = 0


@jit(fastmath=FAST_SUM)
def _dot(a, b):
    result = a[0] * 0
    for m in range(len(a)):
        result += a[m] * b[m]
    return result


@jit
def forward(
    team, query, key, value, decode_query, decode_key, valid, ptr, shared, shift, total, sums,
    stored, stored_at, out,
):  # fmt: skip
    """Outputs of the tokens, and the final sums in place of the initial ones.

    The tokens of a chunk have sums of their own: a long sequence is not rounded at each token.
    """
    if fork(team):
        return
    heads, _, latents = query.shape[1:]
    score, decode = np.empty(latents, key.dtype), np.empty(latents, key.dtype)
    weight, factor = np.empty(latents, key.dtype), np.empty(latents, key.dtype)
    task = next_task(team)
    while task < heads * (len(ptr) - 1):
        b, h = task // heads, task % heads
        q = query[0 if query.shape[0] == 1 else b, h]
        u = decode_key[0 if decode_key.shape[0] == 1 else b, h]
        top, count, z = shift[b, h], total[b, h], sums[b, h]
        recent_count, recent = np.zeros(latents, key.dtype), np.zeros(z.shape, key.dtype)
        for t in range(ptr[b], ptr[b + 1]):
            place = t - ptr[b]
            if place % CHUNK == 0:
                _move(count, z, recent_count, recent)
            if len(stored) and place % CHUNK == 0:
                state = stored[stored_at[b] + place // CHUNK, h]
                for m in range(latents):
                    state[0, m], state[1, m] = top[m], count[m]
                for e in range(z.shape[0]):
                    for m in range(latents):
                        state[2 + e, m] = z[e, m]
            if len(valid) and not valid[t]:
                for e in range(z.shape[0]):
                    out[t, h, e] = 0
                continue
            _scores(q, key, t, h, score)
            if _excess(score, top) > _SLACK:
                _raise_shift(score, top, factor)
                _multiply(count, z, factor)
                _multiply(recent_count, recent, factor)
            _add_token(score, top, value, t, h, recent_count, recent, weight)
            if not shared:
                _scores(u, decode_query, t, h, score)
            _softmax(score, decode)
            for m in range(latents):
                decode[m] /= count[m] + recent_count[m]
            for e in range(z.shape[0]):
                out[t, h, e] = _dot(decode, z[e]) + _dot(decode, recent[e])
        _move(count, z, recent_count, recent)
        task = next_task(team)


@jit
def backward(
    team, grad, query, key, value, decode_query, decode_key, valid, ptr, shared, stored,
    stored_at, grad_query, grad_key, grad_value, grad_decode_query, grad_decode_key,
):  # fmt: skip
    """Gradients, by a walk back along the tokens; the latents of a chunk are computed again."""
    if fork(team):
        return
    heads, channels, latents = query.shape[1:]
    width = value.shape[2]
    shape = (CHUNK, latents)
    decode, product = np.empty(shape, key.dtype), np.empty(shape, key.dtype)
    weight, decay = np.empty(shape, key.dtype), np.empty(shape, key.dtype)
    score, slope = np.empty(latents, key.dtype), np.empty(latents, key.dtype)
    inner, factor = np.empty(latents, key.dtype), np.empty(latents, key.dtype)
    top, count = np.empty(latents, key.dtype), np.empty(latents, key.dtype)
    z = np.empty((width, latents), key.dtype)
    task = next_task(team)
    while task < heads * (len(ptr) - 1):
        b, h = task // heads, task % heads
        q = query[0 if query.shape[0] == 1 else b, h]
        u = decode_key[0 if decode_key.shape[0] == 1 else b, h]
        dq, du = grad_query[b, h], grad_decode_key[b, h]
        # Of the later tokens: the gradient for the latents, and its product with them.
        later, later_product = np.zeros((width, latents), key.dtype), np.zeros(latents, key.dtype)
        length = ptr[b + 1] - ptr[b]
        for chunk in range((length + CHUNK - 1) // CHUNK - 1, -1, -1):
            begin = ptr[b] + chunk * CHUNK
            size = min(CHUNK, ptr[b + 1] - begin)
            state = stored[stored_at[b] + chunk, h]
            for m in range(latents):
                top[m], count[m] = state[0, m], state[1, m]
            for e in range(width):
                for m in range(latents):
                    z[e, m] = state[2 + e, m]
            for i in range(size):
                t = begin + i
                if len(valid) and not valid[t]:
                    continue
                _scores(q, key, t, h, score)
                if _excess(score, top) > _SLACK:
                    _raise_shift(score, top, factor)
                    _multiply(count, z, factor)
                for m in range(latents):
                    decay[i, m] = count[m]
                _add_token(score, top, value, t, h, count, z, weight[i])
                for m in range(latents):
                    decay[i, m] /= count[m]
                    weight[i, m] /= count[m]
                if not shared:
                    _scores(u, decode_query, t, h, score)
                _softmax(score, decode[i])
                for m in range(latents):
                    product[i, m] = 0
                for e in range(width):
                    x = grad[t, h, e]
                    for m in range(latents):
                        product[i, m] += x * z[e, m]
                for m in range(latents):
                    product[i, m] /= count[m]
            for i in range(size - 1, -1, -1):
                t = begin + i
                if len(valid) and not valid[t]:
                    for d in range(channels):
                        grad_key[t, h, d] = 0
                    for e in range(width):
                        grad_value[t, h, e] = 0
                    if not shared:
                        for d in range(u.shape[0]):
                            grad_decode_query[t, h, d] = 0
                    continue
                mean = _dot(decode[i], product[i])
                for m in range(latents):
                    later_product[m] += decode[i, m] * product[i, m]
                    inner[m] = 0
                for e in range(width):
                    x, v = grad[t, h, e], value[t, h, e]
                    line = later[e]
                    for m in range(latents):
                        line[m] += x * decode[i, m]
                        inner[m] += v * line[m]
                    grad_value[t, h, e] = _dot(weight[i], line)
                    for m in range(latents):
                        line[m] *= decay[i, m]
                for m in range(latents):
                    slope[m] = weight[i, m] * (inner[m] - later_product[m])
                    later_product[m] *= decay[i, m]
                    # Of the decode scores, in place of the shares.
                    decode[i, m] *= product[i, m] - mean
                if shared:
                    for m in range(latents):
                        slope[m] += decode[i, m]
                else:
                    for d in range(u.shape[0]):
                        x = decode_query[t, h, d]
                        for m in range(latents):
                            du[d, m] += x * decode[i, m]
                        grad_decode_query[t, h, d] = _dot(decode[i], u[d])
                for d in range(channels):
                    x = key[t, h, d]
                    for m in range(latents):
                        dq[d, m] += x * slope[m]
                    grad_key[t, h, d] = _dot(slope, q[d])
        task = next_task(team)


def _latents(tensor: Tensor, dtype: torch.dtype, factor: float) -> np.ndarray:
    """[B, H, M, D] or [1, H, M, D] as [.., D, M], multiplied by ``factor``."""
    return (tensor.detach().to(dtype) * factor).transpose(-1, -2).contiguous().numpy()


def _rows(tensor: Tensor, dtype: torch.dtype) -> np.ndarray:
    return tensor.detach().to(dtype).contiguous().numpy()


def _arguments(query, key, value, decode_query, decode_key, valid, ptr, scale, dtype):
    """The first arguments of both loops, and the number of each sequence's first stored state."""
    checks.check_ptr(ptr)
    # Compiled code has no other check, and the loops would read beyond the arrays.
    checks.check_offsets(ptr.tolist(), len(key))
    q, k, v = _latents(query, dtype, scale * _LOG2E), _rows(key, dtype), _rows(value, dtype)
    qd, kd = k, q
    if decode_query is not None:
        qd, kd = _rows(decode_query, dtype), _latents(decode_key, dtype, scale * _LOG2E)
    is_valid = np.empty(0, np.bool_) if valid is None else valid.numpy()
    offsets = ptr.numpy()
    return (q, k, v, qd, kd, is_valid, offsets), offsets[:-1] // CHUNK + np.arange(len(ptr) - 1)


def causal(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    decode_query: Tensor | None,
    decode_key: Tensor | None,
    valid: Tensor | None,
    ptr: Tensor,
    lse: Tensor,
    latent: Tensor,
    scale: float,
    store: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Outputs [N, H, E], the state after the last tokens, and what the backward pass needs.

    The state is in float64, and so is the computation of few tokens: otherwise each call would
    round the state of a long sequence.

    Shapes: query [1 or B, H, M, D], key [N, H, D], value [N, H, E], decode_query [N, H, F],
    decode_key [1 or B, H, M, F], valid [N], ptr [B + 1], lse [B, H, M], latent [B, H, M, E].
    """
    dtype, (graphs, heads, latents) = sum_dtype(key), lse.shape
    few = len(key) <= _FEW * graphs and not store
    if few:
        dtype = torch.float64
    arguments, first = _arguments(
        query, key, value, decode_query, decode_key, valid, ptr, scale, dtype
    )
    started = torch.isfinite(lse)
    shift = torch.where(started, lse * _LOG2E, _BELOW).to(dtype).contiguous()
    total = started.to(dtype)
    sums = (latent * started[..., None]).to(dtype).transpose(-1, -2).contiguous()
    # At least as many chunks as the sequences have.
    count = len(key) // CHUNK + graphs if store else 0
    stored = torch.empty((count, heads, value.shape[2] + 2, latents), dtype=dtype)
    out = torch.empty(value.shape, dtype=dtype)
    outputs = [t.numpy() for t in (shift, total, sums, stored)]
    outputs += [first, out.numpy()]
    shared = decode_query is None
    run_tasks(forward, 1 if few else graphs * heads, *arguments, shared, *outputs)
    total, shift, sums = total.double(), shift.double(), sums.double()
    new_lse = torch.where(total > 0, total.log() + shift * _LN2, -torch.inf)
    new_latent = (sums / torch.where(total > 0, total, 1.0)[:, :, None]).transpose(-1, -2)
    return out.to(value.dtype), new_lse, new_latent.contiguous(), stored, stored.new_empty(0)


def causal_backward(
    grad: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    decode_query: Tensor | None,
    decode_key: Tensor | None,
    valid: Tensor | None,
    ptr: Tensor,
    out: Tensor,
    stored: Tensor,
    norm: Tensor,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients for query, key, value, decode_query and decode_key; the last two may be empty.

    The outputs and ``norm`` belong to the Triton kernels.
    """
    dtype, (heads, latents, channels) = sum_dtype(key), query.shape[1:]
    arguments, first = _arguments(
        query, key, value, decode_query, decode_key, valid, ptr, scale, dtype
    )
    graphs, shared = len(ptr) - 1, decode_query is None
    dk, dv = torch.empty(key.shape, dtype=dtype), torch.empty(value.shape, dtype=dtype)
    dq = torch.zeros((graphs, heads, channels, latents), dtype=dtype)
    ddq, ddk = dk[:0], dq
    if decode_query is not None:
        ddq = torch.empty(decode_query.shape, dtype=dtype)
        ddk = torch.zeros((graphs, heads, decode_query.shape[2], latents), dtype=dtype)
    outputs = [t.numpy() for t in (dq, dk, dv, ddq, ddk)]
    grad_rows, states = _rows(grad, dtype), stored.numpy()
    run_tasks(backward, graphs * heads, grad_rows, *arguments, shared, states, first, *outputs)
    # The scores in base 2 have the slope log2(e), which ln 2 of the powers cancels.
    results = []
    for latent_grad, given in ((dq, query), (ddk, decode_key)):
        if given is None:
            results.append(dq[:0])
            continue
        latent_grad = latent_grad.transpose(-1, -2) * scale
        results.append(latent_grad.sum(0, keepdim=True) if len(given) == 1 else latent_grad)
    # Rows were multiplied by latents that hold log2(e).
    return results[0], dk * _LN2, dv, ddq * _LN2, results[1]
