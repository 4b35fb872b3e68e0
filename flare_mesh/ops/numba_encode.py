"""Compiled loops of the mixer's first half; ``numba_kernels`` explains the scheme.

Names: j is one of the four nodes of a tile, m a latent (contiguous, padded to whole blocks), d a
channel. The pieces from ``first`` to ``last`` are one task. All arrays are flat; those over
latents are [.., D, M].
"""

import numpy as np

from flare_mesh.compiled import blocks
from flare_mesh.compiled.block_code import ROWS
from flare_mesh.compiled.jit import jit
from flare_mesh.ops.numba_exp2 import exp2
from flare_mesh.ops.numba_tiles import ABSENT, BLOCK, tile_rows

SLACK = 30.0  # sums are rescaled if a score exceeds the reference by more than 30, in base 2


@jit
def _load_bias(source, n, stop, rows):
    for j in range(ROWS):
        if n + j >= stop:
            rows[j] = ABSENT
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


@jit
def _power(x):
    return exp2(x)


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
                    rows = tile_rows(n, stop, stride, h * channels)
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
                    rows = tile_rows(n, stop, stride, h * channels)
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
