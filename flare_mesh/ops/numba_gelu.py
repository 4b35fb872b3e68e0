"""The compiled passes of :mod:`flare_mesh.ops.residual_layers`."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from flare_mesh.compiled.jit import jit
from flare_mesh.compiled.layer_blocks import CUBIC, LINEAR
from flare_mesh.compiled.team import fork, next_task, run_tasks
from flare_mesh.ops.numba_exp2 import exp2

_F32 = np.float32
# GELU(z) = z / (1 + 2^t) with t = A z + B z^3.
_A = _F32(LINEAR)
_B = _F32(_A * CUBIC)
_LN2 = _F32(np.log(2.0))
_ONE, _TOP = _F32(1.0), _F32(126.0)
_LONG = 1024  # smallest length of a loop that is worth its start
_TASK = 16  # rows of this length


@jit
def _replace_row(bias, z, x):
    for j in range(len(bias)):
        v = z[j] + bias[j]
        t = v * (_A + _B * v * v)
        t = _TOP if t > _TOP else t
        z[j] = x[j] + v / (_ONE + exp2(t))


@jit
def _slope_row(bias, z, x, out):
    for j in range(len(bias)):
        v = z[j] + bias[j]
        square = v * v
        t = v * (_A + _B * square)
        t = _TOP if t > _TOP else t
        e = exp2(t)
        share = _ONE / (_ONE + e)
        slope = _LN2 * (_A + _F32(3.0) * _B * square)  # of t, as an exponent of e
        z[j] = share - v * slope * (e * share) * share
        out[j] = x[j] + v * share


# Two functions, as LLVM vectorises the inner loop better than in one function with both loops.
# A single row x is added to all rows.
@jit
def _replace(team, bias, z, x):
    if fork(team):
        return
    task = next_task(team)
    while task * _TASK < len(z):
        for i in range(task * _TASK, min((task + 1) * _TASK, len(z))):
            _replace_row(bias, z[i], x[min(i, len(x) - 1)])
        task = next_task(team)


@jit
def _slope(team, bias, z, x, out):
    if fork(team):
        return
    task = next_task(team)
    while task * _TASK < len(z):
        for i in range(task * _TASK, min((task + 1) * _TASK, len(z))):
            _slope_row(bias, z[i], x[min(i, len(x) - 1)], out[i])
        task = next_task(team)


def _over_rows(
    kernel: Callable[..., None], bias: Tensor, z: Tensor, x: Tensor | None, *out: Tensor
) -> None:
    """Call the kernel with the bias on matrices [rows, C], on all threads.

    Short rows are joined into long ones with the bias repeated, as starting a loop costs time.
    """
    one = bias.detach().contiguous().numpy()
    width = len(one)
    together = -(-_LONG // width)
    flat = [t.detach().numpy().reshape(-1) for t in (z, *([] if x is None else [x]), *out)]
    whole = len(flat[0]) // (together * width)
    end = whole * together * width
    body = [a[:end].reshape(whole, together * width) for a in flat]
    tail = [a[end:].reshape(-1, width) for a in flat]
    many = np.tile(one, together)
    if x is None:
        nothing = np.zeros((1, len(many)), _F32)
        body.insert(1, nothing)
        tail.insert(1, nothing)
    run_tasks(kernel, -(-whole // _TASK), many, *body)
    if end < len(flat[0]):
        run_tasks(kernel, 1, one, *tail)


def replace(z: Tensor, bias: Tensor, x: Tensor | None) -> Tensor:
    """x + GELU(z + bias) of float32 tensors [N, C] and [C], in the memory of z."""
    _over_rows(_replace, bias, z, x)
    return z


def value_and_slope(z: Tensor, bias: Tensor, x: Tensor | None) -> Tensor:
    """x + GELU(z + bias), and GELU'(z + bias) in the memory of z."""
    out = torch.empty_like(z)
    _over_rows(_slope, bias, z, x, out)
    return out
