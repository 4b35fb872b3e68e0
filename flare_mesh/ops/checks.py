"""What the mixer's public functions expect of their input; the errors say what was got."""

from typing import NoReturn

import torch
from torch import Tensor


def fail(name: str, expected: str, got: object) -> NoReturn:
    """Raises the one kind of error that bad input gets."""
    raise ValueError(f"flare_mesh: expected {name} {expected} (got {got})")


def check_layout(
    key: Tensor, ptr: Tensor | None, mask: Tensor | None, weight: Tensor | None
) -> int:
    """Checks node tensors against ``key``, [N, H, D] with ``ptr`` or [B, H, N, D] without.

    Returns:
        Number of graphs.
    """
    layout, dims = ("[N, H, D]", 3) if ptr is not None else ("[B, H, N, D]", 4)
    if key.dim() != dims:
        fail(f"'key' {'with' if ptr is not None else 'without'} 'ptr'", layout, list(key.shape))
    if not key.is_floating_point():
        fail("'key'", "of a floating-point dtype", key.dtype)
    if ptr is not None:
        if mask is not None:
            raise ValueError("flare_mesh: 'mask' belongs to dense input; got it with 'ptr'")
        node_shape = (len(key),)
        graphs = check_ptr(ptr, len(key), key.device)
    else:
        graphs, _, nodes, _ = key.shape
        node_shape = (graphs, nodes)
    check_mask_and_weight(mask, weight, node_shape, key.device)
    return graphs


def check_ptr(ptr: Tensor, nodes: int, device: torch.device) -> int:
    """Checks offsets of graphs for the kernels; returns the number of graphs."""
    if ptr.dtype != torch.int64:
        fail("'ptr'", "of dtype int64 and shape [B + 1]", f"{ptr.dtype} {list(ptr.shape)}")
    if ptr.device != device:
        fail("'ptr'", f"on the device of the nodes, {device}", ptr.device)
    return len(check_offsets(ptr, nodes)) - 1


def check_offsets(ptr: Tensor, nodes: int) -> list[int]:
    """Checks offsets of graphs, any integers on any device; returns them as a list."""
    if ptr.dim() != 1 or ptr.numel() < 1 or ptr.is_floating_point():
        fail("'ptr'", "to be integers of shape [B + 1]", f"{ptr.dtype} {list(ptr.shape)}")
    bounds = ptr.tolist()
    if bounds[0] != 0 or bounds[-1] != nodes or bounds != sorted(bounds):
        fail("'ptr'", f"to rise from 0 to N = {nodes}", bounds if len(bounds) < 9 else "...")
    return bounds


def check_mask_and_weight(
    mask: Tensor | None, weight: Tensor | None, shape: tuple[int, ...], device: torch.device
) -> None:
    """Checks [B, N] (or [N]) tensors of the nodes."""
    for name, tensor in (("mask", mask), ("weight", weight)):
        if tensor is not None and tuple(tensor.shape) != shape:
            fail(f"'{name}'", f"of shape {list(shape)}", list(tensor.shape))
        if tensor is not None and tensor.device != device:
            fail(f"'{name}'", f"on the device of the nodes, {device}", tensor.device)
    if mask is not None:
        if mask.dtype != torch.bool:
            fail("'mask'", "of dtype torch.bool, True = valid", mask.dtype)
        if not bool(mask.any(dim=-1).all()):
            empty = (~mask.any(dim=-1)).nonzero().flatten().tolist()
            fail("'mask'", "to keep at least one node of each graph", f"none in {empty[:8]}")
    if weight is not None:
        if not weight.is_floating_point():
            fail("'weight'", "of a floating-point dtype", weight.dtype)
        seen = weight if mask is None else weight[mask]
        if not bool(((seen > 0) & seen.isfinite()).all()):
            bad = seen[~((seen > 0) & seen.isfinite())]
            fail("'weight'", "to be positive and finite", f"{len(bad)} others, {float(bad[0])}")


def check_latents(name: str, tensor: Tensor, like: Tensor, graphs: int, shared: bool) -> None:
    """Checks a [B, H, M, D] tensor ([H, M, D] too if ``shared``) against the heads of ``like``."""
    heads, channels = like.shape[-2 if like.dim() == 3 else 1], like.shape[-1]
    shape = (heads, tensor.shape[-2] if tensor.dim() > 1 else 0, channels)
    fits = tuple(tensor.shape) == (graphs, *shape)
    if not (fits or (shared and tuple(tensor.shape) == shape)):
        either = f"[{heads}, M, {channels}] or " if shared else ""
        fail(f"'{name}'", f"of shape {either}[{graphs}, {heads}, M, {channels}]",
             list(tensor.shape))  # fmt: skip
    if tensor.shape[-2] < 1:
        fail(f"'{name}'", "to hold at least one latent", list(tensor.shape))


def check_same(name: str, tensor: Tensor, key: Tensor) -> None:
    """Checks that a tensor has the dtype and device of ``key``."""
    if tensor.dtype != key.dtype or tensor.device != key.device:
        fail(
            f"'{name}'",
            f"of the dtype and device of 'key', {key.dtype} on {key.device}",
            f"{tensor.dtype} on {tensor.device}",
        )


def check_scale(scale: float) -> None:
    """Checks that a scale is a number: as a tensor it would get no gradient."""
    if not isinstance(scale, (int, float)):
        fail("'scale'", "to be a number; multiply 'query' by a learned one", type(scale).__name__)


def check_finite(**tensors: Tensor | None) -> None:
    """Raises a ValueError that names the first tensor with NaN or infinite values."""
    for name, tensor in tensors.items():
        if tensor is not None and not bool(tensor.isfinite().all()):
            bad = int((~tensor.isfinite()).sum())
            fail(f"'{name}'", "to be finite", f"{bad} NaN or infinite of {tensor.numel()} values")
