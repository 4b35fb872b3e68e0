# type: ignore  # kernels are in Triton's language, which type checkers take for Python
# ruff: noqa: N803  (compile-time constants are in capitals)
"""Device code of the gradient of causal FLARE; `triton_causal_flare` launches it.

With the gradients g for the outputs, the latents of token t have the gradient
G[m] = sum_{s >= t} P[s, m] e^(L[t, m] - L[s, m]) g[s], and with <g[s], Z[s, m]> in place of g[s]
this is C[m]. A record of what is later has G [M, E], C [M] and e^(L before - L after) [M]. The
first kernel makes the record of each chunk alone, the second one replaces it by what is later than
the chunk, and the third goes through the tiles of a chunk: forwards, to keep the record of the past
of each in memory of its own that it uses again for the next chunk, and then backwards. The latents
of single tokens are never formed: within a tile all is products of the matrices of
`triton_causal_flare_device`.
"""

import triton
import triton.language as tl

from flare_mesh.ops.triton_causal_flare_device import (
    absorb,
    advance,
    decode_weights,
    group,
    kept,
    latents,
    load_record,
    part_of,
    rows,
    scores,
    store_record,
)


@triton.jit
def _pairs_of_gradients(g, v, row, PRECISION: tl.constexpr):
    """<g[t], v[s]> for s <= t, else 0."""
    products = tl.dot(g, tl.trans(v), input_precision=PRECISION)
    return tl.where(row[None, :] <= row[:, None], products, 0.0)


@triton.jit(do_not_specialize=["graphs", "nodes", "shift"])
def later_kernel(
    grad, query, key, value, read, read_key, valid, ptr, before, norm, part, factor,
    graphs, heads, nodes, shift, gn, gh, qb, qh, qm, qd, ub, uh, um, ud, kn, kh, vn, vh, rn, rh,
    M: tl.constexpr, D: tl.constexpr, E: tl.constexpr, F: tl.constexpr, DP: tl.constexpr,
    EP: tl.constexpr, FP: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, SHARED: tl.constexpr,
    MASKED: tl.constexpr, WORK: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """G, C and the decay of each chunk alone."""
    BLOCKS: tl.constexpr = (M + BM - 1) // BM
    W: tl.constexpr = M * (E + 2)
    pid = tl.program_id(0)
    block, head, slot, graph, begin, count = part_of(pid, ptr, heads, graphs, shift, BLOCKS)
    if count <= 0:
        return
    m = block * BM + tl.arange(0, BM)
    q = latents(query + graph * qb + head * qh, m, qm, qd, M, D, DP)
    u = q
    if not SHARED:
        u = latents(read_key + graph * ub + head * uh, m, um, ud, M, F, FP)
    base = (slot.to(tl.int64) * heads + head) * W
    sums, peak, mass = load_record(before + base, m, M, E, EP)
    first_peak = peak
    first_mass = mass
    grad_z = tl.zeros([BM, EP], tl.float32)
    grad_c = tl.zeros([BM], tl.float32)
    row = tl.arange(0, BN)
    for at in range(0, count, BN):
        node = begin + at
        keep = kept(valid, node, count - at, BN, MASKED)
        _, _, score, decode = scores(
            key + head * kh, read + head * rh, q, u, node, keep, kn, rn, factor,
            D, F, DP, FP, BN, SHARED, PRECISION,
        )  # fmt: skip
        v = rows(value + head * vh, node, vn, keep, E, EP, BN).to(WORK)
        g = rows(grad + head * gh, node, gn, keep, E, EP, BN).to(WORK)
        p = decode_weights(decode, norm + head * nodes, m, node, keep, M, BN)

        pairs = _pairs_of_gradients(g, v, row, PRECISION).to(WORK)
        past = tl.dot(g, tl.trans(sums.to(WORK)), input_precision=PRECISION)
        share = tl.zeros([BN, BM], tl.float32)
        weight = tl.zeros([BN, BM], tl.float32)
        top = peak
        first = 0
        while first < BN:
            weight, top, inverse, size = group(score, keep, peak, mass, first, BN)
            gz = tl.dot(pairs, weight.to(WORK), input_precision=PRECISION)
            gz = inverse * (gz + past * tl.exp2(peak - top)[None, :])
            # Relative to the start of the chunk; at most P.
            now = p * inverse * (tl.exp2(first_peak - top) * first_mass)[None, :]
            grad_c += tl.sum(now * gz, 0)
            share += now
            first += size
        grad_z += tl.dot(tl.trans(share.to(WORK)), g, input_precision=PRECISION)

        sums, peak, mass = absorb(weight, v, top, sums, peak, mass, PRECISION)
    some = mass > 0
    decay = tl.exp2(first_peak - peak) * first_mass / tl.where(some, mass, 1.0)
    store_record(part + base, m, grad_z, grad_c, decay, M, E, EP)


@triton.jit(do_not_specialize=["shift"])
def after_kernel(
    part, ptr, heads, shift,
    M: tl.constexpr, E: tl.constexpr, CHUNKS: tl.constexpr, BE: tl.constexpr,
):  # fmt: skip
    """Replace G and C of each chunk by those of all that is later, relative to its end.

    A program has BE of the numbers of a head and goes backwards through the chunks of a graph,
    CHUNKS of which it loads at a time.
    """
    BLOCKS: tl.constexpr = (M * (E + 1) + BE - 1) // BE
    W: tl.constexpr = M * (E + 2)
    pid = tl.program_id(0)
    place = pid % BLOCKS * BE + tl.arange(0, BE)
    head = (pid // BLOCKS % heads).to(tl.int64)
    graph = (pid // (BLOCKS * heads)).to(tl.int64)
    inside = place < M * (E + 1)
    m = tl.where(place < M * E, place // E, place - M * E)

    begin = tl.load(ptr + graph)
    size = tl.load(ptr + graph + 1) - begin
    slot = (begin >> shift) + graph
    chunks = ((size + (1 << shift) - 1) >> shift).to(tl.int32)
    chunk = tl.arange(0, CHUNKS)[:, None]
    later = tl.zeros([BE], tl.float32)
    for first in range(0, chunks, CHUNKS):
        last = chunks - 1 - first
        base = part + ((slot + last - chunk) * heads + head) * W
        mask = (chunk <= last) & inside[None, :]
        own = tl.load(base + place[None, :], mask=mask, other=0.0)
        decays = tl.load(base + M * E + M + m[None, :], mask=mask, other=0.0)
        for now in range(0, tl.minimum(CHUNKS, last + 1)):
            tl.store(part + ((slot + last - now) * heads + head) * W + place, later, mask=inside)
            here = chunk == now
            later *= tl.sum(tl.where(here, decays, 0.0), 0)
            later += tl.sum(tl.where(here, own, 0.0), 0)


@triton.jit
def _gradient_of_chunk(
    item, own, grad, query, key, value, read, read_key, valid, ptr, before, norm, delta, part,
    grad_key, grad_value, grad_read, grad_query, grad_read_key, factor, scale,
    graphs, heads, nodes, shift, gn, gh, qb, qh, qm, qd, ub, uh, um, ud, kn, kh, vn, vh, rn, rh,
    M: tl.constexpr, D: tl.constexpr, E: tl.constexpr, F: tl.constexpr, DP: tl.constexpr,
    EP: tl.constexpr, FP: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, SHARED: tl.constexpr,
    MASKED: tl.constexpr, WORK: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Gradients of a block of latents of a head in a chunk, `item`; `own` is the memory for it."""
    BLOCKS: tl.constexpr = (M + BM - 1) // BM
    W: tl.constexpr = M * (E + 2)
    RECORD: tl.constexpr = BM * (EP + 2)
    block, head, slot, graph, begin, count = part_of(item, ptr, heads, graphs, shift, BLOCKS)
    here = tl.arange(0, BM)
    m = block * BM + here
    q = latents(query + graph * qb + head * qh, m, qm, qd, M, D, DP)
    grad_q = tl.zeros([BM, DP], tl.float32)
    u = q
    if not SHARED:
        u = latents(read_key + graph * ub + head * uh, m, um, ud, M, F, FP)
        grad_u = tl.zeros([BM, FP], tl.float32)
    base = slot.to(tl.int64) * heads + head
    sums, peak, mass = load_record(before + base * W, m, M, E, EP)
    steps = (count + BN - 1) // BN
    for step in range(0, steps):
        store_record(own + step * RECORD, here, sums, peak, mass, BM, EP, EP)
        at = step * BN
        keep = kept(valid, begin + at, count - at, BN, MASKED)
        _, _, score, _ = scores(
            key + head * kh, read, q, q, begin + at, keep, kn, rn, factor,
            D, F, DP, FP, BN, True, PRECISION,
        )  # fmt: skip
        v = rows(value + head * vh, begin + at, vn, keep, E, EP, BN).to(WORK)
        sums, peak, mass = advance(score, v, sums, peak, mass, PRECISION)
    tl.debug_barrier()  # the records are read by other threads than they were written by

    later_z, later_c, _ = load_record(part + base * W, m, M, E, EP)
    later_c = tl.where(m < M, later_c, 0.0)
    row = tl.arange(0, BN)
    column_d = tl.arange(0, DP)[None, :]
    column_e = tl.arange(0, EP)[None, :]
    column_f = tl.arange(0, FP)[None, :]
    for step in range(0, steps):
        at = (steps - 1 - step) * BN
        node = begin + at
        record = own + (steps - 1 - step) * RECORD
        sums, peak, mass = load_record(record, here, BM, EP, EP)
        keep = kept(valid, node, count - at, BN, MASKED)
        k, r, score, decode = scores(
            key + head * kh, read + head * rh, q, u, node, keep, kn, rn, factor,
            D, F, DP, FP, BN, SHARED, PRECISION,
        )  # fmt: skip
        v = rows(value + head * vh, node, vn, keep, E, EP, BN).to(WORK)
        g = rows(grad + head * gh, node, gn, keep, E, EP, BN).to(WORK)
        p = decode_weights(decode, norm + head * nodes, m, node, keep, M, BN)

        of_pairs = _pairs_of_gradients(g, v, row, PRECISION).to(WORK)
        past = tl.dot(g, tl.trans(sums.to(WORK)), input_precision=PRECISION)
        pairs = tl.zeros([BN, BN], tl.float32)
        old = tl.zeros([BN, BM], tl.float32)
        of_latents = tl.zeros([BN, BM], tl.float32)  # <g[t], Z[t, m]>
        slope = tl.zeros([BN, BM], tl.float32)  # of the encode scores
        weight = tl.zeros([BN, BM], tl.float32)
        top = peak
        first = 0
        while first < BN:
            weight, top, inverse, size = group(score, keep, peak, mass, first, BN)
            share = p * inverse
            gz = tl.dot(of_pairs, weight.to(WORK), input_precision=PRECISION)
            decay = tl.exp2(peak - top)[None, :]
            gz = inverse * (gz + past * decay)
            pairs += tl.dot(share.to(WORK), tl.trans(weight.to(WORK)), input_precision=PRECISION)
            inner = tl.dot(tl.trans(of_pairs), share.to(WORK), input_precision=PRECISION)
            slope += weight * (inner - tl.cumsum(share * gz, 0, reverse=True))
            old += share * decay
            of_latents += gz
            first += size
        pairs = tl.where(row[None, :] <= row[:, None], pairs, 0.0)
        # The last group has the weights of all tokens of the tile.
        kept_share = tl.exp2(peak - top)
        end = mass * kept_share + tl.sum(weight, 0)
        end = 1.0 / tl.where(end > 0, end, 1.0)
        weight *= end[None, :]
        inner = tl.dot(v, tl.trans(later_z.to(WORK)), input_precision=PRECISION)
        slope += weight * (inner - later_c[None, :])
        grad_v = tl.dot(tl.trans(pairs.to(WORK)), g, input_precision=PRECISION)
        grad_v += tl.dot(weight.to(WORK), later_z.to(WORK), input_precision=PRECISION)
        lost = tl.load(delta + head * nodes + node + row, mask=keep, other=0.0)
        decode_slope = p * (of_latents - lost[:, None])

        inside = row[:, None] < count - at
        token = (block * nodes + node + row[:, None]) * heads + head
        if SHARED:
            slope += decode_slope
        else:
            decode_slope = decode_slope.to(WORK)
            grad_r = tl.dot(decode_slope, u.to(WORK), input_precision=PRECISION) * scale
            grad_u += tl.dot(tl.trans(decode_slope), r.to(WORK), input_precision=PRECISION)
            place = grad_read + token * F + column_f
            grad_r = grad_r.to(grad_read.dtype.element_ty)
            tl.store(place, grad_r, mask=inside & (column_f < F))
        slope = slope.to(WORK)
        grad_k = tl.dot(slope, q.to(WORK), input_precision=PRECISION) * scale
        grad_q += tl.dot(tl.trans(slope), k.to(WORK), input_precision=PRECISION)
        grad_k = grad_k.to(grad_key.dtype.element_ty)
        tl.store(grad_key + token * D + column_d, grad_k, mask=inside & (column_d < D))
        grad_v = grad_v.to(grad_value.dtype.element_ty)
        tl.store(grad_value + token * E + column_e, grad_v, mask=inside & (column_e < E))

        since = mass * kept_share * end
        share = (old * mass[None, :]).to(WORK)
        later_z *= since[:, None]
        later_z += tl.dot(tl.trans(share), g, input_precision=PRECISION)
        later_c = later_c * since + tl.sum(old * of_latents, 0) * mass
    tl.debug_barrier()  # before the records of the next chunk are written
    some = m[:, None] < tl.where(count > 0, M, 0)  # none beyond the last chunk of a graph
    place = base * (M * D) + m[:, None] * D + column_d
    tl.store(grad_query + place, grad_q, mask=some & (column_d < D))
    if not SHARED:
        place = base * (M * F) + m[:, None] * F + column_f
        tl.store(grad_read_key + place, grad_u, mask=some & (column_f < F))


@triton.jit(do_not_specialize=["items", "graphs", "nodes", "shift"])
def gradient_kernel(
    items, tiles, grad, query, key, value, read, read_key, valid, ptr, before, norm, delta, part,
    grad_key, grad_value, grad_read, grad_query, grad_read_key, factor, scale,
    graphs, heads, nodes, shift, gn, gh, qb, qh, qm, qd, ub, uh, um, ud, kn, kh, vn, vh, rn, rh,
    M: tl.constexpr, D: tl.constexpr, E: tl.constexpr, F: tl.constexpr, DP: tl.constexpr,
    EP: tl.constexpr, FP: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, SHARED: tl.constexpr,
    MASKED: tl.constexpr, WORK: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Gradients for the tokens, and those of a chunk for the latents' vectors.

    `delta` [H, N] is <g, y>. A block of latents has its part of the gradients for the tokens,
    [BLOCKS, N, H, ...]. A program has memory for the records of the tiles of one chunk and goes
    through several of the `items`, which are blocks of latents, heads and chunks.
    """
    program = tl.program_id(0)
    own = tiles + program.to(tl.int64) * (((1 << shift) // BN) * (BM * (EP + 2)))
    for turn in range(0, tl.cdiv(items - program, tl.num_programs(0))):
        item = program + turn * tl.num_programs(0)
        _gradient_of_chunk(
            item, own, grad, query, key, value, read, read_key, valid, ptr, before, norm, delta,
            part, grad_key, grad_value, grad_read, grad_query, grad_read_key, factor, scale,
            graphs, heads, nodes, shift, gn, gh, qb, qh, qm, qd, ub, uh, um, ud, kn, kh, vn, vh,
            rn, rh, M, D, E, F, DP, EP, FP, BM, BN, SHARED, MASKED, WORK, PRECISION,
        )  # fmt: skip
