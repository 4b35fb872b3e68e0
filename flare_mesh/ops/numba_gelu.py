"""The compiled passes of :mod:`flare_mesh.ops.gelu`."""

import numpy as np
import torch
from torch import Tensor

from flare_mesh.ops.numba_jit import exp2, jit
from flare_mesh.ops.numba_threads import run

_F32 = np.float32
# GELU(z) = z / (1 + 2^t) with t = -2 log2(e) sqrt(2 / pi) (z + 0.044715 z^3).
_A = _F32(-2.0 * np.log2(np.e) * np.sqrt(2.0 / np.pi))
_B = _F32(_A * 0.044715)
_LN2 = _F32(np.log(2.0))
_ONE, _TOP = _F32(1.0), _F32(126.0)


@jit
def _forward(z, x, out):
    for i in range(len(z)):
        v = z[i]
        t = v * (_A + _B * v * v)
        t = _TOP if t > _TOP else t
        out[i] = x[i] + v / (_ONE + exp2(t))


@jit
def _backward(grad, z, out):
    for i in range(len(z)):
        v = z[i]
        square = v * v
        t = v * (_A + _B * square)
        t = _TOP if t > _TOP else t
        e = exp2(t)
        share = _ONE / (_ONE + e)
        slope = _LN2 * (_A + _F32(3.0) * _B * square)  # of t, as an exponent of e
        out[i] = grad[i] * (share - v * slope * (e * share) * share)


def _pieces(size: int) -> list[int]:
    threads = torch.get_num_threads()
    step = max(2**14, -(-size // (2 * threads)))
    return [*range(0, size, step), size]


def forward(z: Tensor, x: Tensor) -> Tensor:
    """x + GELU(z) of contiguous float32 tensors."""
    out = torch.empty_like(z)
    arrays = [t.detach().view(-1).numpy() for t in (z, x, out)]
    run(_pieces(z.numel()), lambda start, end: _forward(*(a[start:end] for a in arrays)))
    return out


def backward(grad: Tensor, z: Tensor) -> Tensor:
    """grad GELU'(z)."""
    out = torch.empty_like(z)
    arrays = [t.detach().view(-1).numpy() for t in (grad.contiguous(), z, out)]
    run(_pieces(z.numel()), lambda start, end: _backward(*(a[start:end] for a in arrays)))
    return out
