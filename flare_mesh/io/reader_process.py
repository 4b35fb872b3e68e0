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
import signal
import struct
import subprocess
import sys
import threading
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

_READERS = {
    "vtk": "flare_mesh.io.vtk_reader:read_vtk_arrays",
    "mat_shapes": "flare_mesh.io.mat_reader:read_mat_shapes",
    "mat_array": "flare_mesh.io.mat_reader:read_mat_array",
}
"""Functions that read a file into arrays by name; imported in the child only."""

_SIZE = struct.Struct("<Q")  # bytes of the JSON text that follows
_numbers = count()
_lock = threading.Lock()
_child: tuple[int, subprocess.Popen[bytes]] | None = None


def read_in_child(reader: str, path: Path, **options: Any) -> dict[str, NDArray[Any]]:
    """Read a file in the child process; concurrent threads take turns.

    Args:
        reader: Key of ``_READERS``.
        path: The file.
        options: Keyword arguments of the reader that JSON can hold.

    Raises:
        ValueError: If the reader refuses the file, or crashes.
    """
    request = {"reader": reader, "path": str(path.resolve()), "options": options}
    with _lock:
        try:
            error, arrays = _exchange(_running(), request)
        except (OSError, EOFError) as failure:
            _stop()
            raise ValueError(
                "its reader crashed; the file is damaged, or does not fit into memory"
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
    return lines[0] if lines else type(error).__name__


def _exchange(
    child: subprocess.Popen[bytes], request: dict[str, Any]
) -> tuple[str | None, dict[str, NDArray[Any]]]:
    assert child.stdin is not None
    assert child.stdout is not None
    number = next(_numbers)
    text = json.dumps({"number": number, **request}).encode()
    message = memoryview(_SIZE.pack(len(text)) + text)
    while message:
        message = message[child.stdin.write(message) :]
    (size,) = _SIZE.unpack(bytes(_take(child.stdout, _SIZE.size)))
    answer = json.loads(bytes(_take(child.stdout, size)))
    if answer["number"] != number:
        raise EOFError(f"the answer to request {answer['number']} came to request {number}")
    arrays = {}
    for name, kind, shape, order in answer["arrays"]:
        dtype = np.dtype(kind)
        content = _take(child.stdout, math.prod(shape) * dtype.itemsize)
        arrays[name] = content.view(dtype).reshape(shape, order=order)
    return answer["error"], arrays


def _take(stream: Any, size: int) -> NDArray[np.uint8]:
    """Exactly ``size`` bytes of an unbuffered stream."""
    taken = np.empty(size, np.uint8)
    view, at = taken.data, 0
    while at < size:
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
            for name, values in read(Path(request["path"]), **request["options"]).items():
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


if __name__ == "__main__":
    _serve(sys.stdin.buffer)
