"""Compiled loops of the mixer's second half; ``numba_kernels`` explains the scheme.

The names are those of ``numba_encode``.
"""

import numpy as np

from flare_mesh.compiled import blocks
from flare_mesh.compiled.block_code import ROWS
from flare_mesh.compiled.jit import FAST_MAX, FAST_SUM, jit
from flare_mesh.ops.numba_tiles import ABSENT, BLOCK, tile_rows

_LARGEST = 2.0**60  # of a sum of powers that needs no shift


@jit(fastmath=FAST_MAX)
def _subtract_row_maxima(scores, padded, rows):
    """rows[j] = -max_m scores[j, m]."""
    for j in range(ROWS):
        highest = scores[j * padded]
        for m in range(padded):
            highest = max(highest, scores[j * padded + m])
        rows[j] = -highest


@jit(fastmath=FAST_SUM)
def _dot(a, b, at, count):
    total = a[at] * b[at]
    for d in range(1, count):
        total += a[at + d] * b[at + d]
    return total


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
                    rows = tile_rows(n, stop, stride, h * channels)
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
                    rows = tile_rows(n, stop, stride, h * channels)
                    blocks.prefetch(key, rows, BLOCK * stride)
                    blocks.prefetch(grad_out, rows, BLOCK * stride)
                    blocks.prefetch(out, rows, BLOCK * stride)
                    for j in range(ROWS):
                        i = min(n + j, stop - 1)
                        node_bias[j] = -lse[i * heads + h] if n + j < stop else ABSENT
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
