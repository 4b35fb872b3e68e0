"""The compiled passes of :mod:`flare_mesh.ops.gelu`."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from flare_mesh.compiled.jit import jit
from flare_mesh.compiled.threads import run
from flare_mesh.ops.numba_exp2 import exp2

_F32 = np.float32
# GELU(z) = z / (1 + 2^t) with t = -2 log2(e) sqrt(2 / pi) (z + 0.044715 z^3).
_A = _F32(-2.0 * np.log2(np.e) * np.sqrt(2.0 / np.pi))
_B = _F32(_A * 0.044715)
_LN2 = _F32(np.log(2.0))
_ONE, _TOP = _F32(1.0), _F32(126.0)
_LONG = 1024  # smallest length of a loop that is worth its start


@jit
def _forward_row(bias, z, x, out):
    for j in range(len(bias)):
        v = z[j] + bias[j]
        t = v * (_A + _B * v * v)
        t = _TOP if t > _TOP else t
        out[j] = x[j] + v / (_ONE + exp2(t))


@jit
def _replace_row(bias, z, x):
    for j in range(len(bias)):
        v = z[j] + bias[j]
        t = v * (_A + _B * v * v)
        t = _TOP if t > _TOP else t
        z[j] = x[j] + v / (_ONE + exp2(t))


@jit
def _backward_row(bias, grad, z, out):
    for j in range(len(bias)):
        v = z[j] + bias[j]
        square = v * v
        t = v * (_A + _B * square)
        t = _TOP if t > _TOP else t
        e = exp2(t)
        share = _ONE / (_ONE + e)
        slope = _LN2 * (_A + _F32(3.0) * _B * square)  # of t, as an exponent of e
        out[j] = grad[j] * (share - v * slope * (e * share) * share)


# Two functions, as LLVM vectorises the inner loop better than in one function with both loops.
@jit
def _forward(bias, z, x, out):
    for i in range(len(z)):
        _forward_row(bias, z[i], x[i], out[i])


@jit
def _replace(bias, z, x):
    for i in range(len(z)):
        _replace_row(bias, z[i], x[i])


@jit
def _backward(bias, grad, z, out):
    for i in range(len(z)):
        _backward_row(bias, grad[i], z[i], out[i])


def _over_rows(kernel: Callable[..., None], bias: Tensor, *tensors: Tensor) -> None:
    """Call the kernel with the bias on matrices [rows, C], on all threads.

    Short rows are joined into long ones with the bias repeated, as starting a loop costs time.
    """
    one = bias.detach().contiguous().numpy()
    width = len(one)
    together = -(-_LONG // width)
    flat = [t.detach().contiguous().numpy().reshape(-1) for t in tensors]
    whole = len(flat[0]) // (together * width)
    end = whole * together * width
    body = [a[:end].reshape(whole, together * width) for a in flat]
    many = np.tile(one, together)
    step = max(2**14 // _LONG, -(-whole // (2 * torch.get_num_threads())), 1)
    run(
        [*range(0, whole, step), whole],
        lambda first, last: kernel(many, *(a[first:last] for a in body)),
    )
    if end < len(flat[0]):
        kernel(one, *(a[end:].reshape(-1, width) for a in flat))


def forward(z: Tensor, bias: Tensor, x: Tensor, keep: bool = True) -> Tensor:
    """x + GELU(z + bias) of float32 tensors, [..., C] and [C].

    Without ``keep`` the result overwrites a contiguous z, which saves an allocation.
    """
    z = z.contiguous()
    if not keep:
        _over_rows(_replace, bias, z, x)
        return z.detach()
    out = torch.empty_like(z)
    _over_rows(_forward, bias, z, x, out)
    return out


def backward(grad: Tensor, z: Tensor, bias: Tensor) -> Tensor:
    """grad GELU'(z + bias)."""
    out = torch.empty_like(z, memory_format=torch.contiguous_format)
    _over_rows(_backward, bias, grad, z, out)
    return out
