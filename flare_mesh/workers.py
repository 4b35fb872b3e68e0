"""Tasks in processes of one thread each."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from multiprocessing import get_context, parent_process
from typing import Any, TypeVar

T = TypeVar("T")
Task = tuple[Any, ...]
THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Environment variables that hold the numerical libraries to a number of threads."""


class WorkerLostError(BrokenProcessPool):
    """Tasks whose worker died each time; those of the others that were begun are done.

    Attributes:
        tasks: Their arguments.
    """

    def __init__(self, tasks: list[Task]) -> None:
        super().__init__(f"a worker died at each try of {len(tasks)} tasks (out of memory?)")
        self.tasks = tasks


def run_tasks(
    function: Callable[..., T], tasks: Iterable[tuple[Any, ...]], workers: int
) -> Iterator[T]:
    """Yields ``function(*task)`` of each task, as they finish.

    Also one worker is a process of its own with one thread, so that the rounding does not depend on
    their number. The workers end with this process, even if it is killed. If a worker dies, the
    tasks that were under way are tried again, and those under way when it happens once more are
    tried alone; then the others go on.

    Args:
        function: Of a module, as are the types of its arguments.
        tasks: Arguments; taken as they are needed.
        workers: Processes.

    Raises:
        WorkerLostError: At the end, if tasks killed their worker also when alone; at once, if
            two did before any task was done, as where no process can be started.
    """
    fresh = (_Try(task) for task in tasks)
    again: deque[_Try] = deque()
    alone: deque[_Try] = deque()
    lost: list[Task] = []
    done = 0
    while True:
        single = bool(alone)
        todo = iter([alone.popleft()]) if single else chain(_drain(again), fresh)
        interrupted: list[_Try] = []
        for result in _run(function, todo, 1 if single else workers, interrupted):
            done += 1
            yield result
        if not single and not interrupted and not alone:
            break
        for attempt in interrupted:
            attempt.deaths += 1
            if attempt.deaths == 1:
                again.append(attempt)
            elif attempt.deaths == 2:
                alone.append(attempt)
            else:
                lost.append(attempt.task)
        if len(lost) > 1 and not done:
            break
    if lost:
        raise WorkerLostError(lost)


@dataclass
class _Try:
    task: Task
    deaths: int = 0


def _drain(attempts: deque[_Try]) -> Iterator[_Try]:
    while attempts:
        yield attempts.popleft()


def _run(
    function: Callable[..., T], todo: Iterator[_Try], workers: int, interrupted: list[_Try]
) -> Iterator[T]:
    """Runs tasks until there are none or a worker dies; adds those that it left unfinished."""
    # A new interpreter reads the limits before any library does; a forked one, or one of a server
    # that runs already, may have its threads.
    with (
        _one_thread(),
        ProcessPoolExecutor(workers, get_context("spawn"), initializer=_end_with_parent) as pool,
    ):
        running: dict[Future[T], _Try] = {}
        try:
            while True:
                # One more than they work on keeps them busy; more would be more to do again.
                while not interrupted and len(running) < 2 * workers:
                    attempt = next(todo, None)
                    if attempt is None:
                        break
                    try:
                        running[pool.submit(function, *attempt.task)] = attempt
                    except BrokenProcessPool:
                        interrupted.append(attempt)
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    attempt = running.pop(future)
                    try:
                        result = future.result()
                    except BrokenProcessPool:
                        interrupted.append(attempt)
                    else:
                        yield result
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _one_thread() -> Iterator[None]:
    """For the numerical libraries of processes that are started within."""
    before = {name: os.environ.get(name) for name in THREAD_LIMITS}
    os.environ.update(dict.fromkeys(THREAD_LIMITS, "1"))
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
