"""The two halves of the mixer and their gradients on a CPU, compiled by Numba.

The kernels (``numba_encode``, ``numba_decode``) take tiles of four nodes with two vector registers
of latents: the scores of a tile are computed, exponentiated and multiplied into the sums in
registers (``compiled.blocks``). Exponentials are base 2, with log2(e) and the scale multiplied into
the queries.

Each graph is divided into pieces of similar size, which depend on its own number of nodes only.
Each piece has its own sums over the nodes, which are then merged for each graph (log-sum-exp): the
results depend neither on the other graphs nor on the number or the order of the threads.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from flare_mesh.compiled.block_code import width
from flare_mesh.compiled.threads import run
from flare_mesh.ops import checks, numba_decode, numba_encode
from flare_mesh.ops.numba_tiles import BLOCK, merge_gradients, transpose
from flare_mesh.ops.precision import sum_dtype

_LOG2E, _LN2 = math.log2(math.e), math.log(2.0)
_TASKS_PER_THREAD = 4  # balances the load if a thread is delayed
_PIECES = 64  # of a large graph, at most: more would cost more sums than they balance load
_PADDING_SHIFT = 1e30  # subtracted from the scores of padding latents


class _Plan:
    """Pieces (graph, first node, end) of the graphs, and the tasks that they form.

    ``tasks`` are bounds: the pieces from one to the next are a task.
    """

    def __init__(self, bounds: np.ndarray, threads: int) -> None:
        sizes = np.diff(bounds)
        length = BLOCK * np.maximum(1, -(-sizes // (_PIECES * BLOCK)))
        counts = -(-sizes // length)
        self.graph = np.repeat(np.arange(len(sizes)), counts)
        place = np.arange(len(self.graph)) - np.repeat(np.cumsum(counts) - counts, counts)
        self.start = bounds[self.graph] + place * length[self.graph]
        self.end = np.minimum(self.start + length[self.graph], bounds[self.graph + 1])
        self.num_pieces = len(self.graph)
        self.tasks = [0, self.num_pieces]
        if threads > 1:
            task = self.start // max(1, -(-int(bounds[-1]) // (_TASKS_PER_THREAD * threads)))
            self.tasks = [*np.flatnonzero(np.diff(task, prepend=-1)).tolist(), self.num_pieces]


@lru_cache(maxsize=32)
def _cached_plan(bounds: bytes, nodes: int, threads: int) -> _Plan:
    offsets = np.frombuffer(bounds, np.int64)
    # Compiled code has no other check, and loops beyond the arrays would write into other memory.
    checks.check_offsets(offsets.tolist(), nodes)
    return _Plan(offsets, threads)


def _plan_of(ptr: Tensor, query: Tensor, key: Tensor) -> _Plan:
    """Plan for the graphs of ``query``, of the nodes of ``key``.

    Raises:
        ValueError: If ``ptr`` does not rise from 0 to the number of nodes, or has other graphs.
    """
    checks.check_ptr(ptr)
    if len(query) != len(ptr) - 1:
        checks.fail("'query'", f"of the {len(ptr) - 1} graphs of 'ptr'", list(query.shape))
    bounds = ptr.numpy().astype(np.int64, copy=False).tobytes()
    return _cached_plan(bounds, len(key), torch.get_num_threads())


def _rows(tensor: Tensor, dtype: torch.dtype) -> np.ndarray:
    """[.., D] to [.., D padded to a multiple of four], flat."""
    tensor = tensor.detach().to(dtype)
    if missing := -tensor.shape[-1] % 4:
        tensor = torch.nn.functional.pad(tensor, (0, missing))
    return tensor.contiguous().view(-1).numpy()


def _empty_rows(key: Tensor, dtype: torch.dtype) -> Tensor:
    """Memory for the padded rows of a result of the shape of ``key``."""
    *rows, channels = key.shape
    return torch.empty((*rows, channels + -channels % 4), dtype=dtype)


def _unpadded(rows: Tensor, key: Tensor) -> Tensor:
    return rows if rows.shape == key.shape else rows[..., : key.shape[-1]].contiguous()


def _bias(log_weight: Tensor | None, dtype: torch.dtype) -> np.ndarray:
    """Log weights in base 2; empty for equal weights."""
    if log_weight is None:
        return np.empty(0, np.float64 if dtype == torch.float64 else np.float32)
    return (log_weight.detach().to(dtype) * _LOG2E).numpy()


def _padded(count: int, dtype: torch.dtype) -> int:
    """Latents in whole blocks."""
    columns = width(torch.finfo(dtype).bits)
    return -(-count // columns) * columns


def _latents(tensor: Tensor, dtype: torch.dtype, factor: float = 1.0) -> np.ndarray:
    """[B, H, M, D] to [B, H, padded D, padded M], flat, multiplied by ``factor``."""
    b, h, m, d = tensor.shape
    source, padded = _rows(tensor, dtype), _padded(m, dtype)
    channels = d + -d % 4
    new = np.empty if padded == m else np.zeros
    out = new(b * h * channels * padded, source.dtype)
    transpose(source, (m, channels, padded), source.dtype.type(factor), out)
    return out


def _merge(
    partial: np.ndarray, plan: _Plan, query: Tensor, sizes: tuple[int, ...], factor: float
) -> Tensor:
    """Sum the gradients of the pieces [S, H, padded D, padded M] to the graphs' [B, H, M, D]."""
    out = np.zeros(query.shape, partial.dtype)
    h, m, d = query.shape[1:]
    merge_gradients(
        partial, plan.graph, (h, m, d, *sizes[-2:]), out.dtype.type(factor), out.reshape(-1)
    )
    return torch.from_numpy(out)


def _shared(query: Tensor) -> bool:
    return query.shape[0] > 1 and query.stride(0) == 0


def _queries(query: Tensor, dtype: torch.dtype, scale: float) -> np.ndarray:
    """Queries for base-2 scores, of one graph if all graphs share them."""
    return _latents(query[:1] if _shared(query) else query, dtype, scale * _LOG2E)


def _sizes(query: Tensor, dtype: torch.dtype) -> tuple[int, int, int, int]:
    """Whether graphs share the queries, heads, padded channels, padded latents."""
    _, h, m, d = query.shape
    return int(_shared(query)), h, d + -d % 4, _padded(m, dtype)


def _pad(tensor: Tensor, padded: int, value: float) -> np.ndarray:
    """[.., M] to [.., padded M], flat."""
    missing = padded - tensor.shape[-1]
    if missing:
        tensor = torch.nn.functional.pad(tensor, (0, missing), value=value)
    return tensor.contiguous().view(-1).numpy()


def _padding(latents: int, padded: int, dtype: torch.dtype) -> np.ndarray:
    return _pad(torch.zeros(latents, dtype=dtype), padded, _PADDING_SHIFT)


def test_compilation() -> None:
    """Compile a small loop and run it.

    Raises:
        Exception: If that fails on this processor.
    """
    if not np.array_equal(_latents(torch.ones(1, 1, 1, 4), torch.float32)[:1], [1]):
        raise RuntimeError("a compiled loop gave a wrong result")


def encode(
    query: Tensor, key: Tensor, value: Tensor, ptr: Tensor, log_weight: Tensor | None, scale: float
) -> tuple[Tensor, Tensor]:
    """First half: latents [B, H, M, D] and log-sum-exps [B, H, M], 0 and -inf for an empty graph.

    Shapes: query [B, H, M, D], with a batch stride of 0 not copied for each graph; key, value
    [N, H, D]; ptr [B + 1]; log_weight [N] or None. Results are in float32 (float64 for float64).
    """
    dtype = sum_dtype(key)
    (b, h, m, _), plan, sizes = query.shape, _plan_of(ptr, query, key), _sizes(query, dtype)
    q, k, v = _queries(query, dtype, scale), _rows(key, dtype), _rows(value, dtype)
    bias = _bias(log_weight, dtype)
    sums = np.zeros((plan.num_pieces, h, sizes[-2] + 1, sizes[-1]), k.dtype)
    shift = np.zeros((plan.num_pieces, h, sizes[-1]), k.dtype)
    flat = sums.reshape(-1), shift.reshape(-1)
    run(
        plan.tasks,
        lambda first, last: numba_encode.encode(
            q, k, v, bias, plan.graph, plan.start, plan.end, first, last, sizes, *flat
        ),
    )
    latent, total = torch.zeros(query.shape, dtype=dtype), torch.zeros((b, h, m), dtype=dtype)
    top = torch.zeros((b, h, m), dtype=dtype)
    numba_encode.merge_encodings(
        sums, shift, plan.graph, latent.numpy(), total.numpy(), top.numpy()
    )
    return latent, total.log_().add_(top, alpha=_LN2)


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
    h, plan, sizes = query.shape[1], _plan_of(ptr, query, key), _sizes(query, dtype)
    q, k, v = _queries(query, dtype, scale), _rows(key, dtype), _rows(value, dtype)
    bias, dz = _bias(log_weight, dtype), _latents(grad_latent, dtype)
    # P = exp(S - lse); dS = P (dZ V^T - delta).
    delta = _pad((grad_latent * latent).sum(-1) - grad_lse, sizes[-1], 0.0)
    total = _pad(lse * _LOG2E, sizes[-1], _PADDING_SHIFT)
    dk, dv = _empty_rows(key, dtype), _empty_rows(key, dtype)
    dq = np.zeros(plan.num_pieces * h * sizes[-2] * sizes[-1], k.dtype)
    dbias = torch.zeros(len(bias), dtype=dtype)
    outputs = [t.view(-1).numpy() for t in (dk, dv, dbias)]
    run(
        plan.tasks,
        lambda first, last: numba_encode.encode_backward(
            q, k, v, bias, dz, delta, total, plan.graph, plan.start, plan.end, first, last, sizes,
            dq, *outputs,
        ),
    )  # fmt: skip
    grad_weight = None if log_weight is None else dbias
    dk, dv = _unpadded(dk, key), _unpadded(dv, key)
    return _merge(dq, plan, query, sizes, scale), dk, dv, grad_weight


def decode(
    query: Tensor, key: Tensor, latent: Tensor, ptr: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """Second half: values [N, H, D] in the dtype of ``key``, and log-sum-exps [N, H] in base 2.

    Shapes as :func:`encode`, and latent [B, H, M, D].
    """
    dtype = sum_dtype(key)
    plan, sizes = _plan_of(ptr, query, key), _sizes(query, dtype)
    q, k, z = _queries(query, dtype, scale), _rows(key, dtype), _latents(latent, dtype)
    padding = _padding(query.shape[2], sizes[-1], dtype)
    out = _empty_rows(key, dtype)
    total, top = torch.empty(key.shape[:2], dtype=dtype), torch.empty(key.shape[:2], dtype=dtype)
    outputs = [t.view(-1).numpy() for t in (out, total, top)]
    run(
        plan.tasks,
        lambda first, last: numba_decode.decode(
            q, k, z, padding, plan.graph, plan.start, plan.end, first, last, sizes, *outputs
        ),
    )
    return _unpadded(out, key).to(key.dtype), total.log2_().add_(top)


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
    (h, m), plan, sizes = query.shape[1:3], _plan_of(ptr, query, key), _sizes(query, dtype)
    q, k, z = _queries(query, dtype, scale), _rows(key, dtype), _latents(latent, dtype)
    padding = _padding(m, sizes[-1], dtype)
    dy, y, total = _rows(grad_out, dtype), _rows(out, dtype), lse.contiguous().view(-1).numpy()
    dk = _empty_rows(key, dtype)
    count = plan.num_pieces * h * sizes[-2] * sizes[-1]
    dq, dz = np.zeros(count, k.dtype), np.zeros(count, k.dtype)
    dk_flat = dk.view(-1).numpy()
    run(
        plan.tasks,
        lambda first, last: numba_decode.decode_backward(
            q, k, z, padding, dy, y, total, plan.graph, plan.start, plan.end, first, last, sizes,
            dq, dk_flat, dz,
        ),
    )  # fmt: skip
    dq, dz = (_merge(t, plan, query, sizes, f) for t, f in ((dq, scale), (dz, 1.0)))
    return dq, _unpadded(dk, key), dz
