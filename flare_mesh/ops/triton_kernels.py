# pyright: reportArgumentType=false, reportCallIssue=false
"""Encode, decode and their gradients on ragged batches in Triton: launches and block sizes.

See `triton_device` for the scheme and the cost of the kernels. Nothing here waits for the device:
grids are upper bounds from shapes, and only the kernels read `ptr`.

Types: float16, bfloat16 and float32. Scores, softmax, sums and merges are in float32; products of
float32 input have full precision unless torch allows TF32 in its own matrix products.
"""

import math
from typing import NamedTuple

import torch
import triton
from torch import Tensor

from flare_mesh.ops import triton_device as device
from flare_mesh.ops import triton_launch as launch

_DTYPES = (torch.float16, torch.bfloat16, torch.float32)


class _Tiles(NamedTuple):
    latents: int
    nodes: int
    warps: int
    stages: int
    registers: int | None = None  # of a thread at most


def _tiles(pass_: str, rows: int, width: int, dtype: torch.dtype) -> _Tiles:
    """Block sizes of a pass for `rows` latents and heads padded to `width`.

    Chosen by registers, spills and instructions of code compiled for sm_90, not by timing.
    Exponentials bound a pass with at most 8 instructions for each: encode and decode have 6 to 9
    with 12 to 28 warps per SM, the backward for heads up to 16 has 9 to 12 with 12 warps (8 from
    128 latents on, where scores and their gradients fill the registers). The limits on registers
    cost a few spilled words. Full float32 cannot use tensor cores and has its operands in
    registers too: small tiles.
    """
    latents = triton.next_power_of_2(max(16, rows))
    if dtype == torch.float32:
        if pass_ == "encode":
            return _Tiles(min(latents, 64), 32, 4, 1) if width == 16 else _Tiles(32, 32, 8, 1)
        return _Tiles(min(latents, 32), 32, 4, 1)
    if pass_ == "encode":
        warps = 8 if latents >= 128 else 4
        if width == 16:
            return _Tiles(min(latents, 128), 128, warps, 3, 128)
        return _Tiles(min(latents, 128), 64, warps, 2, 128)
    # These kernels prefetch explicitly, so there is nothing to pipeline.
    if pass_ == "decode":
        return _Tiles(min(latents, 128), 128 if latents <= 32 else 64, 4, 1)
    if width == 16 and latents <= 64:
        return _Tiles(latents, 64, 4, 1, 168)
    return _Tiles(min(latents, 64 if width == 64 else 128), 64, 4, 1)


class _Plan(NamedTuple):
    """Sizes of a problem and of its tiles and chunks."""

    nodes: int
    heads: int
    graphs: int
    latents: int  # of a head
    dim: int
    width: int  # of a tile: `pack` heads, padded to what the tensor cores take
    pack: int  # heads in one tile
    align: int  # numbers that divide every offset into the nodes' tensors
    tiles: _Tiles
    shift: int  # chunks hold 1 << shift nodes

    @property
    def groups(self) -> int:
        return self.heads // self.pack

    @property
    def slots(self) -> int:
        """Largest number of chunks of all graphs."""
        return (self.nodes >> self.shift) + self.graphs

    @property
    def constants(self) -> dict[str, object]:
        return {
            "M": self.latents,
            "D": self.dim,
            "DP": self.width,
            "G": self.pack,
            "BN": self.tiles.nodes,
            "ALIGN": self.align,
            "PRECISION": launch.precision(),
            "num_warps": self.tiles.warps,
            "num_stages": self.tiles.stages,
            "maxnreg": self.tiles.registers,
            **launch.FUSE,
        }


def _plan(pass_: str, query: Tensor, *of_nodes: Tensor) -> _Plan:
    """Plan of a pass that reads the strided tensors `of_nodes` [N, H, D], the key first."""
    key = of_nodes[0]
    if key.dtype not in _DTYPES:
        raise ValueError(
            f"backend 'triton': expected float16, bfloat16 or float32 (got {key.dtype})"
        )
    graphs, heads, latents, dim = query.shape
    if not 1 <= dim <= 64:
        raise ValueError(f"backend 'triton': expected heads of at most 64 channels (got {dim})")
    strides = [launch.strides(tensor) for tensor in of_nodes]
    pack = 16 // dim if dim in (4, 8) else 1
    if heads % pack or any(head != dim for _, head in strides):
        pack = 1
    width = max(16, triton.next_power_of_2(dim))
    align = math.gcd(16, *(s for node, head in strides for s in (node, pack * head)))
    tiles = _tiles(pass_, pack * latents if pass_ == "encode" else latents, width, key.dtype)

    # Programs that share a chunk.
    sharing = heads // pack
    if pass_ == "encode":
        sharing *= triton.cdiv(pack * latents, tiles.latents)
    shift = launch.chunk_shift(key, sharing, 0 if pass_ == "decode" else heads * latents * dim)
    return _Plan(
        key.shape[0], heads, graphs, latents, dim, width, pack, align, tiles, shift
    )  # fmt: skip


def _factor(scale: float) -> float:
    """Scale in base 2; not zero, as masked scores of -inf are scaled too."""
    return scale * device.LOG2E.value or 1e-30


def _sum_chunks(plan: _Plan, part: Tensor, ptr: Tensor, scale: float) -> Tensor:
    out = part.new_empty(plan.graphs, *part.shape[1:])
    numbers = plan.heads * plan.latents * plan.dim
    blocks = launch.sum_blocks(plan.graphs, numbers)
    grid = (plan.graphs * triton.cdiv(numbers, blocks["BE"]),)
    device.sum_kernel[grid](part, ptr, out, scale, plan.shift, E=numbers, **blocks)
    return out


def encode(
    query: Tensor, key: Tensor, value: Tensor, ptr: Tensor, log_weight: Tensor | None, scale: float
) -> tuple[Tensor, Tensor]:
    """First half: `softmax_N(scale Q K^T + log_weight) V` for each graph and head.

    Shapes: query [B, H, M, D] (any strides, including zero for the batch); key, value [N, H, D];
    ptr [B + 1] int64; log_weight [N] float32 or None. Returns latents [B, H, M, D] and log-sum-exps
    [B, H, M] in float32, 0 and -inf for an empty graph.
    """
    key, value = launch.rows(key), launch.rows(value)
    log_weight = None if log_weight is None else log_weight.contiguous()
    plan = _plan("encode", query, key, value)
    shape = (plan.heads, plan.latents)
    float32 = {"dtype": torch.float32, "device": key.device}
    part = torch.empty(plan.slots, *shape, plan.dim, **float32)
    part_lse = torch.empty(plan.slots, *shape, **float32)
    blocks = triton.cdiv(plan.pack * plan.latents, plan.tiles.latents)
    with torch.cuda.device_of(key):
        device.encode_kernel[(plan.slots * plan.groups * blocks,)](
            query, key, value, ptr, log_weight, part, part_lse,
            _factor(scale), plan.graphs, plan.groups, plan.shift,
            *query.stride(), *launch.strides(key), *launch.strides(value),
            ROWS=plan.tiles.latents, WEIGHTED=log_weight is not None, **plan.constants,
        )  # fmt: skip
        if plan.slots == plan.graphs:  # one chunk a graph: nothing to merge
            return part, part_lse
        latent = torch.empty(plan.graphs, *shape, plan.dim, **float32)
        lse = torch.empty(plan.graphs, *shape, **float32)
        numbers = latent[:1].numel()
        merge = launch.sum_blocks(plan.graphs, numbers)
        device.merge_kernel[(plan.graphs * triton.cdiv(numbers, merge["BE"]),)](
            part, part_lse, ptr, latent, lse, plan.shift, E=numbers, D=plan.dim, **merge
        )
    return latent, lse


def decode(
    query: Tensor, key: Tensor, latent: Tensor, ptr: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """Second half: `softmax_M(scale K Q^T) Z` for each graph and head.

    Shapes: query [B, H, M, D] (any strides); key [N, H, D]; latent [B, H, M, D] float32;
    ptr [B + 1] int64. Returns values [N, H, D] in the key's dtype and log-sum-exps [N, H] in
    float32.
    """
    key = launch.rows(key)
    plan = _plan("decode", query, key)
    out = torch.empty(key.shape, dtype=key.dtype, device=key.device)
    lse = torch.empty(key.shape[:2], dtype=torch.float32, device=key.device)
    with torch.cuda.device_of(key):
        device.decode_kernel[(plan.slots * plan.groups,)](
            query, key, latent.to(key.dtype).contiguous(), ptr, out, lse,
            _factor(scale), plan.graphs, plan.groups, plan.shift,
            *query.stride(), *launch.strides(key), BM=plan.tiles.latents,
            FAST_LOG=key.is_cuda and torch.version.hip is None, **plan.constants,
        )  # fmt: skip
    return out, lse


def _backward(
    encoding: bool,
    query: Tensor,
    key: Tensor,
    other: Tensor,
    latent: Tensor,
    ptr: Tensor,
    log_weight: Tensor | None,
    lse: Tensor,
    product: Tensor,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """Gradients for query, key, value, log weights, latent; see the kernel for the arguments."""
    key, other = launch.rows(key), launch.rows(other)
    log_weight = None if log_weight is None else log_weight.contiguous()
    plan = _plan("backward", query, key, other)
    # With one block of latents a program writes its sums once, otherwise it adds to them.
    make = torch.empty if plan.latents <= plan.tiles.latents else torch.zeros
    shape = (plan.slots, plan.heads, plan.latents, plan.dim)
    part_query = make(shape, dtype=torch.float32, device=key.device)
    part_latent = None if encoding else make(shape, dtype=torch.float32, device=key.device)
    grad_key = torch.empty(key.shape, dtype=key.dtype, device=key.device)
    grad_value = torch.empty_like(grad_key) if encoding else None
    grad_weight = None
    if log_weight is not None:
        grad_weight = part_query.new_empty(plan.groups, plan.nodes)
    with torch.cuda.device_of(key):
        device.backward_kernel[(plan.slots * plan.groups,)](
            query, key, other, latent.contiguous(), ptr, log_weight, lse, product,
            grad_key, grad_value, grad_weight, part_query, part_latent,
            scale, plan.graphs, plan.groups, plan.shift, plan.nodes,
            *query.stride(), *launch.strides(key), *launch.strides(other),
            BM=plan.tiles.latents, ENCODE=encoding, WEIGHTED=log_weight is not None,
            **plan.constants,
        )  # fmt: skip
        grad_query = _sum_chunks(plan, part_query, ptr, scale)
        grad_latent = None if part_latent is None else _sum_chunks(plan, part_latent, ptr, 1.0)
    if grad_weight is not None:
        grad_weight = grad_weight.sum(0)
    return grad_query, grad_key, grad_value, grad_weight, grad_latent


def encode_backward(
    grad_latent: Tensor,
    grad_lse: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    ptr: Tensor,
    log_weight: Tensor | None,
    latent: Tensor,
    lse: Tensor,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Gradients for the arguments of :func:`encode`, from the float32 ones for its two results.

    Returns grad_query [B, H, M, D] float32, grad_key and grad_value [N, H, D] in their dtype,
    grad_log_weight [N] float32, or None without log_weight. Products of float16 gradients are
    computed in bfloat16, as softmax weights of a million nodes and scaled losses exceed the range
    of float16.
    """
    product = (grad_latent * latent).sum(-1) - grad_lse
    work = torch.float32 if key.dtype == torch.float32 else torch.bfloat16
    grad_query, grad_key, grad_value, grad_weight, _ = _backward(
        True, query, key, value, grad_latent.to(work), ptr, log_weight,
        (lse * device.LOG2E.value).contiguous(), product.contiguous(), scale,
    )  # fmt: skip
    assert grad_value is not None
    return grad_query, grad_key, grad_value, grad_weight


def decode_backward(
    grad_out: Tensor,
    query: Tensor,
    key: Tensor,
    latent: Tensor,
    ptr: Tensor,
    out: Tensor,
    lse: Tensor,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients for the arguments of :func:`decode`, from the one for its values in their dtype.

    Returns grad_query [B, H, M, D] float32, grad_key [N, H, D] in the key's dtype, grad_latent
    [B, H, M, D] float32. Products of float16 gradients are computed in bfloat16.
    """
    grad_query, grad_key, _, _, grad_latent = _backward(
        False, query, key, grad_out, latent.to(key.dtype), ptr, None,
        lse.contiguous(), out.contiguous(), scale,
    )  # fmt: skip
    assert grad_latent is not None
    return grad_query, grad_key, grad_latent
