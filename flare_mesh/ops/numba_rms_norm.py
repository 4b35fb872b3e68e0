"""The compiled passes of :mod:`flare_mesh.ops.rms_norm`."""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor

from flare_mesh.compiled.jit import FAST_SUM, jit
from flare_mesh.compiled.team import fork, next_task, num_threads, run_tasks

_F32 = np.float32
# Without estimates of reciprocals, which are NaN for the root of infinity.
_FAST = FAST_SUM - {"arcp"}
_TASK = 2**14  # numbers
_BLOCK = 256  # rows
_PARTS = 2  # for each thread: sums of weight gradients, and tasks that balance the threads


@cache
def _forward(width: int) -> Callable[..., None]:
    """The loop for rows of so many numbers."""
    share = _F32(1 / width)

    @jit(fastmath=_FAST)
    def forward(team, parts, x, weight, eps, out):
        if fork(team):
            return
        rows = len(x) // width
        part = next_task(team)
        while part < parts:
            for i in range(part * rows // parts, (part + 1) * rows // parts):
                at = i * width
                total = _F32(0.0)
                for j in range(width):
                    total += x[at + j] * x[at + j]
                factor = _F32(1.0) / np.sqrt(total * share + eps)
                for j in range(width):
                    out[at + j] = x[at + j] * factor * weight[j]
            part = next_task(team)

    return forward


@cache
def _backward(width: int) -> Callable[..., None]:
    """The gradients' loop for rows of so many numbers."""
    share = _F32(1 / width)

    @jit(fastmath=_FAST)
    def backward(team, parts, x, weight, eps, grad, grad_x, sums):
        """Gradients at x, and the sums of each part at the weight, with place for as many."""
        if fork(team):
            return
        rows = len(x) // width
        part = next_task(team)
        while part < parts:
            of_part = sums[2 * part * width : (2 * part + 1) * width]
            of_block = sums[(2 * part + 1) * width : (2 * part + 2) * width]
            of_part[:] = 0
            stop = (part + 1) * rows // parts
            for begin in range(part * rows // parts, stop, _BLOCK):
                of_block[:] = 0  # long sums of float32 lose digits
                for i in range(begin, min(begin + _BLOCK, stop)):
                    at = i * width
                    total, product = _F32(0.0), _F32(0.0)
                    for j in range(width):
                        total += x[at + j] * x[at + j]
                        product += x[at + j] * (grad[at + j] * weight[j])
                    factor = _F32(1.0) / np.sqrt(total * share + eps)
                    pull = product * share * factor * factor
                    for j in range(width):
                        g = grad[at + j]
                        grad_x[at + j] = factor * (g * weight[j] - x[at + j] * pull)
                        of_block[j] += g * (x[at + j] * factor)
                of_part += of_block
            part = next_task(team)

    return backward


def _flat(tensor: Tensor) -> np.ndarray:
    return tensor.detach().view(-1).numpy()


def _weight(x: Tensor, weight: Sequence[Tensor]) -> np.ndarray:
    return _flat(weight[0].contiguous()) if weight else np.ones(x.shape[-1], _F32)


def _parts(x: Tensor) -> int:
    tasks = -(-x.numel() // _TASK)
    return min(_PARTS * num_threads(tasks), tasks)


def value(x: Tensor, weight: Sequence[Tensor], eps: float) -> Tensor:
    """Normalised rows of x, contiguous float32, times the weight if there is one."""
    out, parts = torch.empty_like(x), _parts(x)
    loop = _forward(x.shape[-1])
    run_tasks(loop, parts, parts, _flat(x), _weight(x, weight), _F32(eps), _flat(out))
    return out


def gradients(grad: Tensor, x: Tensor, weight: Sequence[Tensor], eps: float) -> list[Tensor]:
    """Gradients at x, and at the weight if there is one."""
    x = x.contiguous()  # hooks of saved tensors may have changed their order
    grad_x, parts, width = torch.empty_like(x), _parts(x), x.shape[-1]
    sums = np.empty(parts * 2 * width, _F32)
    run_tasks(
        _backward(width), parts, parts, _flat(x), _weight(x, weight), _F32(eps),
        _flat(grad.contiguous()), _flat(grad_x), sums,
    )  # fmt: skip
    return [grad_x, *(torch.from_numpy(sums.reshape(parts, 2, width)[:, 0].sum(0)) for _ in weight)]
