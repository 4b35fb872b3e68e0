"""How the compiled loops of the mixer divide the graphs of a batch."""

from functools import lru_cache

import numpy as np
from torch import Tensor

from flare_mesh.ops import checks
from flare_mesh.ops.numba_tiles import BLOCK

_PIECES = 64  # of a large graph, at most: more would cost more sums than they balance load


class Plan:
    """Pieces (graph, first node, end) of the graphs: the tasks of the threads.

    Attributes:
        graph: Graph of each piece, rising; graphs without nodes have none.
        start: First node of each piece.
        end: End of each piece.
    """

    def __init__(self, bounds: np.ndarray) -> None:
        sizes = np.diff(bounds)
        length = BLOCK * np.maximum(1, -(-sizes // (_PIECES * BLOCK)))
        counts = -(-sizes // length)
        self.graph = np.repeat(np.arange(len(sizes)), counts)
        place = np.arange(len(self.graph)) - np.repeat(np.cumsum(counts) - counts, counts)
        self.start = bounds[self.graph] + place * length[self.graph]
        self.end = np.minimum(self.start + length[self.graph], bounds[self.graph + 1])
        self.num_pieces, self.num_graphs = len(self.graph), len(sizes)
        filled = np.flatnonzero(counts)
        self._filled = None if len(filled) == len(sizes) else filled
        self._first = np.flatnonzero(place == 0)
        self._row = np.repeat(np.arange(len(filled)), counts[filled])
        # The second pieces of all graphs, then the third ones, and so on; a graph is a row here.
        later = [np.flatnonzero(place == number) for number in range(1, counts.max(initial=0))]
        self._later = [(self._row[pieces], pieces) for pieces in later]

    def merge_encodings(self, sums: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Latents [B, H, D, M] and log-sum-exps [B, H, M] in base 2, -inf without nodes.

        Args:
            sums: Sums of weighted values and of the weights, [S, H, D + 1, M]; overwritten.
            shift: References of the weights, [S, H, M].
        """
        with np.errstate(invalid="ignore"):  # infinite scores give NaN
            if self._later:
                highest = self._reduce(np.maximum, shift)
                sums *= np.exp2(shift - highest[self._row])[:, :, None]
                sums, shift = self._reduce(np.add, sums), highest
            total = sums[:, :, -1]
            latent, logsumexp = sums[:, :, :-1] / total[:, :, None], np.log2(total) + shift
        return self._for_all(latent, 0.0), self._for_all(logsumexp, -np.inf)

    def add_pieces(self, parts: np.ndarray) -> np.ndarray:
        """Sums [B, ...] over the pieces [S, ...] of each graph."""
        if self._later:
            with np.errstate(invalid="ignore"):
                parts = self._reduce(np.add, parts)
        return self._for_all(parts, 0.0)

    def _reduce(self, operation: np.ufunc, parts: np.ndarray) -> np.ndarray:
        """Combine the pieces of each graph, one after the other whatever the other graphs."""
        out = parts[self._first]
        for rows, pieces in self._later:
            out[rows] = operation(out[rows], parts[pieces])
        return out

    def _for_all(self, rows: np.ndarray, fill: float) -> np.ndarray:
        """Rows of all graphs, from those of the graphs with nodes."""
        if self._filled is None:
            return rows
        out = np.full((self.num_graphs, *rows.shape[1:]), fill, rows.dtype)
        out[self._filled] = rows
        return out


@lru_cache(maxsize=32)
def _cached_plan(bounds: bytes, nodes: int) -> Plan:
    offsets = np.frombuffer(bounds, np.int64)
    # Compiled code has no other check, and loops beyond the arrays would write into other memory.
    checks.check_offsets(offsets.tolist(), nodes)
    return Plan(offsets)


def plan_of(ptr: Tensor, query: Tensor, key: Tensor) -> Plan:
    """Plan for the graphs of ``query``, of the nodes of ``key``.

    Raises:
        ValueError: If ``ptr`` does not rise from 0 to the number of nodes, or has other graphs.
    """
    checks.check_ptr(ptr)
    if len(query) != len(ptr) - 1:
        checks.fail("'query'", f"of the {len(ptr) - 1} graphs of 'ptr'", list(query.shape))
    bounds = ptr.numpy().astype(np.int64, copy=False).tobytes()
    return _cached_plan(bounds, len(key))
