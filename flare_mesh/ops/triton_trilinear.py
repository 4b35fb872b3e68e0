# pyright: reportArgumentType=false, reportCallIssue=false
"""Launches of the kernels of third moments; see `triton_trilinear_device`."""

import torch
import triton
from torch import Tensor

from flare_mesh.ops import triton_device, triton_launch
from flare_mesh.ops import triton_trilinear_device as device


def third_moments(a: Tensor, b: Tensor, c: Tensor, ptr: Tensor) -> Tensor:
    """S [B, H, I, J, K] in float32 of a [N, H, I], b [N, H, J], c [N, H, K]; zero without nodes."""
    a, b, c = (triton_launch.rows(t) for t in (a, b, c))
    widths = a.shape[-1], b.shape[-1], c.shape[-1]
    nodes, heads, graphs = len(a), a.shape[1], len(ptr) - 1
    sizes = _sizes(*widths)
    programs = heads
    for name, width in zip("IJK", widths, strict=True):
        programs *= triton.cdiv(width, sizes[f"B{name}"])
    numbers = heads * widths[0] * widths[1] * widths[2]
    shift = triton_launch.chunk_shift(a, programs, numbers)
    slots = (nodes >> shift) + graphs
    part = a.new_empty(slots, heads, *widths, dtype=torch.float32)
    out = part.new_empty(graphs, heads, *widths)
    if not (graphs and numbers):
        return out
    blocks = triton_launch.sum_blocks(graphs, numbers)
    with torch.cuda.device_of(a):
        device.moments_kernel[(slots * programs,)](
            a, b, c, ptr, part, graphs, heads, shift,
            *(s for t in (a, b, c) for s in triton_launch.strides(t)), **sizes,
        )  # fmt: skip
        triton_device.sum_kernel[(graphs * triton.cdiv(numbers, blocks["BE"]),)](
            part, ptr, out, 1.0, shift, E=numbers, **blocks
        )
    return out


def contract(moments: Tensor, b: Tensor, c: Tensor, ptr: Tensor) -> Tensor:
    """y [N, H, I] in float32 of S [B, H, I, J, K], any strides, b [N, H, J] and c [N, H, K]."""
    b, c = triton_launch.rows(b), triton_launch.rows(c)
    graphs, heads, *widths = moments.shape
    sizes = _sizes(*widths)
    programs = heads * triton.cdiv(widths[0], sizes["BI"])
    shift = triton_launch.chunk_shift(b, programs, 0)
    slots = (len(b) >> shift) + graphs
    out = b.new_empty(len(b), heads, widths[0], dtype=torch.float32)
    if out.numel() == 0:
        return out
    with torch.cuda.device_of(b):
        device.contract_kernel[(slots * programs,)](
            moments, b, c, ptr, out, graphs, heads, shift, *moments.stride(),
            *triton_launch.strides(b), *triton_launch.strides(c), **sizes,
        )  # fmt: skip
    return out


def _sizes(i: int, j: int, k: int) -> dict[str, object]:
    """Widths, and blocks of at most 16 of each; products of matrices need at least 16 pairs."""
    block_j = min(16, triton.next_power_of_2(j))
    return {
        "I": i,
        "J": j,
        "K": k,
        "BI": 16,
        "BJ": block_j,
        "BK": min(16, max(triton.next_power_of_2(k), 16 // block_j)),
        "BN": 32,
        "PRECISION": triton_launch.precision(),
        **triton_launch.FUSE,
    }
