"""Comparison of the Triton kernels with the portable code, before ``"auto"`` takes them."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from flare_mesh.ops import backends, trilinear
from flare_mesh.ops.causal_flare import flare_causal_attention
from flare_mesh.ops.causal_linear import causal_linear_attention
from flare_mesh.ops.graph_trilinear import graph_contract, graph_moments
from flare_mesh.ops.layout import Layout

_OFFSETS = (0, 290, 290, 291, 330)  # more than one chunk, empty, one node
_HALF, _SINGLE, _TF32 = 3e-2, 1e-4, 5e-3  # largest relative errors


class _Family(NamedTuple):
    """Kernels that are tested together.

    Attributes:
        shapes: Shapes of the inputs.
        run: Output of the inputs with these offsets, by Triton or else by the portable code.
        otherwise: The backend that ``"auto"`` takes without them.
    """

    shapes: tuple[tuple[int, ...], ...]
    run: Callable[[list[Tensor], Tensor, bool], Tensor]
    otherwise: str


def _mixer(given: list[Tensor], ptr: Tensor, kernels: bool) -> Tensor:
    query, key, value = given
    query = query.expand(len(ptr) - 1, -1, -1, -1)
    layout, backend = Layout(ptr), "triton" if kernels else "reference"
    latent, _ = backends.encode(query, key, value, layout, backend=backend)
    return backends.decode(query, key, latent, layout, backend=backend)


def _causal_linear(given: list[Tensor], ptr: Tensor, kernels: bool) -> Tensor:
    query, key, value = given
    backend = "triton" if kernels else "torch"
    return causal_linear_attention(query.square(), key.square(), value, ptr, backend=backend)


def _causal_flare(given: list[Tensor], ptr: Tensor, kernels: bool) -> Tensor:
    query, key, value = given
    backend = "triton" if kernels else "reference"
    return flare_causal_attention(query, key, value, ptr=ptr, backend=backend)


def _trilinear(given: list[Tensor], ptr: Tensor, kernels: bool) -> Tensor:
    a, b, c = given
    if kernels:
        return graph_contract(graph_moments(a, b, c, ptr), b, c, ptr)
    parts = []
    for begin, end in pairwise(ptr.tolist()):
        x, y, z = (t[begin:end].transpose(0, 1) for t in (a, b, c))
        parts.append(trilinear.contract(trilinear.third_moments(x, y, z), y, z).transpose(0, 1))
    return torch.cat(parts)


_ROWS, _FEW = (_OFFSETS[-1], 2, 8), (_OFFSETS[-1], 2, 4)
FAMILIES = {
    "mixer": _Family(((2, 20, 8), _ROWS, _ROWS), _mixer, "sdpa"),
    "causal_flare": _Family(((2, 20, 8), _ROWS, _ROWS), _causal_flare, "reference"),
    "causal_linear": _Family((_ROWS, _ROWS, _ROWS), _causal_linear, "torch"),
    "trilinear": _Family((_FEW, _FEW, _FEW), _trilinear, "torch"),
}


_answers: dict[tuple[str, str, torch.dtype], bool] = {}


def works(family: str, device: str, dtype: torch.dtype) -> bool:
    """Whether the kernels of a family give the values and gradients of the portable code.

    The answer is kept for the process. A failure is one line in the log. While a CUDA graph is
    captured nothing can be compared, and the answer is no, for this time.
    """
    case = family, device, dtype
    if case not in _answers:
        if device.startswith("cuda") and torch.cuda.is_current_stream_capturing():
            return False
        _answers[case] = _passes(*case)
    return _answers[case]


def _passes(family: str, device: str, dtype: torch.dtype) -> bool:
    try:
        # A thread of its own: no autocast, compilation, transformation or mode of the caller.
        with ThreadPoolExecutor(1) as thread, _reads_allowed(device):
            error = thread.submit(_largest_error, FAMILIES[family], device, dtype).result()
    except Exception as failure:  # Triton, its compilers and the driver raise errors of any kind
        problem = f"{type(failure).__name__}: {str(failure).strip().partition(chr(10))[0]}"
    else:
        most = _tolerance(dtype)
        if error <= most:
            return True
        problem = f"expected relative errors of at most {most:g}, got {error:.2g}"
    logging.getLogger(__name__).warning(
        "the Triton kernels '%s' fail their test on %s in %s (%s); 'auto' takes backend '%s'",
        family, device, str(dtype).removeprefix("torch."), problem, FAMILIES[family].otherwise,
    )  # fmt: skip
    return False


def _tolerance(dtype: torch.dtype) -> float:
    if dtype != torch.float32:
        return _HALF
    from flare_mesh.ops.triton_launch import precision

    return _TF32 if precision() == "tf32" else _SINGLE


@contextmanager
def _reads_allowed(device: str):
    """Allow to wait for the GPU, which the comparison must, if the caller has forbidden it."""
    if not device.startswith("cuda"):
        yield
        return
    mode = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("default")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(mode)


def _largest_error(family: _Family, device: str, dtype: torch.dtype) -> float:
    """Largest relative error of output and gradients, in the norm."""
    generator = torch.Generator("cpu").manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64, device="cpu")

    drawn = [0.7 * draw(*shape) for shape in family.shapes]
    ptr = torch.tensor(_OFFSETS, device="cpu")
    upstream = draw(*family.shapes[-1]).to(dtype)
    results = []
    with torch.cuda.device(device) if device.startswith("cuda") else nullcontext():
        for kernels in (True, False):
            given = [t.to(dtype) for t in drawn]  # the same rounded numbers
            place = device if kernels else "cpu"
            given = [t.to(place) if kernels else t.double() for t in given]
            leaves = [t.requires_grad_() for t in given]
            out = family.run(leaves, ptr.to(place), kernels)
            grads = torch.autograd.grad(out, leaves, upstream.to(out))
            results.append([t.detach().cpu().double() for t in (out, *grads)])
    errors = [(got - want).norm() / want.norm() for got, want in zip(*results, strict=True)]
    return float(torch.stack(errors).nan_to_num(nan=torch.inf).max())
