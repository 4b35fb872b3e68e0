"""Tasks on the workers of a Dask cluster."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from flare_mesh.workers import THREAD_LIMITS, WorkerLostError

T = TypeVar("T")
_PACKAGES = ("flare-mesh", "numpy", "scipy", "torch")  # what the numbers depend on


@contextmanager
def open_cluster(address: str, *, timeout: float = 30.0) -> Iterator[Any]:
    """A client of the cluster, once it has a worker.

    Args:
        address: Of the scheduler, for instance ``"tcp://10.0.0.1:8786"``.
        timeout: Seconds to wait for the scheduler and for the first worker.

    Raises:
        ConnectionError: If they cannot be reached in time.
        ImportError: If ``distributed`` is not installed.
        ValueError: If it is not an address.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError(
            "--scheduler needs Dask: pip install 'flare-mesh[cluster]', here and where the "
            "workers run"
        ) from error
    # Dask's client waits for minutes where it cannot read the address.
    place = address.rpartition("://")[2].rstrip("/")
    host, _, port = place.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ValueError(
            f"--scheduler: expected an address such as tcp://10.0.0.1:8786 (got '{address}'); "
            f"give the one that `dask scheduler` prints"
        )
    try:
        client = Client(address, timeout=timeout, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise ConnectionError(
            f"{address}: no Dask scheduler answers there within {timeout:g} s; start one by "
            f"`dask scheduler` and give the address that it prints"
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=timeout)
        except TimeoutError as error:
            raise ConnectionError(
                f"{address}: the scheduler has no workers; start some by "
                f"`dask worker {address} --nthreads 1`"
            ) from error
        yield client


def run_on_cluster(
    function: Callable[..., T],
    tasks: Mapping[str, tuple[Any, ...]],
    client: Any,
    *,
    shared: Path,
) -> Iterator[T]:
    """Yields ``function(*task)`` of each task, done by the workers of a cluster, as they finish.

    The tasks of a worker that is lost are done by others. Workers may come and go; each has one
    thread, as local ones have, so that the rounding does not depend on where a task is done.

    Args:
        function: Of a module, as are the types of its arguments.
        tasks: Arguments, by a name.
        client: Of :func:`open_cluster`.
        shared: A file in a folder that all workers must see.

    Raises:
        ConnectionError: If the scheduler is lost.
        ValueError: If a worker has another version, several threads, or does not see the folder.
        WorkerLostError: At the end, if tasks killed their worker each time.
    """
    from distributed import KilledWorker, as_completed
    from distributed.client import FutureCancelledError

    check = _checker(_versions(), shared, _digest(shared))
    problems: Any = client.run(check)
    for worker, problem in problems.items():
        if problem:
            raise ValueError(f"the worker {worker} {problem}")
    todo, lost = iter(tasks.items()), []
    names: dict[Any, str] = {}
    running = as_completed(loop=client.loop)

    def submit() -> None:
        """Two tasks a worker and some for those who join; all would burden the scheduler."""
        room = 2 * len(client.ncores()) + 8 - len(names)
        for name, task in islice(todo, max(0, room)):
            future = client.submit(_checked, check, function, task, pure=False)
            names[future.key] = name
            running.add(future)

    submit()
    for future in running:
        name = names.pop(future.key)
        try:
            result = future.result()
        except KilledWorker:
            lost.append(tasks[name])
        except FutureCancelledError as error:
            raise ConnectionError(
                "the Dask scheduler was lost; go on with --resume once it runs again"
            ) from error
        else:
            yield result
        submit()
    if lost:
        raise WorkerLostError(lost)


def _versions() -> dict[str, str]:
    return {package: version(package) for package in _PACKAGES}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _checker(wanted: Mapping[str, str], shared: Path, digest: str) -> Callable[[], str | None]:
    """A function that says, on a worker, what is wrong with it; it needs nothing of ours there."""
    limits = THREAD_LIMITS

    def check(dask_worker: Any = None) -> str | None:
        import hashlib
        import os
        from importlib.metadata import PackageNotFoundError, version

        from distributed import get_worker

        for package, ours in wanted.items():
            try:
                theirs = version(package)
            except PackageNotFoundError:
                return f"has no {package}; install {package} {ours} there"
            if theirs != ours:
                return f"has {package} {theirs}, not {ours} as here; install the same version there"
        threads = (dask_worker or get_worker()).state.nthreads
        if threads > 1:
            return f"runs {threads} tasks at a time; start it with --nthreads 1 (and more of them)"
        if any(os.environ.get(name) != "1" for name in limits):
            return f"may use several threads; start it with {'=1 '.join(limits)}=1"
        try:
            content = shared.read_bytes()
        except OSError:
            content = b""
        if hashlib.sha256(content).hexdigest() != digest:
            return f"does not see {shared.parent}; mount the folder under the same path there"
        return None

    return check


def _checked(check: Callable[[], str | None], function: Callable[..., T], task: tuple) -> T:
    """Does a task where it can be done: workers may join after the others were checked."""
    problem = check()
    if problem:
        raise ValueError(f"a worker that joined {problem}")
    return function(*task)
