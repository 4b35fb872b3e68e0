"""Compiled loops of the mixer's first half; ``numba_kernels`` explains the scheme.

Names: j is one of the four nodes of a tile, m a latent (contiguous, padded to whole blocks), d a
channel, s a piece, which is one task. All arrays are flat; those over latents are [.., D, M].
``memory`` has a row for each thread, see ``numba_tiles``.
"""

from flare_mesh.compiled import blocks, softmax_blocks
from flare_mesh.compiled.block_code import ROWS
from flare_mesh.compiled.jit import jit
from flare_mesh.compiled.team import fork, next_member, next_task
from flare_mesh.ops.numba_tiles import ABSENT, BLOCK, LN2, tile_rows

SLACK = 30.0  # sums are rescaled if a score exceeds the reference by more than 30, in base 2


@jit
def _load_bias(source, n, stop, out, at):
    for j in range(ROWS):
        if n + j >= stop:
            out[at + j] = ABSENT
        elif len(source):
            out[at + j] = source[n + j]
        else:
            out[at + j] = 0


@jit
def encode(
    team, query, key, value, bias, graph, start, end, sizes, memory, sums, shift
):  # fmt: skip
    """sums[s] [H, D + 1, M] of values and ones, with the weights 2^(score - shift[s])."""
    if fork(team):
        return
    scratch = memory[next_member(team)]
    shared, heads, channels, padded = sizes
    columns, stride = blocks.columns(key), heads * channels
    node_bias = 0  # position in `scratch`
    slack = key.dtype.type(SLACK)
    s = next_task(team)
    while s < len(graph):
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
                    _load_bias(bias, n, stop, scratch, node_bias)
                    for m in range(0, padded, columns):
                        x = blocks.spread(scratch, node_bias)
                        x = blocks.add_products(x, key, rows, 1, query, q + m, padded, channels)
                        above = blocks.subtract(x, shift, top + m)
                        if n == start[s] or blocks.exceeds(above, slack):
                            softmax_blocks.raise_references(
                                x, n == start[s], sums, total + m, padded, channels + 1, shift,
                                top + m,
                            )  # fmt: skip
                            above = blocks.subtract(x, shift, top + m)
                        x = blocks.powers(above, 126)
                        blocks.scatter_products(x, value, rows, sums, total + m, padded, channels)
                        blocks.scatter_rows(x, sums, total + channels * padded + m)
        s = next_task(team)


@jit
def encode_backward(
    team, query, key, value, bias, grad_latent, delta, lse, graph, start, end, sizes, memory,
    grad_query, grad_key, grad_value, grad_bias,
):  # fmt: skip
    """P = 2^(score - lse), G = P (V dZ - delta): dV = P dZ, dK = G Q, dQ += G K."""
    if fork(team):
        return
    scratch = memory[next_member(team)]
    shared, heads, channels, padded = sizes
    columns, stride = blocks.columns(key), heads * channels
    # Positions in `scratch`.
    share, factor, zero = 0, ROWS * padded, 2 * ROWS * padded
    node_bias, added, one, ln2 = zero + ROWS, zero + 2 * ROWS, zero + 3 * ROWS, zero + 4 * ROWS
    for j in range(ROWS):
        scratch[one + j], scratch[ln2 + j] = 1, LN2
    s = next_task(team)
    while s < len(graph):
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
                    _load_bias(bias, n, stop, scratch, node_bias)
                    sums = blocks.zeros(key)
                    for m in range(0, padded, columns):
                        x = blocks.spread(scratch, node_bias)
                        x = blocks.add_products(x, key, rows, 1, query, q + m, padded, channels)
                        x = blocks.subtract(x, lse, total + m)
                        x = blocks.powers(x, 0)  # rounding may lift a score above its sum
                        blocks.store(x, scratch, share + m, padded)
                        y = blocks.differences(scratch, zero, delta, total + m)
                        y = blocks.add_products(
                            y, value, rows, 1, grad_latent, dz + m, padded, channels
                        )
                        y = blocks.multiply(x, y)
                        blocks.store(y, scratch, factor + m, padded)
                        blocks.scatter_products(y, key, rows, grad_query, dq + m, padded, channels)
                        if len(bias):
                            sums = blocks.add(sums, y)
                    blocks.store_products(
                        scratch, factor, padded, query, q, padded, channels, ln2, grad_key, rows
                    )
                    blocks.store_products(
                        scratch, share, padded, grad_latent, dz, padded, channels, one, grad_value,
                        rows,
                    )  # fmt: skip
                    if len(bias):
                        blocks.store_row_sums(sums, scratch, added)
                        for j in range(min(ROWS, stop - n)):
                            grad_bias[n + j] += scratch[added + j]
        s = next_task(team)
