"""Compiled loops of the mixer's halves; ``numba_kernels`` explains the scheme.

Names: j is one of the four nodes of a tile, m a latent (contiguous, padded to whole blocks), d a
channel. The pieces from ``first`` to ``last`` are one task. All arrays are flat; those over
latents are [.., D, M].
"""

import numpy as np

from flare_mesh.compiled import blocks
from flare_mesh.compiled.blocks import ROWS
from flare_mesh.compiled.jit import FAST_MAX, FAST_SUM, jit
from flare_mesh.ops.numba_exp2 import exp2

BLOCK = 256  # nodes whose rows stay in the second-level cache during the loop over heads
SLACK = 30.0  # sums are rescaled if a score exceeds the reference by more than 30, in base 2
_ABSENT = -3e38  # score of the rows beyond the last node
_LARGEST = 2.0**60  # of a sum of powers that needs no shift


@jit
def _rows(n, stop, stride, head):
    """Positions of a tile's rows; the last node again beyond the end."""
    last = stop - 1
    return (
        min(n, last) * stride + head,
        min(n + 1, last) * stride + head,
        min(n + 2, last) * stride + head,
        min(n + 3, last) * stride + head,
    )


@jit
def _load_bias(source, n, stop, rows):
    for j in range(ROWS):
        if n + j >= stop:
            rows[j] = _ABSENT
        elif len(source):
            rows[j] = source[n + j]
        else:
            rows[j] = 0


@jit
def _raise_reference(scores, width, sums, at, stride, count, shift, shift_at, fresh):
    """Raise the references of a block's latents to its largest scores, and rescale the sums."""
    for m in range(width):
        top = max(
            max(scores[m], scores[width + m]), max(scores[2 * width + m], scores[3 * width + m])
        )
        if not fresh:
            top = max(shift[shift_at + m], top)
            factor = _power(shift[shift_at + m] - top)
            for d in range(count):
                sums[at + d * stride + m] *= factor
        shift[shift_at + m] = top


@jit(fastmath=FAST_MAX)
def _subtract_row_maxima(scores, padded, rows):
    """rows[j] = -max_m scores[j, m]."""
    for j in range(ROWS):
        highest = scores[j * padded]
        for m in range(padded):
            highest = max(highest, scores[j * padded + m])
        rows[j] = -highest


@jit
def _power(x):
    return exp2(x)


@jit(fastmath=FAST_SUM)
def _dot(a, b, at, count):
    total = a[at] * b[at]
    for d in range(1, count):
        total += a[at + d] * b[at + d]
    return total


@jit
def encode(
    query, key, value, bias, graph, start, end, first, last, sizes, sums, shift
):  # fmt: skip
    """sums[s] [H, D + 1, M] of values and ones, with the weights 2^(score - shift[s])."""
    shared, heads, channels, padded = sizes
    columns, stride = blocks.columns(key), heads * channels
    node_bias, zero = np.zeros(ROWS, key.dtype), np.zeros(padded, key.dtype)
    scores, slack = np.empty(ROWS * columns, key.dtype), key.dtype.type(SLACK)
    for s in range(first, last):
        row = 0 if shared else graph[s]
        for block in range(start[s], end[s], BLOCK):
            stop = min(block + BLOCK, end[s])
            for h in range(heads):
                q = (row * heads + h) * channels * padded
                total, top = (s * heads + h) * (channels + 1) * padded, (s * heads + h) * padded
                for n in range(block, stop, ROWS):
                    rows = _rows(n, stop, stride, h * channels)
                    blocks.prefetch(key, rows, BLOCK * stride)
                    blocks.prefetch(value, rows, BLOCK * stride)
                    _load_bias(bias, n, stop, node_bias)
                    for m in range(0, padded, columns):
                        x = blocks.differences(node_bias, 0, shift, top + m)
                        x = blocks.add_products(x, key, rows, query, q + m, padded, channels)
                        if n == start[s] or blocks.exceeds(x, slack):
                            # Minus a far lower reference, scores have lost digits.
                            x = blocks.differences(node_bias, 0, zero, 0)
                            x = blocks.add_products(x, key, rows, query, q + m, padded, channels)
                            blocks.store(x, scores, 0, columns)
                            _raise_reference(
                                scores, columns, sums, total + m, padded, channels + 1, shift,
                                top + m, n == start[s],
                            )  # fmt: skip
                            x = blocks.differences(node_bias, 0, shift, top + m)
                            x = blocks.add_products(x, key, rows, query, q + m, padded, channels)
                        x = blocks.powers(x, 126)
                        blocks.scatter_products(x, value, rows, sums, total + m, padded, channels)
                        blocks.scatter_rows(x, sums, total + channels * padded + m)


@jit
def encode_backward(
    query, key, value, bias, grad_latent, delta, lse, graph, start, end, first, last, sizes,
    grad_query, grad_key, grad_value, grad_bias,
):  # fmt: skip
    """P = 2^(score - lse), G = P (V dZ - delta): dV = P dZ, dK = G Q, dQ = G K."""
    shared, heads, channels, padded = sizes
    columns, stride = blocks.columns(key), heads * channels
    node_bias, zero = np.zeros(ROWS, key.dtype), np.zeros(ROWS, key.dtype)
    share, factor = np.empty(ROWS * padded, key.dtype), np.empty(ROWS * padded, key.dtype)
    added, one = np.empty(ROWS, key.dtype), np.ones(ROWS, key.dtype)
    ln2 = np.full(ROWS, np.log(2.0), key.dtype)
    for s in range(first, last):
        row = 0 if shared else graph[s]
        for block in range(start[s], end[s], BLOCK):
            stop = min(block + BLOCK, end[s])
            for h in range(heads):
                q = (row * heads + h) * channels * padded
                dz, total = (
                    (graph[s] * heads + h) * channels * padded,
                    (graph[s] * heads + h) * padded,
                )
                dq = (s * heads + h) * channels * padded
                for n in range(block, stop, ROWS):
                    rows = _rows(n, stop, stride, h * channels)
                    blocks.prefetch(key, rows, BLOCK * stride)
                    blocks.prefetch(value, rows, BLOCK * stride)
                    _load_bias(bias, n, stop, node_bias)
                    sums = blocks.zeros(key)
                    for m in range(0, padded, columns):
                        x = blocks.differences(node_bias, 0, lse, total + m)
                        x = blocks.add_products(x, key, rows, query, q + m, padded, channels)
                        x = blocks.powers(x, 0)  # rounding may lift a score above its sum
                        blocks.store(x, share, m, padded)
                        y = blocks.differences(zero, 0, delta, total + m)
                        y = blocks.add_products(
                            y, value, rows, grad_latent, dz + m, padded, channels
                        )
                        y = blocks.multiply(x, y)
                        blocks.store(y, factor, m, padded)
                        blocks.scatter_products(y, key, rows, grad_query, dq + m, padded, channels)
                        if len(bias):
                            sums = blocks.add(sums, y)
                    blocks.store_products(
                        factor, padded, query, q, padded, channels, ln2, grad_key, rows
                    )
                    blocks.store_products(
                        share, padded, grad_latent, dz, padded, channels, one, grad_value, rows
                    )
                    if len(bias):
                        blocks.store_row_sums(sums, added, 0)
                        for j in range(min(ROWS, stop - n)):
                            grad_bias[n + j] += added[j]


@jit
def decode(
    query, key, latent, padding, graph, start, end, first, last, sizes, out, total, top
):  # fmt: skip
    """out = R Z for R = 2^(score - top) over the latents of each node, divided by its total."""
    shared, heads, channels, padded = sizes
    columns, stride = blocks.columns(key), heads * channels
    node_bias, share = np.zeros(ROWS, key.dtype), np.empty(ROWS * padded, key.dtype)
    added = np.empty(ROWS, key.dtype)
    largest, smallest = key.dtype.type(_LARGEST), key.dtype.type(1 / _LARGEST)
    one = key.dtype.type(1)
    for s in range(first, last):
        row = 0 if shared else graph[s]
        for block in range(start[s], end[s], BLOCK):
            stop = min(block + BLOCK, end[s])
            for h in range(heads):
                q = (row * heads + h) * channels * padded
                z = (graph[s] * heads + h) * channels * padded
                for n in range(block, stop, ROWS):
                    rows = _rows(n, stop, stride, h * channels)
                    blocks.prefetch(key, rows, BLOCK * stride)
                    for j in range(ROWS):
                        node_bias[j] = 0
                    for attempt in range(2):
                        sums = blocks.zeros(key)
                        for m in range(0, padded, columns):
                            x = blocks.differences(node_bias, 0, padding, m)
                            x = blocks.add_products(x, key, rows, query, q + m, padded, channels)
                            x = blocks.powers(x, 126)
                            blocks.store(x, share, m, padded)
                            sums = blocks.add(sums, x)
                        blocks.store_row_sums(sums, added, 0)
                        fits = True
                        for j in range(ROWS):
                            fits &= smallest < added[j] < largest
                        if fits or attempt:
                            break
                        for m in range(0, padded, columns):
                            x = blocks.differences(node_bias, 0, padding, m)
                            x = blocks.add_products(x, key, rows, query, q + m, padded, channels)
                            blocks.store(x, share, m, padded)
                        _subtract_row_maxima(share, padded, node_bias)
                    for j in range(min(ROWS, stop - n)):
                        i = (n + j) * heads + h
                        total[i], top[i] = added[j], -node_bias[j]
                    for j in range(ROWS):
                        added[j] = one / added[j]
                    blocks.store_products(
                        share, padded, latent, z, padded, channels, added, out, rows
                    )


@jit
def decode_backward(
    query, key, latent, padding, grad_out, out, lse, graph, start, end, first, last, sizes,
    grad_query, grad_key, grad_latent,
):  # fmt: skip
    """R = 2^(score - lse), G = R (dY Z - <dY, Y>): dZ = R dY, dK = G Q, dQ = G K."""
    shared, heads, channels, padded = sizes
    columns, stride = blocks.columns(key), heads * channels
    node_bias, delta = np.zeros(ROWS, key.dtype), np.zeros(ROWS, key.dtype)
    factor, zero = np.empty(ROWS * padded, key.dtype), np.zeros(padded, key.dtype)
    ln2 = np.full(ROWS, np.log(2.0), key.dtype)
    for s in range(first, last):
        row = 0 if shared else graph[s]
        for block in range(start[s], end[s], BLOCK):
            stop = min(block + BLOCK, end[s])
            for h in range(heads):
                q = (row * heads + h) * channels * padded
                z = (graph[s] * heads + h) * channels * padded
                piece = (s * heads + h) * channels * padded
                for n in range(block, stop, ROWS):
                    rows = _rows(n, stop, stride, h * channels)
                    blocks.prefetch(key, rows, BLOCK * stride)
                    blocks.prefetch(grad_out, rows, BLOCK * stride)
                    blocks.prefetch(out, rows, BLOCK * stride)
                    for j in range(ROWS):
                        i = min(n + j, stop - 1)
                        node_bias[j] = -lse[i * heads + h] if n + j < stop else _ABSENT
                        delta[j] = -_dot(grad_out, out, i * stride + h * channels, channels)
                    for m in range(0, padded, columns):
                        x = blocks.differences(node_bias, 0, padding, m)
                        x = blocks.add_products(x, key, rows, query, q + m, padded, channels)
                        x = blocks.powers(x, 0)  # rounding may lift a score above its sum
                        blocks.scatter_products(
                            x, grad_out, rows, grad_latent, piece + m, padded, channels
                        )
                        y = blocks.differences(delta, 0, zero, m)
                        y = blocks.add_products(y, grad_out, rows, latent, z + m, padded, channels)
                        y = blocks.multiply(x, y)
                        blocks.store(y, factor, m, padded)
                        blocks.scatter_products(
                            y, key, rows, grad_query, piece + m, padded, channels
                        )
                    blocks.store_products(
                        factor, padded, query, q, padded, channels, ln2, grad_key, rows
                    )


@jit
def transpose(source, sizes, factor, out):
    """out[g, d, m] = factor source[g, m, d]; padding latents are left as they are."""
    latents, channels, padded = sizes
    for g in range(len(source) // (latents * channels)):
        for m in range(latents):
            for d in range(channels):
                value = source[(g * latents + m) * channels + d]
                out[(g * channels + d) * padded + m] = factor * value


@jit
def merge_gradients(partial, graph, sizes, factor, out):
    """out[graph[s], h, m, d] += factor partial[s, h, d, m]."""
    heads, latents, width, channels, padded = sizes
    for s in range(len(graph)):
        for h in range(heads):
            at = (s * heads + h) * channels * padded
            to = (graph[s] * heads + h) * latents * width
            for m in range(latents):
                for d in range(width):
                    out[to + m * width + d] += factor * partial[at + d * padded + m]


@jit
def merge_encodings(sums, shift, graph, latent, total, top):
    """Log-sum-exp merge of the pieces of each graph into its first piece; sorted by graph.

    latent [B, H, M, D]; the log-sum-exp is top + log2(total), both [B, H, M].
    """
    heads, latents, width = latent.shape[1:]
    count, (rows, padded) = len(graph), sums.shape[2:]
    first = 0
    while first < count:
        g = graph[first]
        last = first + 1
        while last < count and graph[last] == g:
            last += 1
        for h in range(heads):
            if last > first + 1:
                for m in range(padded):
                    highest = shift[first, h, m]
                    for s in range(first + 1, last):
                        highest = max(highest, shift[s, h, m])
                    factor = _power(shift[first, h, m] - highest)
                    shift[first, h, m] = highest
                    for d in range(rows):
                        sums[first, h, d, m] *= factor
                for s in range(first + 1, last):
                    for m in range(padded):
                        shift[s, h, m] = _power(shift[s, h, m] - shift[first, h, m])
                    for d in range(rows):
                        for m in range(padded):
                            sums[first, h, d, m] += shift[s, h, m] * sums[s, h, d, m]
            for m in range(latents):
                weight = sums[first, h, rows - 1, m]
                total[g, h, m], top[g, h, m] = weight, shift[first, h, m]
                for d in range(width):
                    latent[g, h, m, d] = sums[first, h, d, m] / weight
        first = last
