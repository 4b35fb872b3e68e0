"""A child process for the readers that can crash on a damaged file.

VTK's readers and SciPy's reader of MAT files may end their process instead of raising an error.
In a child process, a bad file among thousands costs no more than an error of its own. The child
starts on first use, and again after a crash. Requests and answers are JSON, followed by the bytes
of the arrays: nothing is pickled.
"""

import atexit
import json
import math
import os
import pkgutil
import re
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from flare_mesh.choices import clip
from flare_mesh.workers import exit_text

_READERS = {
    "vtk": "flare_mesh.io.vtk_reader:read_vtk_arrays",
    "mat_shapes": "flare_mesh.io.mat_reader:read_mat_shapes",
    "mat_array": "flare_mesh.io.mat_reader:read_mat_array",
    "surface": "flare_mesh.io.surfaces.read_surface:read_surface_arrays",
}
"""Functions that read a file into arrays by name; imported in the child only."""

_IMPORT_SECONDS = 300.0  # VTK on a slow disk
_SIZE = struct.Struct("<Q")  # bytes of the JSON text that follows
_numbers = count()
_lock = threading.Lock()
_child: tuple[int, subprocess.Popen[bytes]] | None = None
_imported: set[str] = set()  # readers that the child has imported


def read_in_child(
    reader: str,
    path: Path,
    *,
    seconds: float | None = None,
    max_memory: int | None = None,
    **options: Any,
) -> dict[str, NDArray[Any]]:
    """Read a file in the child process; concurrent threads take turns.

    Args:
        reader: Key of ``_READERS``.
        path: The file.
        seconds: Time after which the child is ended; None for no limit. The start of the child and
            the import of the reader do not count.
        max_memory: Bytes of address space that the reader may take; None for no limit.
        options: Keyword arguments of the reader that JSON can hold.

    Raises:
        ValueError: If the reader refuses the file, takes too long, or ends its process.
    """
    request = {
        "reader": reader,
        "path": str(path.resolve()),
        "options": options,
        "max_memory": max_memory,
    }
    with _lock:
        try:
            child = _running()
            if seconds is not None and reader not in _imported:
                _exchange(child, request | {"path": None}, _IMPORT_SECONDS)
            error, arrays = _exchange(child, request, seconds)
            _imported.add(reader)
        except TimeoutError as failure:
            _stop()
            raise ValueError(f"its reader was not done after {seconds:g} s") from failure
        except (OSError, EOFError) as failure:
            reason = _exit_reason()
            _stop()
            raise ValueError(
                f"its reader crashed ({reason}); the file is damaged or cannot be read"
            ) from failure
        except BaseException:
            # The next request must not receive the answer to this one.
            _stop()
            raise
    if error is not None:
        raise ValueError(error)
    return arrays


def reason_of(error: BaseException) -> str:
    """First line of an error's message, without the locations in VTK's sources."""
    lines = [line.strip() for line in str(error).splitlines()]
    lines = [re.sub(r"^\w+ \((?:0x)?[0-9a-fA-F]+\): ", "", line) for line in lines]
    lines = [line for line in lines if line and not re.match(r"(?:ERROR|Warning): In ", line)]
    return clip(lines[0]) if lines else type(error).__name__


def _exit_reason() -> str:
    """How the child ended, such as "SIGSEGV" or "exit code 1"."""
    assert _child is not None
    try:
        code = _child[1].wait(timeout=5)  # its pipe may close before it ends
    except subprocess.TimeoutExpired:
        return "no valid answer"
    return exit_text(code)


def _exchange(
    child: subprocess.Popen[bytes], request: dict[str, Any], seconds: float | None = None
) -> tuple[str | None, dict[str, NDArray[Any]]]:
    end = None if seconds is None else time.monotonic() + seconds
    assert child.stdin is not None
    assert child.stdout is not None
    number = next(_numbers)
    text = json.dumps({"number": number, **request}).encode()
    message = memoryview(_SIZE.pack(len(text)) + text)
    while message:
        message = message[child.stdin.write(message) :]
    (size,) = _SIZE.unpack(bytes(_take(child.stdout, _SIZE.size, end)))
    answer = json.loads(bytes(_take(child.stdout, size, end)))
    if answer["number"] != number:
        raise EOFError(f"the answer to request {answer['number']} came to request {number}")
    arrays = {}
    for name, kind, shape, order in answer["arrays"]:
        dtype = np.dtype(kind)
        content = _take(child.stdout, math.prod(shape) * dtype.itemsize, end)
        arrays[name] = content.view(dtype).reshape(shape, order=order)
    return answer["error"], arrays


def _take(stream: Any, size: int, end: float | None = None) -> NDArray[np.uint8]:
    """Exactly ``size`` bytes of an unbuffered stream, until the time ``end``."""
    taken = np.empty(size, np.uint8)
    view, at = taken.data, 0
    while at < size:
        if end is not None:
            left = max(0.0, end - time.monotonic())
            if not select.select([stream], [], [], left)[0]:
                raise TimeoutError
        got = stream.readinto(view[at:])
        if not got:
            raise EOFError("the reader ended")
        at += got
    return taken


def _running() -> subprocess.Popen[bytes]:
    """The child of this process: a forked worker must not share the child of its parent."""
    global _child
    if _child is not None and _child[1].poll() is not None:
        _stop()
    if _child is None:
        command = [sys.executable, "-m", "flare_mesh.io.reader_process"]
        pipe, null = subprocess.PIPE, subprocess.DEVNULL
        # Unbuffered: locks and contents of buffers would be copied into forked workers.
        started = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=null, bufsize=0)
        _child = os.getpid(), started
        _imported.clear()
    return _child[1]


def _stop() -> None:
    global _child
    if _child is not None and _child[0] == os.getpid():
        _child[1].kill()
        _child[1].wait()
        _close(_child[1])
        _child = None


def _close(child: subprocess.Popen[bytes]) -> None:
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            stream.close()


def _forget() -> None:
    """Release lock and child in a forked process: they belong to the parent."""
    global _child, _lock
    _lock = threading.Lock()
    if _child is not None:
        _close(_child[1])
        _child[1].returncode = 0  # only the parent can wait for it
        _child = None


atexit.register(_stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _serve(requests: BinaryIO) -> None:
    """Answer the requests on the standard input until it ends."""
    # On Ctrl-C the parent ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # VTK writes to the standard output as well.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while head := requests.read(_SIZE.size):
        request = json.loads(requests.read(*_SIZE.unpack(head)))
        answer: dict[str, Any] = {"number": request["number"], "error": None, "arrays": []}
        contents = []
        try:
            read = pkgutil.resolve_name(_READERS[request["reader"]])
            found = {}
            if request["path"] is not None:  # otherwise the reader is only imported
                with _memory_limit(request.get("max_memory")):
                    found = read(Path(request["path"]), **request["options"])
            for name, values in found.items():
                if values.dtype.hasobject:
                    raise ValueError(f"'{name}' holds Python objects")
                order = "C" if values.flags.c_contiguous or not values.flags.f_contiguous else "F"
                answer["arrays"].append([name, values.dtype.str, values.shape, order])
                contents.append(np.ascontiguousarray(values.T if order == "F" else values))
        except Exception as error:
            reason = reason_of(error).encode(errors="backslashreplace").decode()
            answer.update(error=reason, arrays=[])
            contents = []
        text = json.dumps(answer).encode()
        out.write(_SIZE.pack(len(text)) + text)
        for content in contents:
            out.write(content.reshape(-1).view(np.uint8))
        out.flush()


@contextmanager
def _memory_limit(extra: int | None) -> Iterator[None]:
    """Limit the address space of this process to what it has and ``extra`` bytes more.

    There is no limit on other systems than Linux.
    """
    if extra is None or sys.platform != "linux":
        yield
        return
    import resource

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + extra, before[1]))
    try:
        yield
    except MemoryError:
        raise ValueError(f"its reader needs more than {extra / 2**30:.3g} GiB of memory") from None
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


if __name__ == "__main__":
    _serve(sys.stdin.buffer)
