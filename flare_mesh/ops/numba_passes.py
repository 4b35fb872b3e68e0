"""The compiled loops of the mixer on tensors in the loops' own layout.

There nodes are flat rows of channels, padded to a multiple of four. Latents and their gradients are
[B, H, D, M], with padded channels and with latents padded to whole blocks.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from flare_mesh.compiled.block_code import width
from flare_mesh.compiled.team import num_threads, run_tasks
from flare_mesh.ops import numba_decode, numba_encode
from flare_mesh.ops.numba_plan import plan_of
from flare_mesh.ops.numba_tiles import scratch
from flare_mesh.ops.precision import sum_dtype

_LOG2E = math.log2(math.e)
_PADDING_SHIFT = 1e30  # subtracted from the scores of padding latents


def to_loops(tensor: Tensor, dtype: torch.dtype, padded: int, factor: float = 1.0) -> np.ndarray:
    """[B, H, M, D] to [B, H, padded D, padded M], multiplied by ``factor``."""
    b, h, m, d = tensor.shape
    channels = d + -d % 4
    source = tensor.detach().to(dtype).numpy()  # NumPy takes less time for small tensors than torch
    new = np.empty if (m, d) == (padded, channels) else np.zeros
    out = new((b, h, channels, padded), source.dtype)
    np.multiply(source.swapaxes(2, 3), source.dtype.type(factor), out=out[:, :, :d, :m])
    return out


def from_loops(array: np.ndarray, like: Tensor, factor: float = 1.0) -> Tensor:
    """[B, H, padded D, padded M] to [B, H, M, D], the shape of ``like``, times ``factor``."""
    m, d = like.shape[2:]
    rows = array[:, :, :d, :m].swapaxes(2, 3)
    return torch.from_numpy(np.multiply(rows, array.dtype.type(factor), order="C"))


@lru_cache(maxsize=64)
def _padding(latents: int, padded: int, dtype: torch.dtype) -> np.ndarray:
    """0 for latents, a large number for their padding."""
    found = torch.zeros(padded, dtype=dtype)
    found[latents:] = _PADDING_SHIFT
    return found.numpy()


def _as_shape(rows: Tensor, key: Tensor) -> Tensor:
    return rows if rows.shape == key.shape else rows[..., : key.shape[-1]].contiguous()


class Passes:
    """The loops for given queries [B, H, M, D], keys [N, H, D] and graphs.

    Args:
        query: Latent queries.
        key: Keys of the nodes.
        ptr: Offsets of the graphs.
        scale: Factor on the scores.
        columns: :attr:`columns` of earlier passes with the same queries.

    Attributes:
        dtype: Type of all sums: float64 for float64 keys, otherwise float32.
        padded: Number of latents, padded to whole blocks.
        columns: Queries for base-2 scores in the loops' layout, of one graph if all share them.
    """

    def __init__(
        self,
        query: Tensor,
        key: Tensor,
        ptr: Tensor,
        scale: float,
        columns: np.ndarray | None = None,
    ) -> None:
        b, h, m, d = query.shape
        self.plan, self.dtype = plan_of(ptr, query, key), sum_dtype(key)
        lanes = width(64 if self.dtype == torch.float64 else 32)
        self.padded, channels = -(-m // lanes) * lanes, d + -d % 4
        self._query, self._key, self._scale = query, key, scale
        if columns is None:
            one = query[:1] if query.stride(0) == 0 else query
            columns = to_loops(one, self.dtype, self.padded, scale * _LOG2E).reshape(-1)
        shared = b > 1 and columns.size == h * channels * self.padded
        self._sizes, self.columns = (int(shared), h, channels, self.padded), columns
        self._rows = self.rows(key)

    def rows(self, tensor: Tensor) -> np.ndarray:
        """Nodes [N, H, D] in the loops' layout; a view if it is the tensor's own."""
        tensor = tensor.detach()
        if tensor.dtype != self.dtype:
            tensor = tensor.to(self.dtype)
        if missing := -tensor.shape[-1] % 4:
            tensor = torch.nn.functional.pad(tensor, (0, missing))
        return tensor.contiguous().view(-1).numpy()

    def bias(self, log_weight: Tensor | None) -> np.ndarray:
        """Log weights in base 2; empty for equal weights."""
        if log_weight is None:
            return self._rows[:0]
        return (log_weight.detach().to(self.dtype) * _LOG2E).numpy()

    def pad(self, tensor: Tensor) -> np.ndarray:
        """Numbers [B, H, M] of the latents, 0 for padding."""
        tensor = tensor.detach().to(self.dtype)
        if missing := self.padded - tensor.shape[-1]:
            tensor = torch.nn.functional.pad(tensor, (0, missing))
        return tensor.contiguous().numpy()

    def encode(self, value: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Latents [B, H, D, M] and their log-sum-exps [B, H, M] in base 2."""
        plan, (_, h, channels, padded) = self.plan, self._sizes
        dtype = self._rows.dtype
        sums = np.zeros((plan.num_pieces, h, channels + 1, padded), dtype)
        shift = np.zeros((plan.num_pieces, h, padded), dtype)
        self._run(
            numba_encode.encode, (self.columns, self._rows, value, bias),
            (sums.reshape(-1), shift.reshape(-1)),
        )  # fmt: skip
        return plan.merge_encodings(sums, shift)

    def encode_backward(
        self,
        value: np.ndarray,
        bias: np.ndarray,
        grad_latent: np.ndarray,
        delta: np.ndarray,
        lse: np.ndarray,
        grad_query: np.ndarray | None,
    ) -> tuple[np.ndarray, Tensor, Tensor, Tensor]:
        """Gradients for the queries by pieces, and for keys, values and log weights.

        P = exp(S - lse); dS = P (dZ V^T - delta). The queries' are added to ``grad_query``.
        """
        dk, dv = self._like_key(), self._like_key()
        dq = self._zeros_of_pieces() if grad_query is None else grad_query
        dbias = torch.zeros(len(bias), dtype=self.dtype)
        m = self._query.shape[2]
        total = lse + _padding(m, self.padded, self.dtype) if m < self.padded else lse
        self._run(
            numba_encode.encode_backward,
            (self.columns, self._rows, value, bias, *_flat(grad_latent, delta, total)),
            (dq.reshape(-1), dk.view(-1).numpy(), dv.view(-1).numpy(), dbias.numpy()),
        )
        key = self._key
        return dq, _as_shape(dk, key), _as_shape(dv, key), dbias

    def decode(self, latent: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """Values [N, H, D] in the dtype of the keys, and sums of weights and their shifts [N, H].

        Log-sum-exps in base 2 are log2(sum) + shift.
        """
        key, out = self._key, self._like_key()
        total, top = torch.empty((2, *key.shape[:2]), dtype=self.dtype).unbind()
        self._run(
            numba_decode.decode,
            (self.columns, self._rows, latent.reshape(-1), self._padding()),
            (out.view(-1).numpy(), total.view(-1).numpy(), top.view(-1).numpy()),
        )
        return _as_shape(out, key).to(key.dtype), total, top

    def decode_backward(
        self, grad_out: Tensor, latent: np.ndarray, out: Tensor, lse: Tensor
    ) -> tuple[np.ndarray, Tensor, np.ndarray]:
        """Gradients for the queries by pieces, for the keys, and for the latents [B, H, D, M]."""
        dk, dq, dz = self._like_key(), self._zeros_of_pieces(), self._zeros_of_pieces()
        self._run(
            numba_decode.decode_backward,
            (
                self.columns, self._rows, latent.reshape(-1), self._padding(), self.rows(grad_out),
                self.rows(out), lse.contiguous().view(-1).numpy(),
            ),
            (dq.reshape(-1), dk.view(-1).numpy(), dz.reshape(-1)),
        )  # fmt: skip
        return dq, _as_shape(dk, self._key), self.plan.add_pieces(dz)

    def grad_query(self, pieces: np.ndarray) -> Tensor:
        """Gradient for the queries, [B, H, M, D]."""
        return from_loops(self.plan.add_pieces(pieces), self._query, self._scale)

    def _run(
        self,
        loop: Callable[..., None],
        inputs: tuple[np.ndarray, ...],
        outputs: tuple[np.ndarray, ...],
    ) -> None:
        plan = self.plan
        memory = scratch(self.padded, num_threads(plan.num_pieces), self._rows.dtype)
        pieces = (plan.graph, plan.start, plan.end, self._sizes, memory)
        run_tasks(loop, plan.num_pieces, *inputs, *pieces, *outputs)

    def _like_key(self) -> Tensor:
        """Memory for the padded rows of a result of the shape of the keys."""
        *rows, channels = self._key.shape
        return torch.empty((*rows, channels + -channels % 4), dtype=self.dtype)

    def _zeros_of_pieces(self) -> np.ndarray:
        _, h, channels, padded = self._sizes
        return np.zeros((self.plan.num_pieces, h, channels, padded), self._rows.dtype)

    def _padding(self) -> np.ndarray:
        return _padding(self._query.shape[2], self.padded, self.dtype)


def _flat(*arrays: np.ndarray) -> list[np.ndarray]:
    return [a.reshape(-1) for a in arrays]
