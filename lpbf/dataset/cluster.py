"""Tasks on the workers of a Dask cluster."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from flare_mesh.workers import THREAD_LIMITS, WorkerLostError
from lpbf.dataset.case_file import file_digest

T = TypeVar("T")
_PACKAGES = ("flare-mesh", "numpy", "scipy", "torch")  # the results depend on their versions


@contextmanager
def open_cluster(address: str, *, timeout: float = 30.0) -> Iterator[Any]:
    """Connect to a cluster, wait for its first worker, and give the client.

    Args:
        address: Address of the scheduler, for instance ``"tcp://10.0.0.1:8786"``.
        timeout: Seconds to wait for the scheduler, and for the first worker.

    Raises:
        ConnectionError: If the scheduler does not answer or has no worker in time.
        ImportError: If ``distributed`` is not installed.
        ValueError: If it is not an address.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError(
            "--scheduler needs Dask: pip install 'flare-mesh[cluster]', here and on the machines "
            "of the workers"
        ) from error
    # Dask's client waits for minutes if it cannot parse the address.
    place = address.rpartition("://")[2].rstrip("/")
    host, _, port = place.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ValueError(
            f"--scheduler: expected an address such as tcp://10.0.0.1:8786 (got '{address}'); "
            f"give the address that `dask scheduler` prints"
        )
    try:
        client = Client(address, timeout=timeout, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise ConnectionError(
            f"{address}: no Dask scheduler answers within {timeout:g} s; start one by "
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
    function: Callable[..., T], tasks: Mapping[str, tuple[Any, ...]], client: Any, *, shared: Path
) -> Iterator[T]:
    """Yield ``function(*task)`` of each task, in the order in which the workers finish.

    If a worker is lost, others do its tasks. Workers may come and go; each has one thread like the
    local ones, so that rounding does not depend on the worker.

    Args:
        function: Function of a module, as are the types of its arguments.
        tasks: Arguments of each call, by name.
        client: Client of :func:`open_cluster`.
        shared: A file in a folder that all workers must share.

    Raises:
        ConnectionError: If the scheduler is lost.
        ValueError: If a worker has another version, several threads, or does not see the folder.
        WorkerLostError: At the end, if tasks killed their worker at each try.
    """
    from distributed import KilledWorker, as_completed
    from distributed.client import FutureCancelledError

    versions = {package: version(package) for package in _PACKAGES}
    check = _checker(versions, shared, file_digest(shared))
    problems: Any = client.run(check)
    for worker, problem in problems.items():
        if problem:
            raise ValueError(f"the worker {worker} {problem}")
    todo, lost = iter(tasks.items()), []
    names: dict[Any, str] = {}
    running = as_completed(loop=client.loop)

    def submit() -> None:
        """Submit two tasks per worker and some for new ones; all would overload the scheduler."""
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
                "the Dask scheduler was lost; continue with --resume once it runs again"
            ) from error
        else:
            yield result
        submit()
    if lost:
        raise WorkerLostError(lost, ["the log of the cluster has the reason"] * len(lost))


def _checker(versions: Mapping[str, str], shared: Path, digest: str) -> Callable[[], str | None]:
    """A function that returns the problem of a worker, and needs none of our modules there."""
    limits = THREAD_LIMITS

    def check(dask_worker: Any = None) -> str | None:
        import hashlib
        import os
        from importlib.metadata import PackageNotFoundError, version

        from distributed import get_worker

        for package, ours in versions.items():
            try:
                theirs = version(package)
            except PackageNotFoundError:
                return f"has no {package}; install {package} {ours} there"
            if theirs != ours:
                return f"has {package} {theirs}, here it is {ours}; install the same version there"
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
    """Check the worker, which may have joined after the others were checked, and do a task."""
    problem = check()
    if problem:
        raise ValueError(f"a worker that joined {problem}")
    return function(*task)
