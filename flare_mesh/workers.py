"""Tasks in worker processes of one thread each."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from itertools import islice
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

T = TypeVar("T")
Task = tuple[Any, ...]
THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Environment variables that limit the threads of numerical libraries."""


class WorkerLostError(BrokenProcessPool):
    """A worker died at each try of some tasks; all other started tasks are done.

    Attributes:
        tasks: Arguments of the lost tasks.
        reasons: How the worker of each task ended, such as "SIGSEGV".
    """

    def __init__(self, tasks: list[Task], reasons: list[str]) -> None:
        kinds = ", ".join(dict.fromkeys(reasons))
        super().__init__(f"a worker died at each try of {len(tasks)} tasks ({kinds})")
        self.tasks = tasks
        self.reasons = reasons


def exit_text(code: int | None) -> str:
    """How a process ended, from its exit code: "exit code 1", or the name of a signal."""
    if code is None:
        return "unknown"
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    # Linux ends a process in this way when the memory is exhausted, but so does a user.
    return f"{name}, perhaps out of memory" if name == "SIGKILL" else name


def run_tasks(function: Callable[..., T], tasks: Iterable[Task], workers: int) -> Iterator[T]:
    """Yield ``function(*task)`` of each task, in the order in which they finish.

    Each worker is a process with one thread, even a single worker, so that rounding does not depend
    on the number of workers. The workers end with this process, even if it is killed. If a
    worker dies, its task is tried once more, while no other task runs; then the others continue.

    Args:
        function: Function of a module, as are the types of its arguments.
        tasks: Arguments of each call; taken from the iterable as workers become idle.
        workers: Number of processes.

    Raises:
        WorkerLostError: At the end, if workers died at both tries of a task; at once, if that
            happened to two tasks before any was done, as where no process can be started.
    """
    remaining = iter(tasks)
    again: list[Task] = []
    lost: list[Task] = []
    reasons: list[str] = []
    running: dict[Future[T], tuple[Task, bool, _Worker]] = {}
    done = 0
    with _one_thread(), ExitStack() as stack:
        # A pool for each worker: when it dies, it takes no other task with it.
        idle = [stack.enter_context(_Worker()) for _ in range(workers)]
        while len(lost) < 2 or done:
            alone = bool(again) and not running
            # No new task starts until all that must be tried again have been.
            count = 0 if again else len(idle)
            for task in [again.pop()] if alone else islice(remaining, count):
                worker = idle.pop()
                try:
                    future = worker.submit(function, *task)
                except BrokenProcessPool:  # it died while idle
                    worker = stack.enter_context(_Worker())
                    future = worker.submit(function, *task)
                running[future] = task, alone, worker
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                task, was_alone, worker = running.pop(future)
                try:
                    result = future.result()
                except BrokenProcessPool:
                    if was_alone:
                        reasons.append(worker.exit_reason())
                    (lost if was_alone else again).append(task)
                    idle.append(stack.enter_context(_Worker()))
                else:
                    done += 1
                    idle.append(worker)
                    yield result
    if lost:
        raise WorkerLostError(lost, reasons)


class _Worker(ProcessPoolExecutor):
    """A pool of one process."""

    def __init__(self) -> None:
        # A new interpreter reads the limits before any library does; a forked one, or one from a
        # server that runs already, may have its threads.
        super().__init__(1, get_context("spawn"), initializer=_end_with_parent)
        self._process: BaseProcess | None = None

    def submit(self, *task: Any, **options: Any) -> Future[Any]:
        before = set(active_children())
        future = super().submit(*task, **options)
        self._process = next(iter(set(active_children()) - before), self._process)
        return future

    def exit_reason(self) -> str:
        """How the process ended."""
        if self._process is None:
            return exit_text(None)
        # The pool's own thread waits for the process too. While it has the exit code from the
        # system but has not stored it yet, `exitcode` is None here, and `join` returns at once.
        end = time.monotonic() + 5
        while (code := self._process.exitcode) is None and time.monotonic() < end:
            time.sleep(0.005)
        return exit_text(code)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Limit the numerical libraries of processes that start in this context to one thread."""
    before = {name: os.environ.get(name) for name in THREAD_LIMITS}
    os.environ.update(dict.fromkeys(THREAD_LIMITS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _end_with_parent() -> None:
    signal.signal(signal.SIGINT, lambda *_: os._exit(1))  # the parent reports Ctrl-C
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
