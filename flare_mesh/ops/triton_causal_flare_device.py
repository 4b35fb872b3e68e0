# type: ignore  # kernels are in Triton's language, which type checkers take for Python
# ruff: noqa: N803  (compile-time constants are in capitals)
"""Device code of causal FLARE on ragged batches; `triton_causal_flare` launches it.

Chunks and slots are those of `triton_device`. A record of the past of a chunk or tile has, for each
latent m of a head, the sums [M, E] of 2^(score - peak) times the values, the peak [M] (a score in
base 2) and the mass [M], the sum of 2^(score - peak). The first kernel makes the records of single
chunks, the second one merges those before each chunk, and the third goes through the tiles of a
chunk with the record so far in registers.

In a tile token t has the weight W[t, s] = sum_m P[t, m] 2^(score[s, m] - L[t, m]) for token s <= t,
with the decode weights P and the log-sum-exps L. It is a product of two matrices: 2^(score - top),
and P 2^(top - L), where `top` is the largest score so far. No exponent is positive: the second
factor is P divided by the mass relative to `top`. If that mass could be below 2^-SLACK, because
scores rise steeply, `group` shares `top` among fewer tokens, down to one, whose mass is at least 1.

A program has a block of the latents of a head. The first kernel makes the log-sum-exps of the
decode scores too, which the softmax over all blocks needs. Sums over the blocks are left to torch.

Cost of a token in a head with M latents and D channels: forward 4 M exponentials, 5 M D products
and 10 D bytes of half-precision rows; backward 5 M, 13 M D and 22 D bytes. The records of chunks of
256 tokens add M D / 16 bytes forward. N = 1M, C = 64, H = 8, M = 64 in bf16 on an H200 (132 SMs,
1.75 GHz, 4.8 TB/s): 2.05e9 exponentials forward, 16 per clock and SM, take 0.55 ms, and 1.0 GB take
0.21 ms; the merge of 4,096 chunks of one sequence, one after another, some 0.4 ms.
"""

import triton
import triton.language as tl

from flare_mesh.ops.triton_device import locate

SLACK = tl.constexpr(60.0)
NOTHING = tl.constexpr(-1e30)  # peak without tokens: finite, so that no difference is NaN
LOG2E = tl.constexpr(1.4426950408889634)
LN2 = tl.constexpr(0.6931471805599453)


@triton.jit
def kept(valid, node, left, BN: tl.constexpr, MASKED: tl.constexpr):
    """Which of BN tokens from `node` on exist and are valid."""
    row = tl.arange(0, BN)
    keep = row < left
    if MASKED:
        keep = keep & (tl.load(valid + node + row, mask=keep, other=0) != 0)
    return keep


@triton.jit
def rows(base, node, stride, keep, W: tl.constexpr, BW: tl.constexpr, BN: tl.constexpr):
    """Rows from `node` on, [BN, BW], with zeros for other tokens and beyond W columns."""
    row = tl.arange(0, BN)[:, None]
    column = tl.arange(0, BW)[None, :]
    inside = keep[:, None] & (column < W)
    return tl.load(base + (node + row) * stride + column, mask=inside, other=0.0)


@triton.jit
def latents(base, m, sm, sd, M: tl.constexpr, D: tl.constexpr, DP: tl.constexpr):
    """Vectors of the latents `m`, [BM, DP], with zeros beyond M of them and D columns."""
    column = tl.arange(0, DP)[None, :]
    inside = (m[:, None] < M) & (column < D)
    return tl.load(base + m[:, None] * sm + column * sd, mask=inside, other=0.0)


@triton.jit
def load_record(base, m, M: tl.constexpr, E: tl.constexpr, EP: tl.constexpr):
    """Sums [BM, EP], peak and mass [BM] of the latents `m`; nothing beyond M of them."""
    sums = latents(base, m, E, 1, M, E, EP)
    peak = tl.load(base + M * E + m, mask=m < M, other=NOTHING)
    mass = tl.load(base + M * E + M + m, mask=m < M, other=0.0)
    return sums, peak, mass


@triton.jit
def store_record(base, m, sums, peak, mass, M: tl.constexpr, E: tl.constexpr, EP: tl.constexpr):
    """Write what `load_record` reads."""
    column = tl.arange(0, EP)[None, :]
    inside = (m[:, None] < M) & (column < E)
    tl.store(base + m[:, None] * E + column, sums, mask=inside)
    tl.store(base + M * E + m, peak, mask=m < M)
    tl.store(base + M * E + M + m, mass, mask=m < M)


@triton.jit
def part_of(pid, ptr, heads, graphs, shift, BLOCKS: tl.constexpr):
    """Block of latents, head and slot of a program, and the nodes of the slot's chunk."""
    block = (pid % BLOCKS).to(tl.int64)
    head = (pid // BLOCKS % heads).to(tl.int64)
    slot = pid // (BLOCKS * heads)
    graph, begin, count, _ = locate(ptr, slot, graphs, shift)
    return block, head, slot, graph, begin, count


@triton.jit
def scores(
    key, read, q, u, node, keep, kn, rn, factor, D: tl.constexpr, F: tl.constexpr,
    DP: tl.constexpr, FP: tl.constexpr, BN: tl.constexpr, SHARED: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Keys and decode queries of a tile, and their scores [BN, BM] in base 2.

    Those of the encode are -inf where `keep` is not.
    """
    k = rows(key, node, kn, keep, D, DP, BN)
    decode = tl.dot(k, tl.trans(q), input_precision=PRECISION) * factor
    score = tl.where(keep[:, None], decode, float("-inf"))
    r = k
    if not SHARED:
        r = rows(read, node, rn, keep, F, FP, BN)
        decode = tl.dot(r, tl.trans(u), input_precision=PRECISION) * factor
    return k, r, score, decode


@triton.jit
def absorb(weight, v, top, sums, peak, mass, PRECISION: tl.constexpr):
    """The record of the past after a tile with weights 2^(score - top) [BN, BM] and values."""
    decay = tl.exp2(peak - top)
    sums = sums * decay[:, None]
    sums += tl.dot(tl.trans(weight.to(v.dtype)), v, input_precision=PRECISION)
    return sums, top, mass * decay + tl.sum(weight, 0)


@triton.jit
def advance(score, v, sums, peak, mass, PRECISION: tl.constexpr):
    """The record of the past after a tile with these scores [BN, BM] and values [BN, EP]."""
    top = tl.maximum(peak, tl.max(score, 0))
    weight = tl.exp2(score - top[None, :])
    return absorb(weight, v, top, sums, peak, mass, PRECISION)


@triton.jit
def decode_weights(score, norm, m, node, keep, M: tl.constexpr, BN: tl.constexpr):
    """P [BN, BM] of scores in base 2 with their log-sum-exps `norm` [N] of a head."""
    total = tl.load(norm + node + tl.arange(0, BN), mask=keep, other=0.0)
    share = tl.exp2(score - total[:, None])
    return tl.where(keep[:, None] & (m[None, :] < M), share, 0.0)


@triton.jit
def group(score, keep, peak, mass, first, BN: tl.constexpr):
    """Tokens from `first` on that share a reference `top`, and their weights.

    `score` [BN, BM] is -inf where `keep` is not; `peak` and `mass` are those before the tile.
    Returns 2^(score - top) of the tokens so far, `top`, one over the mass of each token of the
    group (else 0), and the number of its tokens.
    """
    row = tl.arange(0, BN)
    start = tl.min(tl.where(keep & (row >= first), row, BN), 0)
    seen = (row <= start)[:, None]
    low = tl.maximum(peak, tl.max(tl.where(seen, score, NOTHING), 0))
    size = BN - first
    top = tl.maximum(peak, tl.max(tl.where(keep[:, None], score, NOTHING), 0))
    while tl.max(top - low, 0) > SLACK:
        size = size // 2
        seen = (row < tl.maximum(first + size, start + 1))[:, None]
        top = tl.maximum(peak, tl.max(tl.where(seen & keep[:, None], score, NOTHING), 0))
    size = tl.maximum(size, start + 1 - first)
    size = tl.minimum(size, BN - first)
    seen = row < first + size
    weight = tl.exp2(tl.where(seen[:, None], score, float("-inf")) - top[None, :])
    masses = tl.cumsum(weight, 0) + (mass * tl.exp2(peak - top))[None, :]
    mine = (seen & (row >= first) & keep)[:, None]
    inverse = tl.where(mine, 1.0 / tl.where(mine, masses, 1.0), 0.0)
    return weight, top, inverse, size


@triton.jit(do_not_specialize=["graphs", "nodes", "shift"])
def summary_kernel(
    query, key, value, read, read_key, valid, ptr, part, norm, factor, graphs, heads, nodes, shift,
    qb, qh, qm, qd, ub, uh, um, ud, kn, kh, vn, vh, rn, rh,
    M: tl.constexpr, D: tl.constexpr, E: tl.constexpr, F: tl.constexpr, DP: tl.constexpr,
    EP: tl.constexpr, FP: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, SHARED: tl.constexpr,
    MASKED: tl.constexpr, WORK: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Record of each chunk alone, and log-sum-exps of the decode scores over a block."""
    BLOCKS: tl.constexpr = (M + BM - 1) // BM
    pid = tl.program_id(0)
    block, head, slot, graph, begin, count = part_of(pid, ptr, heads, graphs, shift, BLOCKS)
    if count <= 0:
        return
    m = block * BM + tl.arange(0, BM)
    q = latents(query + graph * qb + head * qh, m, qm, qd, M, D, DP)
    u = q
    if not SHARED:
        u = latents(read_key + graph * ub + head * uh, m, um, ud, M, F, FP)
    sums = tl.zeros([BM, EP], tl.float32)
    peak = tl.full([BM], NOTHING, tl.float32)
    mass = tl.zeros([BM], tl.float32)
    row = tl.arange(0, BN)
    for at in range(0, count, BN):
        node = begin + at
        keep = kept(valid, node, count - at, BN, MASKED)
        _, _, score, decode = scores(
            key + head * kh, read + head * rh, q, u, node, keep, kn, rn, factor,
            D, F, DP, FP, BN, SHARED, PRECISION,
        )  # fmt: skip
        v = rows(value + head * vh, node, vn, keep, E, EP, BN).to(WORK)
        sums, peak, mass = advance(score, v, sums, peak, mass, PRECISION)
        decode = tl.where(m[None, :] < M, decode, float("-inf"))
        top = tl.max(decode, 1)
        total = top + tl.log2(tl.sum(tl.exp2(decode - top[:, None]), 1))
        tl.store(norm + (block * heads + head) * nodes + node + row, total, mask=row < count - at)
    base = part + (slot.to(tl.int64) * heads + head) * (M * (E + 2))
    store_record(base, m, sums, peak, mass, M, E, EP)


@triton.jit(do_not_specialize=["shift"])
def before_kernel(
    part, ptr, lse, latent, before, new_lse, new_latent, heads, shift,
    M: tl.constexpr, E: tl.constexpr, CHUNKS: tl.constexpr, BE: tl.constexpr,
):  # fmt: skip
    """Records of all that is before each chunk, and the state after the last one.

    A program has BE of the sums of a head and goes through the chunks of a graph, CHUNKS of which
    it loads at a time. The running sums are in float64.
    """
    BLOCKS: tl.constexpr = (M * E + BE - 1) // BE
    W: tl.constexpr = M * (E + 2)
    pid = tl.program_id(0)
    place = pid % BLOCKS * BE + tl.arange(0, BE)
    head = (pid // BLOCKS % heads).to(tl.int64)
    graph = (pid // (BLOCKS * heads)).to(tl.int64)
    inside = place < M * E
    m = place // E
    of_m = inside & (place % E == 0)  # once for each latent

    begin = tl.load(ptr + graph)
    size = tl.load(ptr + graph + 1) - begin
    slot = (begin >> shift) + graph
    chunks = ((size + (1 << shift) - 1) >> shift).to(tl.int32)
    state = (graph * heads + head) * M
    log_sum = tl.load(lse + state + m, mask=inside, other=float("-inf")) * LOG2E
    some = log_sum > NOTHING
    peak = tl.where(some, log_sum, NOTHING).to(tl.float32)
    # What float32 rounds off the log-sum-exp goes into the mass.
    mass = tl.where(some, tl.exp2(tl.where(some, log_sum - peak.to(tl.float64), 0.0)), 0.0)
    total = tl.load(latent + state * E + place, mask=inside, other=0.0) * mass
    chunk = tl.arange(0, CHUNKS)[:, None]
    for first in range(0, chunks, CHUNKS):
        base = part + ((slot + first + chunk) * heads + head) * W
        mask = (first + chunk < chunks) & inside[None, :]
        sums = tl.load(base + place[None, :], mask=mask, other=0.0)
        peaks = tl.load(base + M * E + m[None, :], mask=mask, other=0.0)
        masses = tl.load(base + M * E + M + m[None, :], mask=mask, other=0.0)
        for now in range(0, tl.minimum(CHUNKS, chunks - first)):
            out = before + ((slot + first + now) * heads + head) * W
            tl.store(out + place, total.to(tl.float32), mask=inside)
            tl.store(out + M * E + m, peak, mask=of_m)
            tl.store(out + M * E + M + m, mass.to(tl.float32), mask=of_m)
            here = chunk == now
            own_peak = tl.sum(tl.where(here, peaks, 0.0), 0)
            new = tl.maximum(peak, own_peak)
            decay = tl.exp2(peak - new).to(tl.float64)
            share = tl.exp2(own_peak - new).to(tl.float64)
            mass = mass * decay + share * tl.sum(tl.where(here, masses, 0.0), 0).to(tl.float64)
            total = total * decay + share * tl.sum(tl.where(here, sums, 0.0), 0).to(tl.float64)
            peak = new
    some = mass > 0
    mass = tl.where(some, mass, 1.0)
    tl.store(new_latent + state * E + place, total / mass, mask=inside)
    log_sum = (peak.to(tl.float64) + tl.log2(mass)) * LN2
    tl.store(new_lse + state + m, tl.where(some, log_sum, float("-inf")), mask=of_m)


@triton.jit(do_not_specialize=["graphs", "nodes", "shift"])
def output_kernel(
    query, key, value, read, read_key, valid, ptr, before, norm, out, factor, graphs, heads, nodes,
    shift, qb, qh, qm, qd, ub, uh, um, ud, kn, kh, vn, vh, rn, rh,
    M: tl.constexpr, D: tl.constexpr, E: tl.constexpr, F: tl.constexpr, DP: tl.constexpr,
    EP: tl.constexpr, FP: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, SHARED: tl.constexpr,
    MASKED: tl.constexpr, WORK: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Outputs of the tokens, [BLOCKS, N, H, E] of which each block of latents has its part."""
    BLOCKS: tl.constexpr = (M + BM - 1) // BM
    pid = tl.program_id(0)
    block, head, slot, graph, begin, count = part_of(pid, ptr, heads, graphs, shift, BLOCKS)
    if count <= 0:
        return
    m = block * BM + tl.arange(0, BM)
    q = latents(query + graph * qb + head * qh, m, qm, qd, M, D, DP)
    u = q
    if not SHARED:
        u = latents(read_key + graph * ub + head * uh, m, um, ud, M, F, FP)
    base = before + (slot.to(tl.int64) * heads + head) * (M * (E + 2))
    sums, peak, mass = load_record(base, m, M, E, EP)
    row = tl.arange(0, BN)
    column = tl.arange(0, EP)[None, :]
    for at in range(0, count, BN):
        node = begin + at
        keep = kept(valid, node, count - at, BN, MASKED)
        _, _, score, decode = scores(
            key + head * kh, read + head * rh, q, u, node, keep, kn, rn, factor,
            D, F, DP, FP, BN, SHARED, PRECISION,
        )  # fmt: skip
        v = rows(value + head * vh, node, vn, keep, E, EP, BN).to(WORK)
        p = decode_weights(decode, norm + head * nodes, m, node, keep, M, BN)

        pairs = tl.zeros([BN, BN], tl.float32)
        old = tl.zeros([BN, BM], tl.float32)
        weight = tl.zeros([BN, BM], tl.float32)
        top = peak
        first = 0
        while first < BN:
            weight, top, inverse, size = group(score, keep, peak, mass, first, BN)
            share = p * inverse
            pairs += tl.dot(share.to(WORK), tl.trans(weight.to(WORK)), input_precision=PRECISION)
            old += share * tl.exp2(peak - top)[None, :]
            first += size
        pairs = tl.where(row[None, :] <= row[:, None], pairs, 0.0)
        y = tl.dot(pairs.to(WORK), v, input_precision=PRECISION)
        y += tl.dot(old.to(WORK), sums.to(WORK), input_precision=PRECISION)
        place = ((block * nodes + node + row[:, None]) * heads + head) * E + column
        inside = (row[:, None] < count - at) & (column < E)
        tl.store(out + place, y.to(out.dtype.element_ty), mask=inside)

        # The last group has the weights of all tokens of the tile.
        sums, peak, mass = absorb(weight, v, top, sums, peak, mass, PRECISION)
