"""Compiled loops of the mixer's second half; ``numba_kernels`` explains the scheme.

The names are those of ``numba_encode``.
"""

from flare_mesh.compiled import blocks, softmax_blocks
from flare_mesh.compiled.block_code import ROWS
from flare_mesh.compiled.jit import jit
from flare_mesh.compiled.team import fork, next_member, next_task
from flare_mesh.ops.numba_tiles import ABSENT, BLOCK, LN2, tile_rows

_LARGEST = 2.0**60  # of a sum of powers that needs no shift


@jit
def decode(
    team, query, key, latent, padding, graph, start, end, sizes, memory, out, total, top
):  # fmt: skip
    """out = R Z for R = 2^(score - top) over the latents of each node, divided by its total."""
    if fork(team):
        return
    scratch = memory[next_member(team)]
    shared, heads, channels, padded = sizes
    columns, stride = blocks.columns(key), heads * channels
    share, node_bias = 0, ROWS * padded  # positions in `scratch`
    added = node_bias + ROWS
    largest, smallest = key.dtype.type(_LARGEST), key.dtype.type(1 / _LARGEST)
    one = key.dtype.type(1)
    s = next_task(team)
    while s < len(graph):
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
                        scratch[node_bias + j] = 0
                    for attempt in range(2):
                        sums = blocks.zeros(key)
                        for m in range(0, padded, columns):
                            x = blocks.zeros(key)
                            x = blocks.add_products(x, key, rows, 1, query, q + m, padded, channels)
                            x = blocks.add(x, blocks.differences(scratch, node_bias, padding, m))
                            x = blocks.powers(x, 126)
                            blocks.store(x, scratch, share + m, padded)
                            sums = blocks.add(sums, x)
                        blocks.store_row_sums(sums, scratch, added)
                        fits = True
                        for j in range(ROWS):
                            fits &= smallest < scratch[added + j] < largest
                        if fits or attempt:
                            break
                        highest = blocks.zeros(key)
                        highest = blocks.add_products(
                            highest, key, rows, 1, query, q, padded, channels
                        )
                        highest = blocks.add(
                            highest, blocks.differences(scratch, node_bias, padding, 0)
                        )
                        for m in range(columns, padded, columns):
                            x = blocks.zeros(key)
                            x = blocks.add_products(x, key, rows, 1, query, q + m, padded, channels)
                            x = blocks.add(x, blocks.differences(scratch, node_bias, padding, m))
                            highest = softmax_blocks.maxima(highest, x)
                        softmax_blocks.store_negative_maxima(highest, scratch, node_bias)
                    for j in range(min(ROWS, stop - n)):
                        i = (n + j) * heads + h
                        total[i], top[i] = scratch[added + j], -scratch[node_bias + j]
                    for j in range(ROWS):
                        scratch[added + j] = one / scratch[added + j]
                    blocks.store_products(
                        scratch, share, padded, latent, z, padded, channels, added, out, rows
                    )
        s = next_task(team)


@jit
def decode_backward(
    team, query, key, latent, padding, grad_out, out, lse, graph, start, end, sizes, memory,
    grad_query, grad_key, grad_latent,
):  # fmt: skip
    """R = 2^(score - lse), G = R (dY Z - <dY, Y>): dZ += R dY, dK = G Q, dQ += G K."""
    if fork(team):
        return
    scratch = memory[next_member(team)]
    shared, heads, channels, padded = sizes
    columns, stride = blocks.columns(key), heads * channels
    # Positions in `scratch`.
    factor, zero = 0, ROWS * padded
    node_bias = zero + padded
    delta, ln2 = node_bias + ROWS, node_bias + 2 * ROWS
    for j in range(ROWS):
        scratch[ln2 + j] = LN2
    s = next_task(team)
    while s < len(graph):
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
                        scratch[node_bias + j] = -lse[i * heads + h] if n + j < stop else ABSENT
                    softmax_blocks.store_negative_dots(
                        grad_out, out, rows, channels, scratch, delta
                    )
                    for m in range(0, padded, columns):
                        x = blocks.zeros(key)
                        x = blocks.add_products(x, key, rows, 1, query, q + m, padded, channels)
                        x = blocks.add(x, blocks.differences(scratch, node_bias, padding, m))
                        x = blocks.powers(x, 0)  # rounding may lift a score above its sum
                        blocks.scatter_products(
                            x, grad_out, rows, grad_latent, piece + m, padded, channels
                        )
                        y = blocks.differences(scratch, delta, scratch, zero + m)
                        y = blocks.add_products(
                            y, grad_out, rows, 1, latent, z + m, padded, channels
                        )
                        y = blocks.multiply(x, y)
                        blocks.store(y, scratch, factor + m, padded)
                        blocks.scatter_products(
                            y, key, rows, grad_query, piece + m, padded, channels
                        )
                    blocks.store_products(
                        scratch, factor, padded, query, q, padded, channels, ln2, grad_key, rows
                    )
        s = next_task(team)
