"""Threads for compiled loops that run without the interpreter lock.

If torch uses GNU OpenMP, its threads run the loops: they spin for milliseconds after each torch
operation, and other threads would compete with them for the cores. Otherwise Python threads do.
Numba's own threads would compete too, and their default kind allows one caller at a time.
"""

import ctypes
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from itertools import count
from typing import Any

import torch

_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def _load_openmp() -> Any:
    """The GNU OpenMP library of torch, or None."""
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


_openmp = _load_openmp()
_pool: ThreadPoolExecutor | None = None
_pool_size = 0


def _reset() -> None:
    global _openmp, _pool, _pool_size
    _openmp, _pool, _pool_size = None, None, 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset)  # a child process has no threads


def run(
    bounds: Sequence[int], kernel: Callable[[int, int], object], threads: int | None = None
) -> None:
    """Call kernel(bounds[i], bounds[i + 1]) for every i, on several threads.

    Args:
        bounds: Bounds of the calls.
        kernel: A function that releases the interpreter lock.
        threads: Largest number of threads; None for as many as torch uses.

    Raises:
        BaseException: The first exception of a call.
    """
    numbers = count()
    failures: list[BaseException] = []

    def work(_: Any = None) -> None:
        try:
            while (i := next(numbers)) < len(bounds) - 1:
                kernel(bounds[i], bounds[i + 1])
        except BaseException as failure:  # an exception must not reach the C code of OpenMP
            failures.append(failure)

    wanted = torch.get_num_threads() if threads is None else threads
    threads = min(wanted, len(bounds) - 1)
    if threads <= 1:
        work()
    elif _openmp is not None:
        _openmp.GOMP_parallel(_CALLBACK(work), None, threads, 0)
    else:
        call_on_python_threads(work, threads)
    if failures:
        raise failures[0]


def fork_address() -> int:
    """Address of OpenMP's function that calls another one on several threads; 0 without it."""
    return 0 if _openmp is None else _address(_openmp)


@cache
def _address(library: Any) -> int:
    return ctypes.cast(library.GOMP_parallel, ctypes.c_void_p).value or 0


def call_on_python_threads(work: Callable[[], None], threads: int) -> None:
    """Call a function once on each of several threads."""
    global _pool, _pool_size
    if _pool is None or _pool_size < threads - 1:
        _pool, _pool_size = ThreadPoolExecutor(threads - 1, "flare"), threads - 1
    futures: list[Future] = [_pool.submit(work) for _ in range(threads - 1)]
    work()
    for future in futures:
        future.result()
