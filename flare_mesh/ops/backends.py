"""The backends of the mixer by name, and the choice of ``"auto"``."""

import logging
import os
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from flare_mesh.ops import fused, fused_mixer, reference, sdpa
from flare_mesh.ops.layout import Layout
from flare_mesh.ops.recording import is_plain

NAMES = ("reference", "sdpa", "numba", "triton")
TRITON_CHANNELS = 64
"""Most channels of a head in the Triton kernels of the mixer."""
_TRITON_DTYPES = (torch.float16, torch.bfloat16, torch.float32)
_SDPA_SCORES = 2**11
"""The number of scores N H M over D, below which :func:`sdpa_is_faster` for one graph on a CPU."""
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


def sdpa_is_faster(query: Tensor, key: Tensor, layout: Layout, log_weight: Tensor | None) -> bool:
    """Whether two SDPA calls mix so few nodes in less time than the compiled loops of a CPU.

    With gradients, a call of the loops costs some 0.15 ms more than the SDPA calls. Each of the
    N H M scores costs less: SDPA's time for one hardly depends on D, while that of the loops is
    proportional to D. So SDPA wins as long as N H M is less than 2048 D (measured on an
    AMD Zen 3). For more graphs, weights, or half precision, it loses or is less accurate. Recorded
    code is for any N, and takes the loops.
    """
    heads, latents, width = query.shape[1:]
    return (
        is_plain()
        and key.device.type == "cpu"
        and layout.num_graphs == 1
        and log_weight is None
        and key.dtype in (torch.float32, torch.float64)
        and len(key) * heads * latents < _SDPA_SCORES * width
    )


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


def mix(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layout: Layout,
    log_weight: Tensor | None = None,
    *,
    scale: float = 1.0,
    backend: str = "auto",
) -> Tensor:
    """Both halves with the same keys: :func:`decode` of the latents of :func:`encode_latents`."""
    small = backend == "auto" and sdpa_is_faster(query, key, layout, log_weight)
    backend = "sdpa" if small else choose(backend, key)
    if backend == "numba" and is_plain():
        return fused_mixer.mix(query, key, value, layout, log_weight, scale)
    options: Any = {"scale": scale, "backend": backend}
    latent = encode_latents(query, key, value, layout, log_weight, **options)
    return decode(query, key, latent, layout, **options)
