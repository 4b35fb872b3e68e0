"""The backends of the mixer by name, and the choice of ``"auto"``."""

import logging
import os
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from flare_mesh.ops import fused, reference, sdpa
from flare_mesh.ops.layout import Layout

NAMES = ("reference", "sdpa", "numba", "triton")
TRITON_CHANNELS = 64
"""Most channels of a head in the Triton kernels of the mixer."""
_TRITON_DTYPES = (torch.float16, torch.bfloat16, torch.float32)
_HAS_TRITON = find_spec("triton") is not None


@cache
def _test_numba() -> bool:
    try:
        import_module("flare_mesh.ops.numba_kernels").test_compilation()
    except Exception as error:  # LLVM, Numba and the loader raise errors of any kind
        logging.getLogger(__name__).warning(
            "loops cannot be compiled on this processor (%s: %s); 'auto' takes backend 'sdpa'",
            type(error).__name__, error,
        )  # fmt: skip
        return False
    return True


def _numba_works() -> bool:
    return _test_numba()


# As torch.compiler.assume_constant_result does, which imports all of the compiler, for a second.
_numba_works._dynamo_marked_constant = True  # pyright: ignore[reportFunctionMemberAccess]


def prefers_triton(family: str, key: Tensor) -> bool:
    """Whether ``"auto"`` takes the Triton kernels of a family for tensors like ``key``.

    They must be on a GPU, and the kernels pass a comparison of values, once in a process for each
    device and dtype. While a CUDA graph is captured nothing can be compared: the answer is then no
    unless it is known.
    """
    usable = _HAS_TRITON and key.device.type == "cuda" and key.dtype in _TRITON_DTYPES
    return usable and _triton_works(family, str(key.device), key.dtype)


def _triton_works(family: str, device: str, dtype: torch.dtype) -> bool:
    return import_module("flare_mesh.ops.triton_self_test").works(family, device, dtype)


_triton_works._dynamo_marked_constant = True  # pyright: ignore[reportFunctionMemberAccess]


def choose(backend: str, key: Tensor) -> str:
    """Name of the backend for ``key``, with ``"auto"`` resolved.

    Raises:
        ValueError: If the backend is unknown or does not support these tensors.
    """
    if backend == "auto":
        if key.device.type == "cpu":
            return "numba" if _numba_works() else "sdpa"
        fits = key.shape[-1] <= TRITON_CHANNELS and prefers_triton("mixer", key)
        return "triton" if fits else "sdpa"
    if backend not in NAMES:
        raise ValueError(f"unknown backend '{backend}'; choose from {['auto', *NAMES]}")
    if backend == "numba" and key.device.type != "cpu":
        raise ValueError(
            f"backend 'numba' needs tensors on the CPU (got tensors on {key.device}); choose 'auto'"
        )
    if backend == "triton":
        check_triton(key)
    return backend


def check_triton(key: Tensor) -> None:
    """Check that Triton's kernels can run on tensors like ``key``.

    Raises:
        ValueError: If the package, a GPU or the dtype is missing.
    """
    if not _HAS_TRITON:
        raise ValueError("backend 'triton' needs the package triton; install it or use 'auto'")
    if key.device.type == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
        raise ValueError(
            "backend 'triton' needs tensors on a GPU (got tensors on the CPU); choose 'auto'"
        )
    if key.dtype not in _TRITON_DTYPES:
        raise ValueError(
            f"backend 'triton' supports float16, bfloat16 and float32 (got {key.dtype}); "
            "choose 'auto'"
        )


_HALVES: dict[str, tuple[Any, Any]] = {
    "reference": (reference.encode, reference.decode),
    "sdpa": (sdpa.encode, sdpa.decode),
    **{
        name: (partial(fused.encode, backend=name), partial(fused.decode, backend=name))
        for name in ("numba", "triton")
    },
}


def encode(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layout: Layout,
    log_weight: Tensor | None = None,
    *,
    scale: float = 1.0,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """:func:`flare_mesh.flare_encode` on flat tensors, unchecked; query [B, H, M, D]."""
    half = _HALVES[choose(backend, key)][0]
    # Autocast would round log weights and scores to half precision.
    with torch.autocast(key.device.type, enabled=False):
        return half(query, key, value, layout, log_weight, scale)


def decode(
    query: Tensor,
    key: Tensor,
    latent: Tensor,
    layout: Layout,
    *,
    scale: float = 1.0,
    backend: str = "auto",
) -> Tensor:
    """:func:`flare_mesh.flare_decode` on flat tensors, unchecked; query [B, H, M, D]."""
    half = _HALVES[choose(backend, key)][1]
    with torch.autocast(key.device.type, enabled=False):
        return half(query, key, latent, layout, scale)


def encode_latents(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layout: Layout,
    log_weight: Tensor | None = None,
    *,
    scale: float = 1.0,
    backend: str = "auto",
) -> Tensor:
    """Latents of :func:`encode` without log-sum-exps, which SDPA gives in one pass."""
    backend = choose(backend, key)
    if backend == "sdpa":
        with torch.autocast(key.device.type, enabled=False):
            return sdpa.encode_latents(query, key, value, layout, log_weight, scale)
    return encode(query, key, value, layout, log_weight, scale=scale, backend=backend)[0]
