"""Checks of the input of the mixer's public functions and modules."""

from typing import NoReturn

import torch
from torch import Tensor

from flare_mesh.ops.layout import Layout, equal_layout


def fail(name: str, expected: str, got: object) -> NoReturn:
    """Raise the error of all these checks."""
    raise ValueError(f"flare_mesh: expected {name} {expected} (got {got})")


def checked_layout(
    query: Tensor, key: Tensor, ptr: Tensor | None, mask: Tensor | None, weight: Tensor | None
) -> Layout:
    """Layout of the nodes of ``key``, [N, H, D] with ``ptr`` or [B, H, N, D] without.

    Compiled code skips the checks.

    Raises:
        ValueError: If a shape, dtype or device does not fit the others, or a value is impossible.
    """
    if torch.compiler.is_compiling():
        if ptr is not None:
            return Layout(ptr)
        return equal_layout(key.shape[0], key.shape[2], key.device)
    expected, dims = ("[N, H, D]", 3) if ptr is not None else ("[B, H, N, D]", 4)
    if key.dim() != dims:
        fail(f"'key' {'with' if ptr is not None else 'without'} 'ptr'", expected, list(key.shape))
    if not key.is_floating_point():
        fail("'key'", "of a floating-point dtype", key.dtype)
    if ptr is not None:
        if mask is not None:
            raise ValueError("flare_mesh: 'mask' belongs to dense input; got it with 'ptr'")
        layout = ragged_layout(ptr, len(key), key.device)
        check_mask_and_weight(None, weight, (len(key),), key.device)
    else:
        graphs, _, nodes, _ = key.shape
        layout = equal_layout(graphs, nodes, key.device)
        check_mask_and_weight(mask, weight, (graphs, nodes), key.device)
    check_latents("query", query, key, layout.num_graphs, shared=True)
    check_same("query", query, key)
    return layout


def ragged_layout(ptr: Tensor, nodes: int, device: torch.device) -> Layout:
    """Layout with these offsets of the graphs, checked unless the code is being compiled."""
    if torch.compiler.is_compiling():
        return Layout(ptr)
    if ptr.dtype != torch.int64:
        fail("'ptr'", "of dtype int64 and shape [B + 1]", f"{ptr.dtype} {list(ptr.shape)}")
    if ptr.device != device:
        fail("'ptr'", f"on the device of the nodes, {device}", ptr.device)
    check_ptr(ptr)
    offsets = ptr.tolist()
    check_offsets(offsets, nodes)
    return Layout(ptr, offsets=offsets)


def check_ptr(ptr: Tensor) -> None:
    """Check the shape of offsets of graphs, integers of any size."""
    if ptr.dim() != 1 or ptr.numel() < 1 or ptr.is_floating_point():
        fail("'ptr'", "to be integers of shape [B + 1]", f"{ptr.dtype} {list(ptr.shape)}")


def check_offsets(offsets: list[int], nodes: int) -> None:
    """Check the values of offsets of graphs."""
    if offsets[0] != 0 or offsets[-1] != nodes or offsets != sorted(offsets):
        got = offsets if len(offsets) < 9 else "..."
        fail("'ptr'", f"to rise from 0 to N = {nodes}", got)


def check_mask_and_weight(
    mask: Tensor | None, weight: Tensor | None, shape: tuple[int, ...], device: torch.device
) -> None:
    """Check tensors on the nodes, [B, N] or [N]."""
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
            fail("'mask'", "with at least one valid node in each graph", f"none in {empty[:8]}")
    if weight is not None:
        if not weight.is_floating_point():
            fail("'weight'", "of a floating-point dtype", weight.dtype)
        bad = ~((weight > 0) & weight.isfinite())
        if mask is not None:
            bad &= mask
        if bool(bad.any()):
            found = weight[bad]
            got = f"{len(found)} other values, the first {float(found[0])}"
            fail("'weight'", "to be positive and finite", got)


def check_latents(
    name: str, tensor: Tensor, like: Tensor, graphs: int, *, shared: bool = False
) -> None:
    """Check a [B, H, M, D] tensor ([H, M, D] too if ``shared``) against the heads of ``like``."""
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
    """Check that a tensor has the dtype and device of ``key``."""
    if tensor.dtype != key.dtype or tensor.device != key.device:
        expected = f"of the dtype and device of 'key', {key.dtype} on {key.device}"
        fail(f"'{name}'", expected, f"{tensor.dtype} on {tensor.device}")


def check_scale(scale: float) -> None:
    """Check that a scale is a number, as a tensor would get no gradient."""
    if not isinstance(scale, (int, float)):
        fail("'scale'", "to be a number; multiply 'query' by a learned one", type(scale).__name__)


def check_finite(**tensors: Tensor | None) -> None:
    """Raise a ValueError that names the first tensor with NaN or infinite values."""
    for name, tensor in tensors.items():
        if tensor is not None and not bool(tensor.isfinite().all()):
            bad = int((~tensor.isfinite()).sum())
            fail(f"'{name}'", "to be finite", f"{bad} of {tensor.numel()} values NaN or infinite")
