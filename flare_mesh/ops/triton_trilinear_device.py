# type: ignore  # kernels are in Triton's language, which type checkers take for Python
# ruff: noqa: N803, E741  (compile-time constants are in capitals)
"""Device code of third moments and their contraction on ragged batches; `triton_trilinear`.

Chunks and slots are those of `triton_device`. Both kernels form the products b_nj c_nk of a tile of
nodes in registers and multiply them with one matrix product. Every sum has a fixed order and is in
float32; the moments of the chunks are summed by `triton_device.sum_kernel`.
"""

import triton
import triton.language as tl

from flare_mesh.ops.triton_causal_device import columns
from flare_mesh.ops.triton_device import locate


@triton.jit
def _pairs(
    b, c, node, bn, cn, left, j, k, J: tl.constexpr, K: tl.constexpr, BJ: tl.constexpr,
    BK: tl.constexpr, BN: tl.constexpr,
):  # fmt: skip
    """Products of BJ columns of b from `j` on and BK of c from `k` on, [BN, BJ BK]."""
    y = columns(b, node, bn, left, j, J, BJ, BN)
    z = columns(c, node, cn, left, k, K, BK, BN)
    return tl.reshape(y[:, :, None] * z[:, None, :], (BN, BJ * BK))


@triton.jit(do_not_specialize=["graphs", "shift"])
def moments_kernel(
    a, b, c, ptr, part, graphs, heads, shift, an, ah, bn, bh, cn, ch,
    I: tl.constexpr, J: tl.constexpr, K: tl.constexpr, BI: tl.constexpr, BJ: tl.constexpr,
    BK: tl.constexpr, BN: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Sums of a_ni b_nj c_nk over a chunk; a program has a block of them of one head."""
    TI: tl.constexpr = (I + BI - 1) // BI
    TJ: tl.constexpr = (J + BJ - 1) // BJ
    TK: tl.constexpr = (K + BK - 1) // BK
    pid = tl.program_id(0)
    tile = pid % (TI * TJ * TK)
    head = (pid // (TI * TJ * TK) % heads).to(tl.int64)
    slot = pid // (TI * TJ * TK * heads)
    _, begin, count, _ = locate(ptr, slot, graphs, shift)
    if count <= 0:
        return
    first_i = tile // (TJ * TK) * BI
    first_j = tile // TK % TJ * BJ
    first_k = tile % TK * BK
    a += head * ah
    b += head * bh
    c += head * ch
    total = tl.zeros([BI, BJ * BK], tl.float32)
    for at in range(0, count, BN):
        x = columns(a, begin + at, an, count - at, first_i, I, BI, BN)
        pairs = _pairs(b, c, begin + at, bn, cn, count - at, first_j, first_k, J, K, BJ, BK, BN)
        total += tl.dot(tl.trans(x), pairs, input_precision=PRECISION)
    pair = tl.arange(0, BJ * BK)[None, :]
    i = first_i + tl.arange(0, BI)[:, None]
    j = first_j + pair // BK
    k = first_k + pair % BK
    place = part + (slot.to(tl.int64) * heads + head) * (I * J * K) + (i * J + j) * K + k
    tl.store(place, total, mask=(i < I) & (j < J) & (k < K))


@triton.jit(do_not_specialize=["graphs", "shift"])
def contract_kernel(
    moments, b, c, ptr, out, graphs, heads, shift, sb, sh, si, sj, sk, bn, bh, cn, ch,
    I: tl.constexpr, J: tl.constexpr, K: tl.constexpr, BI: tl.constexpr, BJ: tl.constexpr,
    BK: tl.constexpr, BN: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Sums of S_ijk b_nj c_nk over j and k at each node; a program has BI of them of a head."""
    TI: tl.constexpr = (I + BI - 1) // BI
    pid = tl.program_id(0)
    head = (pid // TI % heads).to(tl.int64)
    graph, begin, count, _ = locate(ptr, pid // (TI * heads), graphs, shift)
    if count <= 0:
        return
    moments += graph * sb + head * sh
    b += head * bh
    c += head * ch
    pair = tl.arange(0, BJ * BK)[:, None]
    i = pid % TI * BI + tl.arange(0, BI)[None, :]
    row = tl.arange(0, BN)[:, None]
    for at in range(0, count, BN):
        node = begin + at
        left = count - at
        y = tl.zeros([BN, BI], tl.float32)
        for first_j in range(0, J, BJ):
            for first_k in range(0, K, BK):
                j = first_j + pair // BK
                k = first_k + pair % BK
                inside = (i < I) & (j < J) & (k < K)
                s = tl.load(moments + i * si + j * sj + k * sk, mask=inside, other=0.0)
                pairs = _pairs(b, c, node, bn, cn, left, first_j, first_k, J, K, BJ, BK, BN)
                y += tl.dot(pairs, s, input_precision=PRECISION)
        tl.store(out + ((node + row) * heads + head) * I + i, y, mask=(row < left) & (i < I))
