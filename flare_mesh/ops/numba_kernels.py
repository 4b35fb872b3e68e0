"""The two halves of the mixer and their gradients on a CPU, compiled by Numba.

Every kernel walks over tiles of eight nodes whose scores against all latents of a head, 8 x M,
stay in the innermost cache, and is made of four loops (``numba_halves``); the scores never reach
memory. Exponentials are base 2, with log2(e) and the scale folded into the queries.

Work is cut into pieces of similar numbers of nodes, whatever the sizes of the graphs; a segment is
the part of a piece that lies in one graph. Sums over nodes are kept for each segment and merged
for each graph (log-sum-exp), so that results do not depend on the order in which threads run.
"""

import math

import numpy as np
import torch
from torch import Tensor

from flare_mesh.compiled.threads import run
from flare_mesh.ops import numba_halves as halves
from flare_mesh.ops.precision import sum_dtype

_LOG2E = math.log2(math.e)
_PIECES_PER_THREAD = 4  # so that a thread that is held up does not hold up the others
_MIN_NODES = 256  # a smaller piece costs more to hand over than it saves
_LANES = 8  # latents are padded to whole vector registers
_PADDING_SHIFT = 1e30  # taken off the scores of padding latents


class _Plan:
    """Segments (graph, first node, end) and the pieces that they are gathered into."""

    def __init__(self, ptr: Tensor, nodes: int) -> None:
        bounds = ptr.numpy()
        size = max(_MIN_NODES, -(-nodes // (_PIECES_PER_THREAD * torch.get_num_threads())))
        cuts = np.union1d(bounds, np.arange(0, nodes, size)).astype(np.int64)
        self.start, self.end = cuts[:-1], cuts[1:]
        self.graph = np.searchsorted(bounds, self.start, side="right") - 1
        piece = self.start // size
        firsts = np.flatnonzero(np.diff(piece, prepend=-1))
        self.pieces = [*firsts.tolist(), len(piece)]
        self.num_graphs = len(bounds) - 1
        self.num_segments = len(self.start)

    def sum(self, partial: np.ndarray, latents: int, channels: int) -> Tensor:
        """Adds the segments' parts [S, H, D, M] for each graph; [B, H, M, D] without padding."""
        total = partial
        if not np.array_equal(self.graph, np.arange(self.num_graphs)):
            total = np.zeros((self.num_graphs, *partial.shape[1:]), partial.dtype)
            halves.add_segments(partial, self.graph, total)
        return torch.from_numpy(total)[:, :, :channels, :latents].transpose(-1, -2)


def _rows(tensor: Tensor, dtype: torch.dtype) -> np.ndarray:
    return tensor.detach().to(dtype).contiguous().numpy()


def _bias(log_weight: Tensor | None, dtype: torch.dtype) -> np.ndarray:
    """Log weights in base 2; nothing if all nodes weigh alike."""
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
    """Queries for base-2 scores; [1, H, even D, padded M] where all graphs share them."""
    shared = query.shape[0] > 1 and query.stride(0) == 0
    return _latents(query[:1] if shared else query, dtype, scale * _LOG2E)


def _longest(queries: np.ndarray) -> np.ndarray:
    """Largest norm of each head's queries, [B, H]: bounds the scores."""
    return np.sqrt(np.square(queries).sum(axis=2).max(axis=-1))


def _shift(tensor: Tensor | None, like: np.ndarray, latents: int) -> np.ndarray:
    """[B, H, M] (zeros if None) padded so that the padding's weights vanish."""
    shape = like.shape[:2] if tensor is None else tensor.shape[:2]
    padded = np.full((*shape, like.shape[-1]), _PADDING_SHIFT, like.dtype)
    padded[..., :latents] = 0 if tensor is None else tensor.detach().numpy()
    return padded


def encode(
    query: Tensor, key: Tensor, value: Tensor, ptr: Tensor, log_weight: Tensor | None, scale: float
) -> tuple[Tensor, Tensor]:
    """Latents gather from nodes: softmax over the nodes of each graph.

    Args:
        query: [B, H, M, D]; a batch stride of 0 is kept.
        key: [N, H, D].
        value: [N, H, D].
        ptr: [B + 1].
        log_weight: [N] or None.
        scale: Factor on the scores.

    Returns:
        latent [B, H, M, D] and log-sum-exp [B, H, M], in float32 (float64 for float64 input).
        An empty graph has latent 0 and log-sum-exp -inf.
    """
    dtype = sum_dtype(key)
    (b, h, m, d), plan = query.shape, _Plan(ptr, len(key))
    q, k, v = _queries(query, dtype, scale), _rows(key, dtype), _rows(value, dtype)
    bias = _bias(log_weight, dtype)
    longest = _longest(q)
    sums = np.zeros((plan.num_segments, h, d + 1, q.shape[-1]), k.dtype)
    shift = np.empty((plan.num_segments, h, q.shape[-1]), k.dtype)
    run(
        plan.pieces,
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
    """Gradients of query, key, value and log_weight from those of latent and log-sum-exp."""
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
        plan.pieces,
        lambda first, last: halves.encode_backward(
            q, k, v, bias, dz, delta, total, plan.graph, plan.start, plan.end, first, last,
            dq, dk, dv, dbias,
        ),
    )  # fmt: skip
    return (
        plan.sum(dq, m, d) * scale,
        torch.from_numpy(dk),
        torch.from_numpy(dv),
        None if log_weight is None else torch.from_numpy(dbias),
    )


def decode(
    query: Tensor, key: Tensor, latent: Tensor, ptr: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """Nodes read from latents: softmax over the latents of each node.

    Args:
        query: [B, H, M, D]; a batch stride of 0 is kept.
        key: [N, H, D].
        latent: [B, H, M, D].
        ptr: [B + 1].
        scale: Factor on the scores.

    Returns:
        Values [N, H, D] in the dtype of ``key``, and log-sum-exp [N, H] in float32 (float64 for
        float64 input).
    """
    dtype = sum_dtype(key)
    (m, d), plan = query.shape[2:], _Plan(ptr, len(key))
    q, k, z = _queries(query, dtype, scale), _rows(key, dtype), _latents(latent, dtype)
    z = np.concatenate([z[:, :, :d], np.zeros_like(z[:, :, :1])], axis=2)
    z[:, :, -1, :m] = 1  # adds up the weights
    shift, longest = _shift(None, q, m), _longest(q)
    out, lse = np.empty_like(k), np.empty(k.shape[:2], k.dtype)
    run(
        plan.pieces,
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
    """Gradients of query, key and latent from that of the values."""
    dtype = sum_dtype(key)
    (m, d), plan = query.shape[2:], _Plan(ptr, len(key))
    q, k, z = _queries(query, dtype, scale), _rows(key, dtype), _latents(latent, dtype)
    shift = _shift(None, q, m)
    dy, y, total = _rows(grad_out, dtype), _rows(out, dtype), _rows(lse, dtype)
    dk = np.empty_like(k)
    dq = np.zeros((plan.num_segments, *z.shape[1:]), k.dtype)
    dz = np.zeros_like(dq)
    run(
        plan.pieces,
        lambda first, last: halves.decode_backward(
            q, k, z, shift, dy, y, total, plan.graph, plan.start, plan.end, first, last,
            dq, dk, dz,
        ),
    )  # fmt: skip
    return (
        plan.sum(dq, m, d) * scale,
        torch.from_numpy(dk),
        plan.sum(dz, m, d),
    )
