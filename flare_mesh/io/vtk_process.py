"""VTK's readers, in a process of their own.

On a damaged file VTK's readers may not report an error but end the process. So that a bad
file among thousands costs no more than its own error, they run in a child, which is started on
first use and again after a crash.
"""

import atexit
import os
import re
import signal
import struct
import subprocess
import sys
import threading
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from flare_mesh.mesh.vtk_arrays import vtk_arrays

_REQUEST = struct.Struct("<QQ")  # number, bytes of the path that follows
_ANSWER = struct.Struct("<?QQ")  # whether it is arrays, number of the request, bytes that follow
_numbers = count()
_lock = threading.Lock()
_child: tuple[int, subprocess.Popen[bytes]] | None = None


def read_in_child(path: Path) -> dict[str, NDArray[Any]]:
    """Reads a mesh file in the child process; threads wait for each other.

    Returns:
        ``points`` [N, 3], ``index`` (nodes of all cells), ``offset`` [E + 1], ``types`` [E] as VTK
        numbers them, and the fields as ``node:<name>``, ``cell:<name>`` and, for those of the whole
        case, ``case:<name>``.

    Raises:
        ValueError: If the file cannot be read; also if it makes the reader crash.
    """
    with _lock:
        try:
            is_arrays, answer = _exchange(_running(), os.fsencode(path.resolve()))
        except (OSError, EOFError) as error:
            _stop()
            raise ValueError("the file makes VTK's reader crash; it is damaged") from error
        except BaseException:
            # An answer that nobody took must not become that of the next file.
            _stop()
            raise
    if not is_arrays:
        raise ValueError(answer.decode())
    with np.load(BytesIO(answer), allow_pickle=False) as arrays:
        return dict(arrays)


def _exchange(child: subprocess.Popen[bytes], path: bytes) -> tuple[bool, bytearray]:
    assert child.stdin is not None
    assert child.stdout is not None
    number = next(_numbers)
    request = memoryview(_REQUEST.pack(number, len(path)) + path)
    while request:
        request = request[child.stdin.write(request) :]
    is_arrays, answered, size = _ANSWER.unpack(_take(child.stdout, _ANSWER.size))
    if answered != number:
        raise EOFError(f"the answer to request {answered} came to request {number}")
    return is_arrays, _take(child.stdout, size)


def _take(stream: Any, size: int) -> bytearray:
    """So many bytes of a stream without a buffer."""
    taken = bytearray(size)
    view, at = memoryview(taken), 0
    while at < size:
        got = stream.readinto(view[at:])
        if not got:
            raise EOFError("the reader ended")
        at += got
    return taken


def _running() -> subprocess.Popen[bytes]:
    """The child of this very process: a forked worker must not share its parent's."""
    global _child
    if _child is not None and _child[1].poll() is not None:
        _stop()
    if _child is None:
        command = [sys.executable, "-m", "flare_mesh.io.vtk_process"]
        pipe, null = subprocess.PIPE, subprocess.DEVNULL
        # No buffers: their locks and contents would be copied into forked workers.
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
    """In a forked process: lock and child are those of the parent."""
    global _child, _lock
    _lock = threading.Lock()
    if _child is not None:
        _close(_child[1])
        _child[1].returncode = 0  # not ours to wait for
        _child = None


atexit.register(_stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def read_vtk(path: Path) -> Any:
    """Reads a mesh file by PyVista in this process; several blocks become one grid.

    Raises:
        ValueError: If there are no points in it.
        RuntimeError: If VTK reports an error.
    """
    import pyvista

    mesh = _read(path)
    if isinstance(mesh, pyvista.MultiBlock):
        mesh = mesh.combine()
    if mesh is None or not mesh.n_points:
        raise ValueError("no points in it")
    return mesh


def _read(path: Path, *, little_endian: bool = False) -> Any:
    import pyvista

    reader: Any = pyvista.get_reader(str(path))
    if little_endian:
        reader.reader.SetByteOrderToLittleEndian()
    try:
        # VTK reports damage on its own channel and goes on with what it has.
        with pyvista.VtkErrorCatcher(raise_errors=True, send_to_logging=False):
            return reader.read()
    except RuntimeError:
        # EnSight's binary files do not say their byte order; big-endian was tried.
        if little_endian or not hasattr(reader.reader, "SetByteOrderToLittleEndian"):
            raise
    return _read(path, little_endian=True)


def reason_of(error: BaseException) -> str:
    """What an error says, in one line, without where in VTK's sources it was said."""
    lines = [line.strip() for line in str(error).splitlines()]
    lines = [re.sub(r"^\w+ \((?:0x)?[0-9a-fA-F]+\): ", "", line) for line in lines]
    told = [line for line in lines if line and not re.match(r"(?:ERROR|Warning): In ", line)]
    return told[0] if told else type(error).__name__


def _serve(requests: BinaryIO) -> None:
    """Answers paths on the standard input by arrays on the standard output."""
    # An interrupt is for the parent, which then ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # VTK writes to the standard output as well.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while head := requests.read(_REQUEST.size):
        number, size = _REQUEST.unpack(head)
        path = Path(os.fsdecode(requests.read(size)))
        try:
            buffer = BytesIO()
            arrays: dict[str, Any] = vtk_arrays(read_vtk(path))
            np.savez(buffer, **arrays)
            answer = buffer.getvalue()
            is_arrays = True
        except Exception as error:
            is_arrays, answer = False, reason_of(error).encode(errors="backslashreplace")
        out.write(_ANSWER.pack(is_arrays, number, len(answer)))
        out.write(answer)
        out.flush()


if __name__ == "__main__":
    _serve(sys.stdin.buffer)
