"""Compiled loops of the mixer's halves; ``numba_kernels`` explains the scheme.

Names: j is a node of a tile, m a latent (contiguous, padded), d a channel. The segments from
``first`` to ``last`` are one chunk. Arrays over latents are [.., D, M], so that the compiler
vectorises over latents.
"""

import numpy as np

from flare_mesh.compiled.jit import FAST_MAX, FAST_SUM, jit
from flare_mesh.ops.numba_exp2 import exp2

TILE = 8  # nodes; the loops below are unrolled for this number
BLOCK = 512  # nodes whose rows stay in the second-level cache during the loop over heads
SLACK = 30.0  # sums are rescaled if a score exceeds the reference by more than 30, in base 2


@jit
def _scores(rows, latents, bias, shift, tile):
    """tile[j, m] = bias[j] - shift[m] + sum_d rows[j, d] latents[d, m]; an even number of d."""
    m_count = latents.shape[1]
    for j in range(0, TILE, 4):
        for d in range(0, latents.shape[0], 2):
            a0, a1, a2, a3 = rows[j, d], rows[j + 1, d], rows[j + 2, d], rows[j + 3, d]
            b0, b1 = rows[j, d + 1], rows[j + 1, d + 1]
            b2, b3 = rows[j + 2, d + 1], rows[j + 3, d + 1]
            if d == 0:
                c0, c1, c2, c3 = bias[j], bias[j + 1], bias[j + 2], bias[j + 3]
                for m in range(m_count):
                    x, y, z = latents[0, m], latents[1, m], shift[m]
                    tile[j, m] = (c0 - z) + a0 * x + b0 * y
                    tile[j + 1, m] = (c1 - z) + a1 * x + b1 * y
                    tile[j + 2, m] = (c2 - z) + a2 * x + b2 * y
                    tile[j + 3, m] = (c3 - z) + a3 * x + b3 * y
            else:
                for m in range(m_count):
                    x, y = latents[d, m], latents[d + 1, m]
                    tile[j, m] += a0 * x + b0 * y
                    tile[j + 1, m] += a1 * x + b1 * y
                    tile[j + 2, m] += a2 * x + b2 * y
                    tile[j + 3, m] += a3 * x + b3 * y


@jit
def _exponentials(tile):
    for j in range(TILE):
        for m in range(tile.shape[1]):
            tile[j, m] = exp2(tile[j, m])


@jit
def _shares(tile):
    """2^tile, at most 1, as rounding may lift a score above its log-sum-exp."""
    zero = tile.dtype.type(0)
    for j in range(TILE):
        for m in range(tile.shape[1]):
            s = tile[j, m]
            tile[j, m] = exp2(zero if s > zero else s)


@jit
def _gather(tile, rows, sums):
    """sums[d, m] += sum_j rows[j, d] tile[j, m]."""
    for d in range(sums.shape[0]):
        r0, r1, r2, r3 = rows[0, d], rows[1, d], rows[2, d], rows[3, d]
        r4, r5, r6, r7 = rows[4, d], rows[5, d], rows[6, d], rows[7, d]
        for m in range(sums.shape[1]):
            sums[d, m] += (
                r0 * tile[0, m] + r1 * tile[1, m] + r2 * tile[2, m] + r3 * tile[3, m]
            ) + (r4 * tile[4, m] + r5 * tile[5, m] + r6 * tile[6, m] + r7 * tile[7, m])


@jit(fastmath=FAST_SUM)
def _read(tile, latents, rows):
    """rows[j, d] = sum_m tile[j, m] latents[d, m]."""
    zero = latents.dtype.type(0)
    for d in range(rows.shape[1]):
        for j in range(0, TILE, 4):
            s0 = s1 = s2 = s3 = zero
            for m in range(latents.shape[1]):
                x = latents[d, m]
                s0 += x * tile[j, m]
                s1 += x * tile[j + 1, m]
                s2 += x * tile[j + 2, m]
                s3 += x * tile[j + 3, m]
            rows[j, d], rows[j + 1, d], rows[j + 2, d], rows[j + 3, d] = s0, s1, s2, s3


@jit(fastmath=FAST_MAX)
def _largest(tile):
    top = tile[0, 0]
    for m in range(tile.shape[1]):
        high = max(max(tile[0, m], tile[1, m]), max(tile[2, m], tile[3, m]))
        higher = max(max(tile[4, m], tile[5, m]), max(tile[6, m], tile[7, m]))
        top = max(top, max(high, higher))
    return top


@jit(fastmath=FAST_MAX)
def _subtract_row_maxima(tile, top):
    for j in range(TILE):
        highest = tile[j, 0]
        for m in range(tile.shape[1]):
            highest = max(highest, tile[j, m])
        for m in range(tile.shape[1]):
            tile[j, m] -= highest
        top[j] = highest


@jit(fastmath=FAST_SUM)
def _longest(rows):
    """Largest Euclidean norm among a tile's rows."""
    most = zero = rows.dtype.type(0)
    for j in range(TILE):
        square = zero
        for d in range(rows.shape[1]):
            square += rows[j, d] * rows[j, d]
        most = max(most, square)
    return np.sqrt(most)


@jit(fastmath=FAST_SUM)
def _multiply(tile, factor, total):
    """tile *= factor; total[j] = sum_m tile[j, m]."""
    for j in range(TILE):
        added = tile.dtype.type(0)
        for m in range(tile.shape[1]):
            e = tile[j, m] * factor[j, m]
            tile[j, m] = e
            added += e
        total[j] = added


@jit
def _load(source, n, end, head, rows):
    """Rows of a tile's nodes; zeros beyond the end, which do not contribute to sums."""
    present = min(TILE, end - n)
    for j in range(present):
        for d in range(source.shape[2]):
            rows[j, d] = source[n + j, head, d]
    for j in range(present, TILE):
        for d in range(source.shape[2]):
            rows[j, d] = 0


@jit
def _load_bias(source, n, end, rows):
    for j in range(TILE):
        rows[j] = source[min(n + j, end - 1)]


@jit
def _repeat_first(tile, start):
    """tile[start:] = tile[0]; an assignment of slices takes Numba seconds to compile."""
    for j in range(start, TILE):
        for m in range(tile.shape[1]):
            tile[j, m] = tile[0, m]


@jit
def _raise_reference(tile, sums, shift, fresh):
    """Set the references to the largest scores of an unshifted tile; return the lowest one."""
    lowest = np.inf
    for m in range(shift.shape[0]):
        top = tile[0, m]
        for j in range(1, TILE):
            top = max(top, tile[j, m])
        if not fresh:
            top = max(shift[m], top)
            factor = exp2(shift[m] - top)
            for d in range(sums.shape[0]):
                sums[d, m] *= factor
        shift[m] = top
        for j in range(TILE):
            tile[j, m] -= top
        lowest = min(lowest, shift[m])
    return lowest


@jit
def encode(query, longest, key, value, bias, graph, start, end, first, last, sums, shift):
    """sums[s] [H, D + 1, M] of values and ones, with the weights 2^(score - shift[s])."""
    heads, channels, m_count = query.shape[1:]
    dtype, width = key.dtype, key.shape[2]
    tile, k = np.empty((TILE, m_count), dtype), np.zeros((TILE, channels), dtype)
    v, node_bias = np.zeros((TILE, width + 1), dtype), np.zeros(TILE, dtype)
    lowest, zero = np.empty(heads), np.zeros(m_count, dtype)
    for s in range(first, last):
        row = graph[s] if query.shape[0] > 1 else 0
        shift[s] = 0
        for block in range(start[s], end[s], BLOCK):
            stop = min(block + BLOCK, end[s])
            for h in range(heads):
                q, sum_h, shift_h = query[row, h], sums[s, h], shift[s, h]
                for n in range(block, stop, TILE):
                    _load(key, n, stop, h, k)
                    _load(value, n, stop, h, v)
                    for j in range(TILE):
                        v[j, width] = n + j < stop
                    if len(bias):
                        _load_bias(bias, n, stop, node_bias)
                    _scores(k, q, node_bias, shift_h, tile)
                    if n + TILE > stop:  # only nodes may set the reference
                        _repeat_first(tile, stop - n)
                    if n == start[s]:
                        lowest[h] = _raise_reference(tile, sum_h, shift_h, True)
                    else:
                        # As |score| <= |q| |k|, most tiles need no search for the largest score.
                        bound = longest[row, h] * _longest(k) - lowest[h]
                        if len(bias):
                            bound += node_bias.max()
                        if bound > SLACK and _largest(tile) > SLACK:
                            # Minus a far lower reference, scores have lost digits: compute again.
                            _scores(k, q, node_bias, zero, tile)
                            if n + TILE > stop:
                                _repeat_first(tile, stop - n)
                            lowest[h] = _raise_reference(tile, sum_h, shift_h, False)
                    _exponentials(tile)
                    _gather(tile, v, sum_h)


@jit
def encode_backward(
    query, key, value, bias, grad_latent, delta, lse, graph, start, end, first, last,
    grad_query, grad_key, grad_value, grad_bias,
):  # fmt: skip
    """P = 2^(score - lse), G = P (V dZ - delta): dV = P dZ, dK = G Q, dQ = G K."""
    heads, channels, m_count = query.shape[1:]
    dtype, width = key.dtype, key.shape[2]
    tile, factor = np.empty((TILE, m_count), dtype), np.empty((TILE, m_count), dtype)
    k, v = np.zeros((TILE, channels), dtype), np.zeros((TILE, channels), dtype)
    dk, dv = np.empty((TILE, channels), dtype), np.empty((TILE, channels), dtype)
    node_bias, none, total = np.zeros(TILE, dtype), np.zeros(TILE, dtype), np.empty(TILE, dtype)
    ln2 = dtype.type(np.log(2.0))
    for s in range(first, last):
        g = graph[s]
        row = g if query.shape[0] > 1 else 0
        for block in range(start[s], end[s], BLOCK):
            stop = min(block + BLOCK, end[s])
            for h in range(heads):
                q, dz, dq = query[row, h], grad_latent[g, h], grad_query[s, h]
                lse_h, delta_h = lse[g, h], delta[g, h]
                for n in range(block, stop, TILE):
                    _load(key, n, stop, h, k)
                    _load(value, n, stop, h, v)
                    if len(bias):
                        _load_bias(bias, n, stop, node_bias)
                    _scores(k, q, node_bias, lse_h, tile)
                    if n + TILE > stop:
                        _repeat_first(tile, stop - n)
                    _shares(tile)
                    _read(tile, dz, dv)
                    _scores(v, dz, none, delta_h, factor)
                    _multiply(tile, factor, total)
                    _read(tile, q, dk)
                    _gather(tile, k, dq)
                    for j in range(min(TILE, stop - n)):
                        for d in range(width):
                            grad_key[n + j, h, d] = dk[j, d] * ln2
                            grad_value[n + j, h, d] = dv[j, d]
                        if len(bias):
                            grad_bias[n + j] += total[j]


@jit
def decode(query, longest, key, latent, shift, graph, start, end, first, last, out, lse):
    """R = 2^(score - lse) over the latents of each node, out = R Z; latent has a row of ones."""
    heads, channels, m_count = query.shape[1:]
    dtype, width = key.dtype, key.shape[2]
    tile, k = np.empty((TILE, m_count), dtype), np.zeros((TILE, channels), dtype)
    y, none = np.empty((TILE, width + 1), dtype), np.zeros(TILE, dtype)
    top, ln2 = np.empty(TILE, dtype), dtype.type(np.log(2.0))
    for s in range(first, last):
        g = graph[s]
        row = g if query.shape[0] > 1 else 0
        for block in range(start[s], end[s], BLOCK):
            stop = min(block + BLOCK, end[s])
            for h in range(heads):
                q, z, shift_h = query[row, h], latent[g, h], shift[row, h]
                for n in range(block, stop, TILE):
                    _load(key, n, stop, h, k)
                    _scores(k, q, none, shift_h, tile)
                    if longest[row, h] * _longest(k) > SLACK:
                        _subtract_row_maxima(tile, top)
                    else:
                        top[:] = 0
                    _exponentials(tile)
                    _read(tile, z, y)
                    for j in range(min(TILE, stop - n)):
                        for d in range(width):
                            out[n + j, h, d] = y[j, d] / y[j, width]
                        lse[n + j, h] = ln2 * top[j] + np.log(y[j, width])


@jit
def decode_backward(
    query, key, latent, shift, grad_out, out, lse, graph, start, end, first, last,
    grad_query, grad_key, grad_latent,
):  # fmt: skip
    """R = 2^(score - lse), G = R (dY Z - <dY, Y>): dZ = R dY, dK = G Q, dQ = G K."""
    heads, channels, m_count = query.shape[1:]
    dtype, width = key.dtype, key.shape[2]
    tile, factor = np.empty((TILE, m_count), dtype), np.empty((TILE, m_count), dtype)
    k, dy = np.zeros((TILE, channels), dtype), np.zeros((TILE, channels), dtype)
    dk, none = np.empty((TILE, channels), dtype), np.zeros(m_count, dtype)
    node_bias, delta, total = np.empty(TILE, dtype), np.empty(TILE, dtype), np.empty(TILE, dtype)
    ln2, log2e = dtype.type(np.log(2.0)), dtype.type(1 / np.log(2.0))
    for s in range(first, last):
        g = graph[s]
        row = g if query.shape[0] > 1 else 0
        for block in range(start[s], end[s], BLOCK):
            stop = min(block + BLOCK, end[s])
            for h in range(heads):
                q, z, shift_h = query[row, h], latent[g, h], shift[row, h]
                dq, dz = grad_query[s, h], grad_latent[s, h]
                for n in range(block, stop, TILE):
                    _load(key, n, stop, h, k)
                    _load(grad_out, n, stop, h, dy)
                    for j in range(TILE):
                        i = min(n + j, stop - 1)
                        node_bias[j] = -log2e * lse[i, h]
                        delta[j] = 0
                        for d in range(width):
                            delta[j] -= dy[j, d] * out[i, h, d]
                    _scores(k, q, node_bias, shift_h, tile)
                    if n + TILE > stop:
                        _repeat_first(tile, stop - n)
                    _shares(tile)
                    _gather(tile, dy, dz)
                    _scores(dy, z, delta, none, factor)
                    _multiply(tile, factor, total)
                    _read(tile, q, dk)
                    _gather(tile, k, dq)
                    for j in range(min(TILE, stop - n)):
                        for d in range(width):
                            grad_key[n + j, h, d] = dk[j, d] * ln2


@jit
def add_segments(partial, graph, total):
    """total[graph[s]] += partial[s]."""
    for s in range(len(graph)):
        total[graph[s]] += partial[s]


@jit
def merge_segments(sums, shift, graph, latent, lse):
    """Log-sum-exp merge of the segments of each graph; the segments are sorted by graph."""
    count = len(graph)
    heads, m_count, channels = latent.shape[1:]
    ln2 = shift.dtype.type(np.log(2.0))
    first = 0
    while first < count:
        g = graph[first]
        last = first
        while last < count and graph[last] == g:
            last += 1
        for h in range(heads):
            for m in range(m_count):
                top = shift[first, h, m]
                for s in range(first + 1, last):
                    top = max(top, shift[s, h, m])
                total = sums.dtype.type(0)
                for s in range(first, last):
                    factor = exp2(shift[s, h, m] - top)
                    total += factor * sums[s, h, channels, m]
                    for d in range(channels):
                        latent[g, h, m, d] += factor * sums[s, h, d, m]
                for d in range(channels):
                    latent[g, h, m, d] /= total
                lse[g, h, m] = ln2 * top + np.log(total)
        first = last
