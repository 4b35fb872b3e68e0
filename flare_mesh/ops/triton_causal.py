# pyright: reportArgumentType=false, reportCallIssue=false
"""Launches of the kernels of causal linear attention; see `triton_causal_device`."""

import torch
import triton
from torch import Tensor

from flare_mesh.ops import triton_causal_device as device
from flare_mesh.ops import triton_launch as launch
from flare_mesh.ops.causal_linear import WIDEST


def sums(query: Tensor, key: Tensor, value: Tensor, ptr: Tensor, reverse: bool) -> Tensor:
    """Sums of (q_t k_s) v_s over the nodes s <= t of each graph, or s >= t if ``reverse``.

    Shapes: query, key [N, H, D], value [N, H, E] in float16, bfloat16 or float32, any strides;
    ptr [B + 1] int64. Returns [N, H, E] in float32. Nothing here waits for the device.
    """
    nodes, heads, dim = query.shape
    width = value.shape[-1]
    if not (1 <= dim <= WIDEST and 1 <= width <= WIDEST):
        raise ValueError(
            f"backend 'triton': expected 1 to {WIDEST} channels of keys, and of values with "
            f"their sum of weights (got {dim} and {width}); choose 'torch'"
        )
    query, key, value = (launch.rows(t) for t in (query, key, value))
    graphs = len(ptr) - 1
    block = min(64, max(16, triton.next_power_of_2(width)))
    blocks = heads * triton.cdiv(width, block)
    shift = launch.chunk_shift(query, blocks, heads * dim * width)
    slots = (nodes >> shift) + graphs
    part = query.new_empty(slots, heads, dim, width, dtype=torch.float32)
    out = query.new_empty(nodes, heads, width, dtype=torch.float32)
    if nodes == 0:
        return out
    sizes = {
        "D": dim,
        "E": width,
        "DP": max(16, triton.next_power_of_2(dim)),
        "BE": block,
        "BN": 32 if max(dim, width) > 32 else 64,
        "PRECISION": launch.precision(),
        **launch.FUSE,
    }
    numbers = part[:1].numel()
    with torch.cuda.device_of(query):
        device.chunk_kernel[(slots * blocks,)](
            key, value, ptr, part, graphs, heads, shift,
            *launch.strides(key), *launch.strides(value), **sizes,
        )  # fmt: skip
        device.before_kernel[(graphs * triton.cdiv(numbers, 128),)](
            part, ptr, shift, W=numbers, BW=128, REVERSE=reverse
        )
        device.causal_kernel[(slots * blocks,)](
            query, key, value, ptr, part, out, graphs, heads, shift,
            *launch.strides(query), *launch.strides(key), *launch.strides(value),
            REVERSE=reverse, **sizes,
        )  # fmt: skip
    return out
