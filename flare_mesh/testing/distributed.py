"""Several processes on one machine, for tests of code that runs on a process group."""

import gc
import importlib
import importlib.util
import inspect
import sys
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import distributed as dist
from torch import multiprocessing


def run_processes(
    function: Callable[..., object], world_size: int, *args: Any, timeout: float = 120.0
) -> None:
    """Run ``function(rank, world_size, *args)`` in new processes that form a gloo group.

    Each process computes with one thread and starts with a fresh interpreter (about 3 s), so let
    one call check many cases. The file of ``function`` is loaded there by its path: it may be a
    test module that cannot be imported by name. Guard scripts with ``if __name__ == "__main__"``.

    Args:
        function: A function at the top level of a file.
        world_size: Number of processes.
        args: Further arguments, of types that can be imported in a new process.
        timeout: Seconds after which a process gives up waiting for another.

    Raises:
        ValueError: If ``function`` is not at the top level of a file.
        torch.multiprocessing.ProcessRaisedException: If it raised in a process, with that
            traceback; the other processes are stopped.
    """
    name = getattr(function, "__qualname__", repr(function))
    try:
        file = inspect.getsourcefile(function)
    except TypeError:
        file = None
    if file is None or not name.isidentifier():
        raise ValueError(
            f"run_processes: expected a function at the top level of a file (got {name})"
        )
    with tempfile.TemporaryDirectory() as folder:
        meeting = (Path(folder) / "group").as_uri()
        source = (str(Path(file).resolve()), function.__module__, name)
        given = (source, world_size, meeting, timeout, args)
        multiprocessing.start_processes(  # pyright: ignore[reportPrivateImportUsage]
            _process, given, nprocs=world_size, start_method="spawn"
        )


def _process(
    rank: int, source: tuple[str, ...], world_size: int, meeting: str, timeout: float, args: tuple
) -> None:
    torch.set_num_threads(1)
    file, module, name = source
    function = _load(file, module, name)
    # The functions of this module (torch.compile imports it) have the default group as a default
    # argument. Imported with a group in place, they would keep it, and gloo's threads, alive to
    # the end, and a gloo thread that releases a tensor while the interpreter shuts down aborts.
    importlib.import_module("torch.distributed.nn")
    dist.init_process_group("gloo", meeting, timedelta(seconds=timeout), world_size, rank)
    # A process that fails keeps its connections until it ends: were they closed, the others would
    # fail as well, and theirs might be the error that is reported.
    function(rank, world_size, *args)
    dist.barrier()  # none leaves while another still talks to it
    gc.collect()  # reference cycles, say of a caught error's traceback, may hold the group
    dist.destroy_process_group()


def _load(file: str, module: str, name: str) -> Callable[..., object]:
    module = "__mp_main__" if module == "__main__" else module
    loaded = sys.modules.get(module)
    if loaded is None:
        spec = importlib.util.spec_from_file_location(module, file)
        assert spec is not None
        assert spec.loader is not None
        loaded = sys.modules[module] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)
    return getattr(loaded, name)
