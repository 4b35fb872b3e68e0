# type: ignore  # kernels are in Triton's language, which type checkers take for Python
# ruff: noqa: N803  (compile-time constants are in capitals)
"""Device code of the FLARE mixer on ragged batches; `triton_kernels` launches it.

Chunks. A batch is divided into chunks of at most `1 << shift` nodes of one graph each. The slots of
graph b are `(ptr[b] >> shift) + b` up to the same for b + 1: always enough, sometimes one too
many, and known from `ptr` alone, so that a program finds its graph by bisection and the host reads
nothing. The load is balanced over chunks, whatever the sizes of the graphs.

Heads. Tensor cores contract 16 numbers at a time. Heads of 4 or 8 channels are packed 4 or 2
together: a tile of nodes has 16 channels of neighbouring heads, and the latents of one head are
zero in the columns of the others, which costs no more than padding each head.

Encode: a program loads the latents of its heads once and loops over the keys and values of a chunk
with a running softmax; the (log-sum-exp, mean) of the chunks are merged afterwards. Decode: a
program loops over the nodes of a chunk. Backward: one kernel for both halves, which differ only in
the dimension of the softmax; a program loops over the tiles of its chunk, writes the gradients for
nodes, and sums the gradients for latents, which are summed over chunks afterwards. Results are
deterministic. Scores are recomputed and never stored.

Cost of a forward pass, N = 1M, C = 64, H = 8, M = 64, bf16, H200 (132 SMs, 1.75 GHz, 4.8 TB/s):
encode reads K and V (2 x 128 MB), decode reads K and writes its output (2 x 128 MB) and its
log-sum-exps (32 MB): 544 MB, 0.11 ms. There are 2 N M H = 1.02e9 exponentials, 16 per clock and
SM: 0.28 ms. In the time of one exponential a scheduler issues 8 instructions; the loops compiled
for sm_90 have 6.7 (encode) and 7.8 (decode) per exponential, including the tensor cores'. So
the exponentials are the bound, if the 16 and 28 warps per SM hide the latencies. The backward has
9.7 and is bound by instructions, some 0.35 ms; its 1.1 GB take 0.23 ms.
"""

import triton
import triton.language as tl
from triton.language.extra import libdevice

LOG2E = tl.constexpr(1.4426950408889634)
LN2 = tl.constexpr(0.6931471805599453)


@triton.jit
def locate(ptr, slot, graphs, shift):
    """Graph, first node and number of nodes (<= 0: none) of a slot; whether it is the first one."""
    low = 0
    high = graphs - 1
    while low < high:
        middle = (low + high + 1) // 2
        right = (tl.load(ptr + middle) >> shift) + middle <= slot
        low = tl.where(right, middle, low)
        high = tl.where(right, high, middle - 1)
    begin = tl.load(ptr + low)
    end = tl.load(ptr + low + 1)
    chunk = slot - low - (begin >> shift)
    begin += chunk << shift
    return low.to(tl.int64), begin, tl.minimum(end - begin, 1 << shift).to(tl.int32), chunk == 0


@triton.jit
def _nodes(
    base,
    node,
    stride,
    left,
    W: tl.constexpr,
    DP: tl.constexpr,
    BN: tl.constexpr,
    ALIGN: tl.constexpr,
    FULL: tl.constexpr,
):
    """Rows from `node` on, [BN, DP], with zeros beyond `left` rows and W columns."""
    rows = tl.arange(0, BN)
    cols = tl.arange(0, DP)
    # Triton detects divisibility of strides by 16 only; ALIGN gives wide loads for other factors.
    base += tl.multiple_of(node * stride, ALIGN)
    place = base + rows[:, None] * tl.multiple_of(stride, ALIGN) + cols[None, :]
    if FULL and W == DP:
        tile = tl.load(place)
    elif FULL:
        tile = tl.load(place, mask=cols[None, :] < W, other=0.0)
    else:
        tile = tl.load(place, mask=(rows[:, None] < left) & (cols[None, :] < W), other=0.0)
    return tile


@triton.jit
def _latents(
    base, sh, sm, sd, first, M: tl.constexpr, D: tl.constexpr, W: tl.constexpr, DP: tl.constexpr,
    BM: tl.constexpr,
):  # fmt: skip
    """Latents `first` to `first + BM` of a group's heads, side by side, [BM, DP]."""
    rows = first + tl.arange(0, BM)[:, None]
    cols = tl.arange(0, DP)[None, :]
    place = base + (cols // D) * sh + rows * sm + (cols % D) * sd
    return tl.load(place, mask=(rows < M) & (cols < W), other=0.0)


@triton.jit
def _signed(q, factor):
    """Queries with the sign of the factor, which allows to take maxima before scaling."""
    return tl.where(factor < 0, -q, q)


@triton.jit
def _encode_tile(
    peak, mass, total, q, key, value, log_weight, node, left, factor, kn, vn,
    W: tl.constexpr, DP: tl.constexpr, BN: tl.constexpr, ALIGN: tl.constexpr, FULL: tl.constexpr,
    WEIGHTED: tl.constexpr, LIFT: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Update the running (maximum, sum, weighted sum) of the latents by a tile of nodes."""
    k = _nodes(key, node, kn, left, W, DP, BN, ALIGN, FULL)
    v = _nodes(value, node, vn, left, W, DP, BN, ALIGN, FULL)
    cols = tl.arange(0, BN)
    s = tl.dot(q, tl.trans(k), input_precision=PRECISION)
    if WEIGHTED:
        bias = tl.load(log_weight + node + cols, mask=cols < left, other=0.0) * LOG2E
        s = s * factor + bias[None, :]
        factor = 1.0
    if not FULL:
        s = tl.where(cols[None, :] < left, s, float("-inf"))
    # Scaling after the maximum makes multiplication and subtraction one instruction.
    new = tl.maximum(peak, tl.max(s, 1) * factor)
    # So far a row may have only -inf (from log weights), and -inf - -inf is NaN.
    origin = tl.where(new == float("-inf"), 0.0, new)
    p = tl.exp2(s * factor - (origin - LIFT)[:, None])
    decay = tl.exp2(peak - origin)
    mass = mass * decay + tl.sum(p, 1)
    total = total * decay[:, None] + tl.dot(p.to(v.dtype), v, input_precision=PRECISION)
    return new, mass, total


@triton.jit(do_not_specialize=["graphs", "shift"])
def encode_kernel(
    query, key, value, ptr, log_weight, part, part_lse, factor, graphs, groups, shift,
    qb, qh, qm, qd, kn, kh, vn, vh,
    M: tl.constexpr, D: tl.constexpr, DP: tl.constexpr, G: tl.constexpr, ROWS: tl.constexpr,
    BN: tl.constexpr, ALIGN: tl.constexpr, WEIGHTED: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Latents and log-sum-exps of a chunk; a program has ROWS latents of a group of heads."""
    W: tl.constexpr = G * D
    BLOCKS: tl.constexpr = (G * M + ROWS - 1) // ROWS
    # Softmax weights of a million nodes underflow in float16 (6e-8): multiply by 2^14.
    LIFT: tl.constexpr = 14.0 if key.dtype.element_ty == tl.float16 else 0.0
    pid = tl.program_id(0)
    slot = pid // (groups * BLOCKS)  # slowest index: programs of one chunk run together
    group = (pid // BLOCKS) % groups
    graph, begin, count, is_first = locate(ptr, slot, graphs, shift)
    if (count <= 0) & (is_first == 0):
        return
    head = (group * G).to(tl.int64)
    # The latents of the group's heads, one below the other; zero in the columns of other heads.
    rows = (pid % BLOCKS) * ROWS + tl.arange(0, ROWS)
    cols = tl.arange(0, DP)
    within = cols[None, :] - (rows // M * D)[:, None]
    mine = (within >= 0) & (within < D) & (rows < G * M)[:, None]
    place = (rows // M * qh + rows % M * qm)[:, None] + within * qd
    q = tl.load(query + graph * qb + head * qh + place, mask=mine, other=0.0)
    q = _signed(q, factor).to(key.dtype.element_ty)
    factor = tl.abs(factor)

    key += tl.multiple_of(head * kh, ALIGN)
    value += tl.multiple_of(head * vh, ALIGN)
    peak = tl.full([ROWS], float("-inf"), tl.float32)
    mass = tl.zeros([ROWS], tl.float32)
    total = tl.zeros([ROWS, DP], tl.float32)
    full = tl.maximum(count, 0) // BN * BN
    for at in range(0, full, BN):
        peak, mass, total = _encode_tile(
            peak, mass, total, q, key, value, log_weight, begin + at, BN, factor, kn, vn,
            W, DP, BN, ALIGN, True, WEIGHTED, LIFT, PRECISION,
        )  # fmt: skip
    if full < count:
        peak, mass, total = _encode_tile(
            peak, mass, total, q, key, value, log_weight, begin + full, count - full, factor, kn,
            vn, W, DP, BN, ALIGN, False, WEIGHTED, LIFT, PRECISION,
        )  # fmt: skip

    some = mass > 0
    mass = tl.where(some, mass, 1.0)
    row = (slot.to(tl.int64) * groups * G + head) * M + rows
    tl.store(part + row[:, None] * D + within, total / mass[:, None], mask=mine)
    log_sum = (peak - LIFT + tl.log2(mass)) * LN2
    tl.store(part_lse + row, tl.where(some, log_sum, float("-inf")), mask=rows < G * M)


@triton.jit(do_not_specialize=["shift"])
def merge_kernel(
    part, part_lse, ptr, latent, lse, shift,
    E: tl.constexpr, D: tl.constexpr, CHUNKS: tl.constexpr, BE: tl.constexpr,
):  # fmt: skip
    """Merge the chunks' latents for each graph: E numbers, D of which share a log-sum-exp."""
    BLOCKS: tl.constexpr = (E + BE - 1) // BE
    graph = (tl.program_id(0) // BLOCKS).to(tl.int64)
    place = tl.program_id(0) % BLOCKS * BE + tl.arange(0, BE)
    begin = tl.load(ptr + graph)
    size = tl.load(ptr + graph + 1) - begin
    slot = (begin >> shift) + graph
    # An empty graph has one slot too.
    chunks = tl.maximum((size + (1 << shift) - 1) >> shift, 1).to(tl.int32)
    peak = tl.full([BE], float("-inf"), tl.float32)
    mass = tl.zeros([BE], tl.float32)
    total = tl.zeros([BE], tl.float32)
    for first in range(0, chunks, CHUNKS):
        chunk = first + tl.arange(0, CHUNKS)[:, None]
        mask = (chunk < chunks) & (place[None, :] < E)
        weight = tl.load(
            part_lse + (slot + chunk) * (E // D) + place[None, :] // D,
            mask=mask,
            other=float("-inf"),
        )
        mean = tl.load(part + (slot + chunk) * E + place[None, :], mask=mask, other=0.0)
        new = tl.maximum(peak, tl.max(weight, 0))
        origin = tl.where(new == float("-inf"), 0.0, new)
        share = tl.exp(weight - origin[None, :])
        decay = tl.exp(peak - origin)
        mass = mass * decay + tl.sum(share, 0)
        total = total * decay + tl.sum(share * mean, 0)
        peak = new
    some = mass > 0
    mass = tl.where(some, mass, 1.0)
    at = graph * E + place
    tl.store(latent + at, total / mass, mask=place < E)
    log_sum = tl.where(some, peak + tl.log(mass), float("-inf"))
    tl.store(lse + at // D, log_sum, mask=(place < E) & (place % D == 0))


@triton.jit(do_not_specialize=["shift"])
def sum_kernel(
    part, ptr, out, scale, shift, E: tl.constexpr, CHUNKS: tl.constexpr, BE: tl.constexpr
):
    """Sum E numbers over the chunks of each graph, times `scale`."""
    BLOCKS: tl.constexpr = (E + BE - 1) // BE
    graph = (tl.program_id(0) // BLOCKS).to(tl.int64)
    place = tl.program_id(0) % BLOCKS * BE + tl.arange(0, BE)
    begin = tl.load(ptr + graph)
    size = tl.load(ptr + graph + 1) - begin
    slot = (begin >> shift) + graph
    chunks = ((size + (1 << shift) - 1) >> shift).to(tl.int32)
    total = tl.zeros([BE], tl.float32)
    for first in range(0, chunks, CHUNKS):
        chunk = first + tl.arange(0, CHUNKS)[:, None]
        mask = (chunk < chunks) & (place[None, :] < E)
        total += tl.sum(
            tl.load(part + (slot + chunk) * E + place[None, :], mask=mask, other=0.0), 0
        )
    tl.store(out + graph * E + place, total * scale, mask=place < E)


@triton.jit(do_not_specialize=["graphs", "shift"])
def decode_kernel(
    query, key, latent, ptr, out, lse, factor, graphs, groups, shift,
    qb, qh, qm, qd, kn, kh,
    M: tl.constexpr, D: tl.constexpr, DP: tl.constexpr, G: tl.constexpr, BM: tl.constexpr,
    BN: tl.constexpr, ALIGN: tl.constexpr, PRECISION: tl.constexpr, FAST_LOG: tl.constexpr,
):  # fmt: skip
    """Output and log-sum-exps at the nodes; a program has a chunk and a group of heads."""
    W: tl.constexpr = G * D
    ONCE: tl.constexpr = M <= BM  # otherwise the latents are loaded again for each tile
    group = tl.program_id(0) % groups
    graph, begin, count, _ = locate(ptr, tl.program_id(0) // groups, graphs, shift)
    if count <= 0:
        return
    head = (group * G).to(tl.int64)
    heads = groups * G
    query += graph * qb + head * qh
    latent += (graph * heads + head) * M * D
    if ONCE:
        q = _latents(query, qh, qm, qd, 0, M, D, W, DP, BM)
        z = _latents(latent, M * D, D, 1, 0, M, D, W, DP, BM)
    rows = tl.arange(0, BN)
    cols = tl.arange(0, DP)
    key += tl.multiple_of(head * kh, ALIGN)
    k = _nodes(key, begin, kn, count, W, DP, BN, ALIGN, False)
    for at in range(0, count, BN):
        node = begin + at
        # Prefetch of the next tile's keys.
        k_next = _nodes(key, node + BN, kn, count - at - BN, W, DP, BN, ALIGN, False)
        mixed = tl.zeros([BN, DP], tl.float32)
        for g in tl.static_range(G):
            mine = (cols // D == g)[None, :]
            peak = tl.full([BN], float("-inf"), tl.float32)
            mass = tl.zeros([BN], tl.float32)
            total = tl.zeros([BN, DP], tl.float32)
            for first in range(0, M, BM):
                if not ONCE:
                    q = _latents(query, qh, qm, qd, first, M, D, W, DP, BM)
                    z = _latents(latent, M * D, D, 1, first, M, D, W, DP, BM)
                own_q = _signed(tl.where(mine, q, 0.0), factor).to(k.dtype)
                own_z = tl.where(mine, z, 0.0).to(k.dtype)
                s = tl.dot(k, tl.trans(own_q), input_precision=PRECISION)
                if M % BM != 0:
                    s = tl.where(first + tl.arange(0, BM)[None, :] < M, s, float("-inf"))
                new = tl.maximum(peak, tl.max(s, 1) * tl.abs(factor))
                p = tl.exp2(s * tl.abs(factor) - new[:, None])
                if not ONCE:
                    decay = tl.exp2(peak - new)
                    mass *= decay
                    total *= decay[:, None]
                mass += tl.sum(p, 1)
                total += tl.dot(p.to(k.dtype), own_z, input_precision=PRECISION)
                peak = new
            mixed += total * (1.0 / mass)[:, None]
            log_mass = libdevice.fast_log2f(mass) if FAST_LOG else tl.log2(mass)
            log_sum = (peak + log_mass) * LN2
            tl.store(lse + (node + rows) * heads + head + g, log_sum, mask=rows < count - at)
        place = (out + (node * heads + head) * D) + rows[:, None] * (heads * D) + cols[None, :]
        mask = (rows[:, None] < count - at) & (cols[None, :] < W)
        tl.store(place, mixed.to(out.dtype.element_ty), mask=mask)
        k = k_next


@triton.jit(do_not_specialize=["graphs", "shift", "nodes"])
def backward_kernel(
    query, key, other, latent, ptr, log_weight, lse, product, grad_key, grad_value, grad_weight,
    part_query, part_latent, scale, graphs, groups, shift, nodes,
    qb, qh, qm, qd, kn, kh, on, oh,
    M: tl.constexpr, D: tl.constexpr, DP: tl.constexpr, G: tl.constexpr, BM: tl.constexpr,
    BN: tl.constexpr, ALIGN: tl.constexpr, ENCODE: tl.constexpr, WEIGHTED: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Gradients of either half; a program has a chunk and a group of heads.

    `other` [N, H, D] and `latent` [B, H, M, D] are the values and the gradient for the latents
    (encode), or the gradient for the output and the latents (decode). `lse` is [B, H, M] in base 2
    (encode) or [N, H] (decode); `product` is <dZ, Z> - dlse [B, H, M] (encode) or the output
    [N, H, D] (decode).
    """
    W: tl.constexpr = G * D
    ONCE: tl.constexpr = M <= BM
    # Softmax weights of a million nodes and gradients underflow in float16, not in bfloat16.
    HALF: tl.constexpr = key.dtype.element_ty != tl.float32
    WORK: tl.constexpr = tl.bfloat16 if HALF else tl.float32
    slot = tl.program_id(0) // groups
    group = tl.program_id(0) % groups
    graph, begin, count, _ = locate(ptr, slot, graphs, shift)
    if count <= 0:
        return
    head = (group * G).to(tl.int64)
    heads = groups * G
    rows = tl.arange(0, BN)
    cols = tl.arange(0, DP)
    query += graph * qb + head * qh
    latent += (graph * heads + head) * M * D
    sums = (slot.to(tl.int64) * heads + head) * M * D
    sums += (cols // D)[None, :] * (M * D) + (cols % D)[None, :]
    latents = tl.arange(0, BM)[:, None]
    if ONCE:
        q = _latents(query, qh, qm, qd, 0, M, D, W, DP, BM)
        y = _latents(latent, M * D, D, 1, 0, M, D, W, DP, BM)
        grad_q = tl.zeros([BM, DP], tl.float32)
        grad_y = tl.zeros([BM, DP], tl.float32)

    key += tl.multiple_of(head * kh, ALIGN)
    other += tl.multiple_of(head * oh, ALIGN)
    k = _nodes(key, begin, kn, count, W, DP, BN, ALIGN, False)
    x = _nodes(other, begin, on, count, W, DP, BN, ALIGN, False)
    for at in range(0, count, BN):
        node = begin + at
        left = count - at
        # Prefetch of the next tile.
        k_next = _nodes(key, node + BN, kn, left - BN, W, DP, BN, ALIGN, False)
        x_next = _nodes(other, node + BN, on, left - BN, W, DP, BN, ALIGN, False)
        place = (node * heads + head) * D + rows[:, None] * (heads * D) + cols[None, :]
        inside = (rows[:, None] < left) & (cols[None, :] < W)
        grad_k = tl.zeros([BN, DP], tl.float32)
        if ENCODE:
            grad_v = tl.zeros([BN, DP], tl.float32)
            grad_w = tl.zeros([BN], tl.float32)
            if WEIGHTED:
                bias = tl.load(log_weight + node + rows, mask=rows < left, other=float("-inf"))
                bias *= LOG2E
            else:
                bias = tl.where(rows < left, 0.0, float("-inf"))
        else:
            o = tl.load(product + place, mask=inside, other=0.0)
            inner = x.to(tl.float32) * o.to(tl.float32)

        for first in range(0, M, BM):
            if not ONCE:
                q = _latents(query, qh, qm, qd, first, M, D, W, DP, BM)
                y = _latents(latent, M * D, D, 1, first, M, D, W, DP, BM)
                grad_q = tl.zeros([BM, DP], tl.float32)
                grad_y = tl.zeros([BM, DP], tl.float32)
            for g in tl.static_range(G):
                mine = (cols // D == g)[None, :]
                own_q = tl.where(mine, q, 0.0).to(k.dtype)
                own_y = tl.where(mine, y, 0.0).to(y.dtype)
                s = tl.dot(k, tl.trans(own_q), input_precision=PRECISION) * (scale * LOG2E)
                dp = tl.dot(x.to(y.dtype), tl.trans(own_y), input_precision=PRECISION)
                if ENCODE:
                    at_latent = (graph * heads + head + g) * M + first + tl.arange(0, BM)
                    valid = first + tl.arange(0, BM) < M
                    lse_m = tl.load(lse + at_latent, mask=valid, other=float("inf"))
                    delta_m = tl.load(product + at_latent, mask=valid, other=0.0)
                    p = tl.exp2(s - lse_m[None, :] + bias[:, None])
                    ds = p * (dp - delta_m[None, :])
                    grad_v += tl.dot(p.to(WORK), own_y.to(WORK), input_precision=PRECISION)
                    if WEIGHTED:
                        grad_w += tl.sum(ds, 1)
                else:
                    if M % BM != 0:
                        s = tl.where(first + tl.arange(0, BM)[None, :] < M, s, float("-inf"))
                    at_node = (node + rows) * heads + head + g
                    lse_n = tl.load(lse + at_node, mask=rows < left, other=float("inf")) * LOG2E
                    p = tl.exp2(s - lse_n[:, None])
                    ds = p * (dp - tl.sum(tl.where(mine, inner, 0.0), 1)[:, None])
                    dy = tl.dot(tl.trans(p.to(WORK)), x.to(WORK), input_precision=PRECISION)
                    grad_y += tl.where(mine, dy, 0.0)
                ds = ds.to(WORK)
                grad_k += tl.dot(ds, own_q.to(WORK), input_precision=PRECISION)
                dq = tl.dot(tl.trans(ds), k.to(WORK), input_precision=PRECISION)
                grad_q += tl.where(mine, dq, 0.0)
            if not ONCE:
                # Only this program adds to its slot, so the order is fixed; no wait for a load.
                add = sums + (first + latents) * D
                mask = (first + latents < M) & (cols[None, :] < W)
                tl.atomic_add(part_query + add, grad_q, mask=mask, sem="relaxed")
                if not ENCODE:
                    tl.atomic_add(part_latent + add, grad_y, mask=mask, sem="relaxed")

        tl.store(grad_key + place, (grad_k * scale).to(grad_key.dtype.element_ty), mask=inside)
        if ENCODE:
            tl.store(grad_value + place, grad_v.to(grad_value.dtype.element_ty), mask=inside)
            if WEIGHTED:
                at_weight = group.to(tl.int64) * nodes + node + rows
                tl.store(grad_weight + at_weight, grad_w, mask=rows < left)
        k = k_next
        x = x_next

    if ONCE:
        add = sums + latents * D
        mask = (latents < M) & (cols[None, :] < W)
        tl.store(part_query + add, grad_q, mask=mask)
        if not ENCODE:
            tl.store(part_latent + add, grad_y, mask=mask)
