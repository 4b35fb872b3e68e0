"""Tasks in processes of one thread each."""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import Any, TypeVar

T = TypeVar("T")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run_tasks(
    function: Callable[..., T], tasks: Iterable[tuple[Any, ...]], workers: int
) -> Iterator[T]:
    """Yields ``function(*task)`` of each task, as they finish.

    Also one worker is a process of its own with one thread, so that the rounding does not depend on
    their number. The workers end with this process, even if it is killed.

    Args:
        function: Of a module, as are the types of its arguments.
        tasks: Arguments.
        workers: Processes.
    """
    # A new interpreter reads the limits before any library does; a forked one, or one of a server
    # that runs already, may have its threads.
    with (
        _one_thread(),
        ProcessPoolExecutor(workers, get_context("spawn"), initializer=_end_with_parent) as pool,
    ):
        futures = [pool.submit(function, *task) for task in tasks]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _one_thread() -> Iterator[None]:
    """For the numerical libraries of processes that are started within."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        os.environ.update({name: value for name, value in before.items() if value is not None})
        for name in [name for name, value in before.items() if value is None]:
            del os.environ[name]


def _end_with_parent() -> None:
    signal.signal(signal.SIGINT, lambda *_: os._exit(1))  # Ctrl-C, which the parent reports
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
