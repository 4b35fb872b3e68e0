"""Threads for compiled loops that run without the interpreter lock.

Where torch computes on GNU OpenMP, its own team runs the loops: its threads spin for milliseconds
after each of torch's operations, and others beside them would share their cores. Elsewhere Python
threads do. Numba's threads are not used: they are such a second team, and their default kind must
not be entered by two callers at once.
"""

import ctypes
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from typing import Any

import torch

_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def _torchs_openmp() -> Any:
    """The GNU OpenMP library that torch has loaded, or None."""
    if not hasattr(os, "RTLD_NOLOAD") or "OpenMP" not in torch.__config__.parallel_info():
        return None
    try:
        library = ctypes.CDLL("libgomp.so.1", mode=os.RTLD_NOLOAD | os.RTLD_NOW)
        library.GOMP_parallel.argtypes = [
            _CALLBACK, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint
        ]  # fmt: skip
        library.GOMP_parallel.restype = None
    except (OSError, AttributeError):
        return None
    return library


_openmp = _torchs_openmp()
_pool: ThreadPoolExecutor | None = None
_pool_size = 0


def _forget_threads() -> None:
    global _openmp, _pool, _pool_size
    _openmp, _pool, _pool_size = None, None, 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)  # threads do not survive a fork


def run(pieces: Sequence[int], kernel: Callable[[int, int], object]) -> None:
    """Calls kernel(pieces[i], pieces[i + 1]) for every i, on as many threads as torch uses.

    Raises:
        BaseException: The first one that a call raised.
    """
    turns = count()
    failures: list[BaseException] = []

    def work(_: Any = None) -> None:
        try:
            while (turn := next(turns)) < len(pieces) - 1:
                kernel(pieces[turn], pieces[turn + 1])
        except BaseException as failure:  # nothing may pass through the threads' C code
            failures.append(failure)

    threads = min(torch.get_num_threads(), len(pieces) - 1)
    if threads <= 1:
        work()
    elif _openmp is not None:
        _openmp.GOMP_parallel(_CALLBACK(work), None, threads, 0)
    else:
        _run_on_python_threads(work, threads)
    if failures:
        raise failures[0]


def _run_on_python_threads(work: Callable[[], None], threads: int) -> None:
    global _pool, _pool_size
    if _pool is None or _pool_size < threads - 1:
        _pool, _pool_size = ThreadPoolExecutor(threads - 1, "flare"), threads - 1
    futures: list[Future] = [_pool.submit(work) for _ in range(threads - 1)]
    work()
    for future in futures:
        future.result()
