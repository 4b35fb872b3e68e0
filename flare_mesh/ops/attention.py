"""The FLARE mixer: one public function in front of every backend."""

from collections.abc import Callable

import torch
from torch import Tensor

from flare_mesh.ops.reference import flare_attention_reference
from flare_mesh.ops.sdpa import flare_attention_sdpa

_BACKENDS: dict[str, Callable[..., Tensor]] = {
    "reference": flare_attention_reference,
    "sdpa": flare_attention_sdpa,
}


def _fail(name: str, expected: str, got: object) -> None:
    raise ValueError(f"flare_attention: expected {name} {expected} (got {got})")


def _check_node_tensor(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(tensor.shape) != shape:
        _fail(f"'{name}'", f"of shape {list(shape)}", list(tensor.shape))


def _check(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    ptr: Tensor | None,
    mask: Tensor | None,
    weight: Tensor | None,
) -> None:
    layout, dims = ("[N, H, D]", 3) if ptr is not None else ("[B, H, N, D]", 4)
    if key.dim() != dims:
        _fail(f"'key' {'with' if ptr is not None else 'without'} 'ptr'", layout, list(key.shape))
    if value.shape != key.shape:
        _fail("'value'", f"of the shape of 'key', {list(key.shape)}", list(value.shape))
    for name, tensor in (("query", query), ("value", value)):
        if tensor.dtype != key.dtype or tensor.device != key.device:
            _fail(
                f"'{name}'",
                f"of the dtype and device of 'key', {key.dtype} on {key.device}",
                f"{tensor.dtype} on {tensor.device}",
            )
    if not key.is_floating_point():
        _fail("'key'", "of a floating-point dtype", key.dtype)

    if ptr is not None:
        if mask is not None:
            raise ValueError("flare_attention: 'mask' belongs to dense input; got it with 'ptr'")
        nodes, heads, channels = key.shape
        if ptr.dim() != 1 or ptr.numel() < 1 or ptr.is_floating_point():
            _fail("'ptr'", "integers of shape [B + 1]", f"{ptr.dtype} {list(ptr.shape)}")
        bounds = ptr.tolist()
        if bounds[0] != 0 or bounds[-1] != nodes or bounds != sorted(bounds):
            _fail("'ptr'", f"to rise from 0 to N = {nodes}", bounds if len(bounds) < 9 else "...")
        graphs, node_shape = len(bounds) - 1, (nodes,)
    else:
        graphs, heads, nodes, channels = key.shape
        node_shape = (graphs, nodes)
    if query.dim() == 3:
        expected = (heads, query.shape[-2], channels)
    else:
        expected = (graphs, heads, query.shape[-2], channels)
    if query.dim() not in (3, 4) or tuple(query.shape) != expected:
        _fail(
            "'query'",
            f"of shape [{heads}, M, {channels}] or [{graphs}, {heads}, M, {channels}]",
            list(query.shape),
        )
    if query.shape[-2] < 1:
        _fail("'query'", "to hold at least one latent", list(query.shape))

    if mask is not None:
        _check_node_tensor("mask", mask, node_shape)
        if mask.dtype != torch.bool:
            _fail("'mask'", "of dtype torch.bool, True = valid", mask.dtype)
        if not bool(mask.any(dim=-1).all()):
            empty = (~mask.any(dim=-1)).nonzero().flatten().tolist()
            _fail("'mask'", "to keep at least one node of each graph", f"none in {empty[:8]}")
    if weight is not None:
        _check_node_tensor("weight", weight, node_shape)
        seen = weight if mask is None else weight[mask]
        if not bool((seen > 0).all()):
            _fail("'weight'", "to be positive", f"a smallest value of {float(seen.min())}")


def flare_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    ptr: Tensor | None = None,
    mask: Tensor | None = None,
    weight: Tensor | None = None,
    scale: float = 1.0,
    backend: str = "auto",
) -> Tensor:
    r"""Mixes N nodes through M latents in O(N M) (FLARE, arXiv 2508.12594).

    .. math::
        Z = \mathrm{softmax}_N(s\, Q K^T + \log w)\, V, \qquad
        Y = \mathrm{softmax}_M(s\, K Q^T)\, Z

    Two layouts: dense tensors with a batch dimension (and a mask where graphs are padded), or
    flat PyG batches of graphs of unequal size with their offsets ``ptr``. A graph's result does
    not depend on the other graphs nor on padding.

    Args:
        query: Latent queries, [H, M, D] shared by the graphs, or [B, H, M, D].
        key: [B, H, N, D], or [N, H, D] with ``ptr``.
        value: Shape of ``key``.
        ptr: Offsets of the graphs in a flat batch, [B + 1], from 0 to N; graphs may be empty.
        mask: Valid nodes of dense input, [B, N], True = valid. Masked rows of the output are 0.
        weight: Positive share of each node in the encode sum (its area or volume), [B, N] or
            [N]: makes the sum a quadrature. None weighs all nodes alike.
        scale: Factor s on the scores of both passes.
        backend: ``"reference"``, ``"sdpa"``, or ``"auto"`` for the fastest that can run.

    Returns:
        Mixed values, shape of ``value``.

    Raises:
        ValueError: If shapes, dtypes, devices, ``ptr``, ``mask`` or ``weight`` do not fit, or the
            backend is unknown.
    """
    name = "sdpa" if backend == "auto" else backend
    if name not in _BACKENDS:
        raise ValueError(
            f"flare_attention: unknown backend '{backend}'; choose from {['auto', *_BACKENDS]}"
        )
    if not torch.compiler.is_compiling():
        _check(query, key, value, ptr, mask, weight)
    return _BACKENDS[name](query, key, value, ptr=ptr, mask=mask, weight=weight, scale=scale)
