# pyright: reportArgumentType=false, reportCallIssue=false
"""Launches of the kernels of causal FLARE; see `triton_causal_flare_device`.

Nothing here waits for the device: grids are upper bounds from shapes, and only the kernels read
`ptr`. Chunks have a fixed length, so that a sequence has the same bits in any batch.
"""

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from flare_mesh.ops import causal_operator
from flare_mesh.ops import triton_causal_flare_device as device
from flare_mesh.ops import triton_causal_flare_gradient as gradient
from flare_mesh.ops import triton_launch as launch
from flare_mesh.ops.causal_operator import TRITON_WIDEST
from flare_mesh.ops.triton_device import LN2, LOG2E, sum_kernel

_PROGRAMS_PER_SM = 4  # that compute gradients; more do not fit into its registers
_SCAN = {"CHUNKS": 16, "BE": 32, "num_warps": 1, **launch.FUSE}  # of the records, in registers


class Tiles(NamedTuple):
    """Block sizes of a launch."""

    latents: int
    tokens: int
    warps: int


def tiles(latents: int, width: int, dtype: torch.dtype) -> Tiles:
    """Block sizes for heads of this many latents, with channels padded to ``width``.

    Chosen by registers and spills of code compiled for sm_90, not by timing. A program keeps the
    sums of its latents in registers, and those of three gradients in the backward pass. In half
    precision a warp has 16 tokens and 8 latents, the tile of one instruction of the tensor cores;
    full float32 cannot use them.
    """
    rows = min(triton.next_power_of_2(max(16, latents)), 64)
    if dtype == torch.float32:
        return Tiles(min(rows, 32 if width <= 32 else 16), 16, 4)
    return Tiles(rows, 16, rows // 8)


class _Plan(NamedTuple):
    """Arguments that the kernels of tokens share."""

    inputs: tuple[Any, ...]  # query, key, value, decode_query, decode_key, valid, ptr
    sizes: tuple[int, ...]  # graphs, heads, nodes, shift
    strides: tuple[int, ...]
    constants: dict[str, Any]
    blocks: int
    slots: int

    @property
    def grid(self) -> tuple[int]:
        return (self.slots * self.sizes[1] * self.blocks,)

    @property
    def record(self) -> tuple[int, int, int]:
        """Shape of the records of all chunks."""
        return self.slots, self.sizes[1], self.constants["M"] * (self.constants["E"] + 2)

    def scan(self, numbers: int) -> tuple[int]:
        """Grid of a kernel that has some numbers of each head and graph."""
        return (self.sizes[0] * self.sizes[1] * triton.cdiv(numbers, _SCAN["BE"]),)


def _plan(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    decode_query: Tensor | None,
    decode_key: Tensor | None,
    valid: Tensor | None,
    ptr: Tensor,
) -> _Plan:
    key, value = launch.rows(key), launch.rows(value)
    shared = decode_query is None
    read = key if decode_query is None else launch.rows(decode_query)
    read_key = query if decode_key is None else decode_key
    (nodes, heads, dim), width, read_width = key.shape, value.shape[2], read.shape[2]
    widest = max(dim, width, read_width)
    if not 1 <= min(dim, width, read_width) <= widest <= TRITON_WIDEST:
        raise ValueError(
            f"backend 'triton': expected heads of 1 to {TRITON_WIDEST} channels (got keys of "
            f"{dim}, values of {width} and decode queries of {read_width}); choose 'reference'"
        )
    latents, graphs, half = query.shape[2], len(ptr) - 1, key.dtype != torch.float32
    pads = [max(32 if half else 16, triton.next_power_of_2(n)) for n in (dim, width, read_width)]
    chosen = tiles(latents, max(pads), key.dtype)
    # Shared latents have the stride 0 in place of the graphs'.
    strides = [
        stride
        for t in (query, read_key)
        for stride in (0 if t.shape[0] == 1 else t.stride(0), *t.stride()[1:])
    ]
    constants = {
        **dict(zip(("M", "D", "E", "F"), (latents, dim, width, read_width), strict=True)),
        **dict(zip(("DP", "EP", "FP"), pads, strict=True)),
        "BM": chosen.latents,
        "BN": chosen.tokens,
        "SHARED": shared,
        "MASKED": valid is not None,
        # The weights of a tile exceed the range of float16, and have its precision in TF32.
        "WORK": tl.bfloat16 if key.dtype == torch.bfloat16 else tl.float32,
        "PRECISION": "tf32" if key.dtype == torch.float16 else launch.precision(),
        "num_warps": chosen.warps,
        "num_stages": 1,
        **launch.FUSE,
    }
    chunk = causal_operator.TRITON_CHUNK
    flags = None if valid is None else valid.contiguous().view(torch.uint8)
    return _Plan(
        (query, key, value, read, read_key, flags, ptr),
        (graphs, heads, nodes, chunk.bit_length() - 1),
        (*strides, *(s for t in (key, value, read) for s in launch.strides(t))),
        constants,
        triton.cdiv(latents, chosen.latents),
        nodes // chunk + graphs,
    )


def causal(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    decode_query: Tensor | None,
    decode_key: Tensor | None,
    valid: Tensor | None,
    ptr: Tensor,
    lse: Tensor,
    latent: Tensor,
    scale: float,
    store: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Outputs [N, H, E], the state after the last tokens, and what the backward pass needs.

    That is the records of the past of each chunk, and the log-sum-exps [H, N] of the decode scores
    in base 2.

    Shapes: query [1 or B, H, M, D], key [N, H, D], value [N, H, E], decode_query [N, H, F],
    decode_key [1 or B, H, M, F], valid [N], ptr [B + 1] int64, lse [B, H, M] and latent
    [B, H, M, E] in float64; any strides.
    """
    plan = _plan(query, key, value, decode_query, decode_key, valid, ptr)
    _, heads, nodes, shift = plan.sizes
    float32 = {"dtype": torch.float32, "device": key.device}
    part, before = (torch.empty(plan.record, **float32) for _ in range(2))
    norm = torch.empty(plan.blocks, heads, nodes, **float32)
    lse, latent = lse.contiguous(), latent.contiguous()
    new_lse, new_latent = torch.empty_like(lse), torch.empty_like(latent)
    dtype = value.dtype if plan.blocks == 1 else torch.float32
    out = torch.empty(plan.blocks, *value.shape, dtype=dtype, device=key.device)
    factor, arguments = scale * LOG2E.value, (*plan.sizes, *plan.strides)
    numbers = plan.constants["M"] * plan.constants["E"]
    with torch.cuda.device_of(key):
        device.summary_kernel[plan.grid](
            *plan.inputs, part, norm, factor, *arguments, **plan.constants
        )
        norm = norm[0] if plan.blocks == 1 else norm.mul_(LN2.value).logsumexp(0) / LN2.value
        device.before_kernel[plan.scan(numbers)](
            part, ptr, lse, latent, before, new_lse, new_latent, heads, shift,
            M=plan.constants["M"], E=plan.constants["E"], **_SCAN,
        )  # fmt: skip
        device.output_kernel[plan.grid](
            *plan.inputs, before, norm, out, factor, *arguments, **plan.constants
        )
    out = out[0] if plan.blocks == 1 else out.sum(0).to(value.dtype)
    if not store:
        before, norm = before[:0], norm[:0]
    return out, new_lse, new_latent, before, norm


def causal_backward(
    grad: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    decode_query: Tensor | None,
    decode_key: Tensor | None,
    valid: Tensor | None,
    ptr: Tensor,
    out: Tensor,
    before: Tensor,
    norm: Tensor,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:
    """Gradients for query, key, value, decode_query and decode_key."""
    plan = _plan(query, key, value, decode_query, decode_key, valid, ptr)
    _, heads, _, shift = plan.sizes
    latents, width = plan.constants["M"], plan.constants["E"]
    dtype = key.dtype if plan.blocks == 1 else torch.float32
    parts, grads = [], []
    for of_token, of_latent in ((key, query), (value, None), (decode_query, decode_key)):
        # A placeholder where there is no gradient.
        shape = (0,) if of_token is None else (plan.blocks, *of_token.shape)
        grads.append(torch.empty(shape, dtype=dtype, device=key.device))
        shape = (0,) if of_latent is None else (plan.slots, *of_latent.shape[1:])
        parts.append(before.new_empty(shape))
    programs = min(plan.grid[0], _PROGRAMS_PER_SM * launch.multiprocessors(key))
    numbers = plan.constants["BM"] * (plan.constants["EP"] + 2)
    tile_records = before.new_empty(programs, (1 << shift) // plan.constants["BN"], numbers)
    part = before.new_empty(plan.record)
    grad = launch.rows(grad)
    delta = torch.einsum("nhe,nhe->hn", grad.float(), out.float()).contiguous()
    factor = scale * LOG2E.value
    arguments = (*plan.sizes, *launch.strides(grad), *plan.strides)
    with torch.cuda.device_of(key):
        gradient.later_kernel[plan.grid](
            grad, *plan.inputs, before, norm, part, factor, *arguments, **plan.constants
        )
        gradient.after_kernel[plan.scan(latents * (width + 1))](
            part, ptr, heads, shift, M=latents, E=width, **_SCAN
        )
        gradient.gradient_kernel[(programs,)](
            plan.grid[0], tile_records, grad, *plan.inputs, before, norm, delta, part, *grads,
            parts[0], parts[2], factor, scale, *arguments, **plan.constants,
        )  # fmt: skip
        grad_query = _sum_chunks(plan, parts[0], query, scale)
        grad_read_key = None
        if decode_key is not None:
            grad_read_key = _sum_chunks(plan, parts[2], decode_key, scale)
    grad_key, grad_value = (t[0] if plan.blocks == 1 else t.sum(0) for t in grads[:2])
    grad_read = None
    if decode_query is not None:
        grad_read = grads[2][0] if plan.blocks == 1 else grads[2].sum(0)
    return grad_query, grad_key, grad_value, grad_read, grad_read_key


def _sum_chunks(plan: _Plan, part: Tensor, given: Tensor, scale: float) -> Tensor:
    """Sums [B, H, M, D] of the chunks of each graph, or [1, H, M, D] where all share the latents.

    The latter with torch's sum over the graphs, in a fixed order.
    """
    out = part.new_empty(plan.sizes[0], *part.shape[1:])
    numbers = part[:1].numel()
    blocks = launch.sum_blocks(plan.sizes[0], numbers)
    sum_kernel[(plan.sizes[0] * triton.cdiv(numbers, blocks["BE"]),)](
        part, plan.inputs[-1], out, scale, plan.sizes[-1], E=numbers, **blocks
    )
    return out.sum(0, keepdim=True) if len(given) == 1 else out
