"""The two halves of the mixer and their gradients on a CPU, compiled by Numba.

Every kernel (``numba_halves``) takes tiles of eight nodes: their scores with all latents of a head,
8 x M, stay in the first-level cache and are never written to memory. Exponentials are base 2, with
log2(e) and the scale multiplied into the queries.

The nodes are divided into chunks of similar size, whatever the sizes of the graphs. A segment is
the part of a chunk in one graph. Each segment has its own sums over the nodes, which are then
merged for each graph (log-sum-exp): results do not depend on the order of the threads.
"""

import math

import numpy as np
import torch
from torch import Tensor

from flare_mesh.compiled.threads import run
from flare_mesh.ops import numba_halves as halves
from flare_mesh.ops.precision import sum_dtype

_LOG2E = math.log2(math.e)
_CHUNKS_PER_THREAD = 4  # balances the load if a thread is delayed
_MIN_NODES = 256  # in a smaller chunk, the overhead of a thread exceeds the gain
_LANES = 8  # latents are padded to whole vector registers
_PADDING_SHIFT = 1e30  # subtracted from the scores of padding latents


class _Plan:
    """Segments (graph, first node, end) and the chunks that they form.

    ``chunks`` are bounds: the segments from one to the next are a chunk.
    """

    def __init__(self, ptr: Tensor, nodes: int) -> None:
        bounds = ptr.numpy()
        size = max(_MIN_NODES, -(-nodes // (_CHUNKS_PER_THREAD * torch.get_num_threads())))
        cuts = np.union1d(bounds, np.arange(0, nodes, size)).astype(np.int64)
        self.start, self.end = cuts[:-1], cuts[1:]
        self.graph = np.searchsorted(bounds, self.start, side="right") - 1
        chunk = self.start // size
        firsts = np.flatnonzero(np.diff(chunk, prepend=-1))
        self.chunks = [*firsts.tolist(), len(chunk)]
        self.num_graphs = len(bounds) - 1
        self.num_segments = len(self.start)

    def sum(self, partial: np.ndarray, latents: int, channels: int) -> Tensor:
        """Sums of the segments [S, H, D, M] over each graph, [B, H, M, D] without padding."""
        total = partial
        if not np.array_equal(self.graph, np.arange(self.num_graphs)):
            total = np.zeros((self.num_graphs, *partial.shape[1:]), partial.dtype)
            halves.add_segments(partial, self.graph, total)
        return torch.from_numpy(total)[:, :, :channels, :latents].transpose(-1, -2)


def _rows(tensor: Tensor, dtype: torch.dtype) -> np.ndarray:
    return tensor.detach().to(dtype).contiguous().numpy()


def _bias(log_weight: Tensor | None, dtype: torch.dtype) -> np.ndarray:
    """Log weights in base 2; empty for equal weights."""
    if log_weight is None:
        return torch.zeros(0, dtype=dtype).numpy()
    rows = _rows(log_weight, dtype)
    return rows * rows.dtype.type(_LOG2E)


def _latents(tensor: Tensor, dtype: torch.dtype, factor: float = 1.0) -> np.ndarray:
    """[B, H, M, D] to [B, H, even D, padded M], multiplied by ``factor``."""
    b, h, m, d = tensor.shape
    padded = tensor.new_zeros((b, h, d + d % 2, -(-m // _LANES) * _LANES), dtype=dtype)
    torch.mul(tensor.detach().to(dtype).transpose(-1, -2), factor, out=padded[:, :, :d, :m])
    return padded.numpy()


def _queries(query: Tensor, dtype: torch.dtype, scale: float) -> np.ndarray:
    """Queries for base-2 scores; [1, H, even D, padded M] if all graphs share them."""
    shared = query.shape[0] > 1 and query.stride(0) == 0
    return _latents(query[:1] if shared else query, dtype, scale * _LOG2E)


def _longest(queries: np.ndarray) -> np.ndarray:
    """Largest norm of each head's queries, [B, H], for a bound of the scores."""
    return np.sqrt(np.square(queries).sum(axis=2).max(axis=-1))


def _shift(tensor: Tensor | None, like: np.ndarray, latents: int) -> np.ndarray:
    """[B, H, M] (zeros if None), padded so that padding latents get zero weight."""
    shape = like.shape[:2] if tensor is None else tensor.shape[:2]
    padded = np.full((*shape, like.shape[-1]), _PADDING_SHIFT, like.dtype)
    padded[..., :latents] = 0 if tensor is None else tensor.detach().numpy()
    return padded


def encode(
    query: Tensor, key: Tensor, value: Tensor, ptr: Tensor, log_weight: Tensor | None, scale: float
) -> tuple[Tensor, Tensor]:
    """First half: latents [B, H, M, D] and log-sum-exps [B, H, M], 0 and -inf for an empty graph.

    Shapes: query [B, H, M, D], with a batch stride of 0 not copied for each graph; key, value
    [N, H, D]; ptr [B + 1]; log_weight [N] or None. Results are in float32 (float64 for float64).
    """
    dtype = sum_dtype(key)
    (b, h, m, d), plan = query.shape, _Plan(ptr, len(key))
    q, k, v = _queries(query, dtype, scale), _rows(key, dtype), _rows(value, dtype)
    bias = _bias(log_weight, dtype)
    longest = _longest(q)
    sums = np.zeros((plan.num_segments, h, d + 1, q.shape[-1]), k.dtype)
    shift = np.empty((plan.num_segments, h, q.shape[-1]), k.dtype)
    run(
        plan.chunks,
        lambda first, last: halves.encode(
            q, longest, k, v, bias, plan.graph, plan.start, plan.end, first, last, sums, shift
        ),
    )
    latent, lse = np.zeros((b, h, m, d), k.dtype), np.full((b, h, m), -np.inf, k.dtype)
    halves.merge_segments(sums, shift, plan.graph, latent, lse)
    return torch.from_numpy(latent), torch.from_numpy(lse)


def encode_backward(
    grad_latent: Tensor,
    grad_lse: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    ptr: Tensor,
    log_weight: Tensor | None,
    latent: Tensor,
    lse: Tensor,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Gradients for query, key, value and log_weight, from those for latents and log-sum-exps."""
    dtype = sum_dtype(key)
    (m, d), plan = query.shape[2:], _Plan(ptr, len(key))
    q, k, v = _queries(query, dtype, scale), _rows(key, dtype), _rows(value, dtype)
    bias = _bias(log_weight, dtype)
    dz = _latents(grad_latent, dtype)
    # P = exp(S - lse); dS = P (dZ V^T - delta).
    delta = _shift((grad_latent * latent).sum(-1) - grad_lse, dz, m)
    delta[..., m:] = 0
    total = _shift(lse * _LOG2E, dz, m)
    dk, dv = np.empty_like(k), np.empty_like(v)
    dq = np.zeros((plan.num_segments, *dz.shape[1:]), k.dtype)
    dbias = np.zeros(len(bias), k.dtype)
    run(
        plan.chunks,
        lambda first, last: halves.encode_backward(
            q, k, v, bias, dz, delta, total, plan.graph, plan.start, plan.end, first, last,
            dq, dk, dv, dbias,
        ),
    )  # fmt: skip
    grad_weight = None if log_weight is None else torch.from_numpy(dbias)
    return plan.sum(dq, m, d) * scale, torch.from_numpy(dk), torch.from_numpy(dv), grad_weight


def decode(
    query: Tensor, key: Tensor, latent: Tensor, ptr: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """Second half: values [N, H, D] in the dtype of ``key``, and log-sum-exps [N, H].

    Shapes as :func:`encode`, and latent [B, H, M, D].
    """
    dtype = sum_dtype(key)
    (m, d), plan = query.shape[2:], _Plan(ptr, len(key))
    q, k, z = _queries(query, dtype, scale), _rows(key, dtype), _latents(latent, dtype)
    z = np.concatenate([z[:, :, :d], np.zeros_like(z[:, :, :1])], axis=2)
    z[:, :, -1, :m] = 1  # for the sum of the weights
    shift, longest = _shift(None, q, m), _longest(q)
    out, lse = np.empty_like(k), np.empty(k.shape[:2], k.dtype)
    run(
        plan.chunks,
        lambda first, last: halves.decode(
            q, longest, k, z, shift, plan.graph, plan.start, plan.end, first, last, out, lse
        ),
    )
    return torch.from_numpy(out).to(key.dtype), torch.from_numpy(lse)


def decode_backward(
    grad_out: Tensor,
    query: Tensor,
    key: Tensor,
    latent: Tensor,
    ptr: Tensor,
    out: Tensor,
    lse: Tensor,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients for query, key and latent, from those for the values."""
    dtype = sum_dtype(key)
    (m, d), plan = query.shape[2:], _Plan(ptr, len(key))
    q, k, z = _queries(query, dtype, scale), _rows(key, dtype), _latents(latent, dtype)
    shift = _shift(None, q, m)
    dy, y, total = _rows(grad_out, dtype), _rows(out, dtype), _rows(lse, dtype)
    dk = np.empty_like(k)
    dq = np.zeros((plan.num_segments, *z.shape[1:]), k.dtype)
    dz = np.zeros_like(dq)
    run(
        plan.chunks,
        lambda first, last: halves.decode_backward(
            q, k, z, shift, dy, y, total, plan.graph, plan.start, plan.end, first, last,
            dq, dk, dz,
        ),
    )  # fmt: skip
    return plan.sum(dq, m, d) * scale, torch.from_numpy(dk), plan.sum(dz, m, d)
