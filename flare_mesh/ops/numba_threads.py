"""Python threads for compiled loops that run without the interpreter lock.

Numba's own threads are not used: its default ones must not be entered by two callers at once, and
a second OpenMP beside torch's spins against it.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count

import torch

_pool: ThreadPoolExecutor | None = None
_pool_size = 0


def _forget_pool() -> None:
    global _pool, _pool_size
    _pool, _pool_size = None, 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)  # threads do not survive a fork


def run(pieces: Sequence[int], kernel: Callable[[int, int], object]) -> None:
    """Calls kernel(pieces[i], pieces[i + 1]) for every i, on as many threads as torch uses."""
    global _pool, _pool_size
    turns = count()

    def work() -> None:
        while (turn := next(turns)) < len(pieces) - 1:
            kernel(pieces[turn], pieces[turn + 1])

    helpers = min(torch.get_num_threads(), len(pieces) - 1) - 1
    futures: list[Future] = []
    if helpers > 0:
        if _pool is None or _pool_size < helpers:
            _pool, _pool_size = ThreadPoolExecutor(helpers, "flare"), helpers
        futures = [_pool.submit(work) for _ in range(helpers)]
    work()
    for future in futures:
        future.result()
