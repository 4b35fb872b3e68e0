# type: ignore  # kernels are in Triton's language, which type checkers take for Python
# ruff: noqa: N803  (compile-time constants are in capitals)
"""Device code of causal linear attention on ragged batches; `triton_causal` launches it.

Chunks and slots are those of `triton_device`. The first kernel sums k v^T over each chunk, the
second replaces these sums by the ones of all chunks before it in the graph (after it, if REVERSE),
and the third goes through the tiles of a chunk in order, with the sum so far in registers. Every
sum has a fixed order and is in float32.
"""

import triton
import triton.language as tl

from flare_mesh.ops.triton_device import locate


@triton.jit
def columns(base, node, stride, left, first, W: tl.constexpr, BW: tl.constexpr, BN: tl.constexpr):
    """Columns from `first` on of the rows from `node` on, [BN, BW] in float32.

    Zeros beyond `left` rows and W columns.
    """
    row = tl.arange(0, BN)[:, None]
    column = first + tl.arange(0, BW)[None, :]
    inside = (row < left) & (column < W)
    return tl.load(base + (node + row) * stride + column, mask=inside, other=0.0).to(tl.float32)


@triton.jit(do_not_specialize=["graphs", "shift"])
def chunk_kernel(
    key, value, ptr, part, graphs, heads, shift, kn, kh, vn, vh,
    D: tl.constexpr, E: tl.constexpr, DP: tl.constexpr, BE: tl.constexpr, BN: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Sums of k v^T [D, E] over a chunk; a program has BE columns of a head."""
    BLOCKS: tl.constexpr = (E + BE - 1) // BE
    pid = tl.program_id(0)
    first = pid % BLOCKS * BE
    head = (pid // BLOCKS % heads).to(tl.int64)
    slot = pid // (BLOCKS * heads)
    _, begin, count, _ = locate(ptr, slot, graphs, shift)
    if count <= 0:
        return
    key += head * kh
    value += head * vh
    total = tl.zeros([DP, BE], tl.float32)
    for at in range(0, count, BN):
        k = columns(key, begin + at, kn, count - at, 0, D, DP, BN)
        v = columns(value, begin + at, vn, count - at, first, E, BE, BN)
        total += tl.dot(tl.trans(k), v, input_precision=PRECISION)
    d = tl.arange(0, DP)[:, None]
    e = first + tl.arange(0, BE)[None, :]
    place = part + (slot.to(tl.int64) * heads + head) * D * E + d * E + e
    tl.store(place, total, mask=(d < D) & (e < E))


@triton.jit(do_not_specialize=["shift"])
def before_kernel(part, ptr, shift, W: tl.constexpr, BW: tl.constexpr, REVERSE: tl.constexpr):
    """Replace W numbers of each chunk by their sums over the chunks before it in its graph."""
    BLOCKS: tl.constexpr = (W + BW - 1) // BW
    graph = (tl.program_id(0) // BLOCKS).to(tl.int64)
    column = tl.program_id(0) % BLOCKS * BW + tl.arange(0, BW)
    begin = tl.load(ptr + graph)
    size = tl.load(ptr + graph + 1) - begin
    slot = (begin >> shift) + graph
    chunks = ((size + (1 << shift) - 1) >> shift).to(tl.int32)
    total = tl.zeros([BW], tl.float32)
    for step in range(0, chunks):
        chunk = chunks - 1 - step if REVERSE else step
        place = part + (slot + chunk) * W + column
        own = tl.load(place, mask=column < W, other=0.0)
        tl.store(place, total, mask=column < W)
        total += own


@triton.jit(do_not_specialize=["graphs", "shift"])
def causal_kernel(
    query, key, value, ptr, before, out, graphs, heads, shift, qn, qh, kn, kh, vn, vh,
    D: tl.constexpr, E: tl.constexpr, DP: tl.constexpr, BE: tl.constexpr, BN: tl.constexpr,
    REVERSE: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Sums of (q_t k_s) v_s over s <= t (s >= t if REVERSE); a program has BE columns of a head."""
    BLOCKS: tl.constexpr = (E + BE - 1) // BE
    pid = tl.program_id(0)
    first = pid % BLOCKS * BE
    head = (pid // BLOCKS % heads).to(tl.int64)
    slot = pid // (BLOCKS * heads)
    _, begin, count, _ = locate(ptr, slot, graphs, shift)
    if count <= 0:
        return
    query += head * qh
    key += head * kh
    value += head * vh
    d = tl.arange(0, DP)[:, None]
    e = first + tl.arange(0, BE)[None, :]
    place = before + (slot.to(tl.int64) * heads + head) * D * E + d * E + e
    state = tl.load(place, mask=(d < D) & (e < E), other=0.0)
    t = tl.arange(0, BN)[:, None]
    s = tl.arange(0, BN)[None, :]
    seen = s >= t if REVERSE else s <= t
    tiles = (count + BN - 1) // BN
    for step in range(0, tiles):
        at = (tiles - 1 - step if REVERSE else step) * BN
        node = begin + at
        left = count - at
        q = columns(query, node, qn, left, 0, D, DP, BN)
        k = columns(key, node, kn, left, 0, D, DP, BN)
        v = columns(value, node, vn, left, first, E, BE, BN)
        scores = tl.where(seen, tl.dot(q, tl.trans(k), input_precision=PRECISION), 0.0)
        y = tl.dot(q, state, input_precision=PRECISION)
        y += tl.dot(scores, v, input_precision=PRECISION)
        state += tl.dot(tl.trans(k), v, input_precision=PRECISION)
        tl.store(out + ((node + t) * heads + head) * E + e, y, mask=(t < left) & (e < E))
