"""VTK's readers, in a process of their own.

On a damaged file VTK's readers may not report an error but end the process. So that a bad
file among thousands costs no more than its own error, they run in a child, which is started on
first use and again after a crash.
"""

import atexit
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_child: tuple[int, subprocess.Popen[bytes]] | None = None


def read_in_child(path: Path) -> dict[str, NDArray[Any]]:
    """Reads a mesh file in the child process.

    Returns:
        ``points`` [N, 3], ``index`` (nodes of all cells), ``offset`` [E + 1], ``types`` [E] as VTK
        numbers them, and the fields as ``node:<name>``, ``cell:<name>`` and, for those of the whole
        case, ``case:<name>``.

    Raises:
        ValueError: If the file cannot be read; also if it makes the reader crash.
    """
    child = _running()
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        child.stdin.write(os.fsencode(path.resolve()) + b"\n")
        child.stdin.flush()
        kind, size = child.stdout.readline().split()
        answer = child.stdout.read(int(size))
    except (BrokenPipeError, ValueError) as error:
        _stop()
        raise ValueError("the file makes VTK's reader crash; it is damaged") from error
    if kind == b"error":
        raise ValueError(answer.decode())
    with np.load(BytesIO(answer), allow_pickle=False) as arrays:
        return dict(arrays)


def _running() -> subprocess.Popen[bytes]:
    """The child of this very process: a forked worker must not share its parent's."""
    global _child
    if _child is None or _child[0] != os.getpid() or _child[1].poll() is not None:
        command = [sys.executable, "-m", "flare_mesh.data.vtk_process"]
        pipe, null = subprocess.PIPE, subprocess.DEVNULL
        _child = os.getpid(), subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=null)
        atexit.register(_stop)
    return _child[1]


def _stop() -> None:
    global _child
    if _child is not None and _child[0] == os.getpid():
        _child[1].kill()
        _child[1].wait()
        for stream in (_child[1].stdin, _child[1].stdout):
            if stream is not None:
                stream.close()
        _child = None


def read_vtk(path: Path) -> Any:
    """Reads a mesh file by PyVista in this process; several blocks become one grid.

    Raises:
        ValueError: If there are no points in it.
        RuntimeError: If VTK reports an error.
    """
    import pyvista

    # VTK reports damage on its own channel and goes on with what it has.
    with pyvista.VtkErrorCatcher(raise_errors=True, send_to_logging=False):
        mesh: Any = pyvista.get_reader(str(path)).read()
    if isinstance(mesh, pyvista.MultiBlock):
        mesh = mesh.combine()
    if mesh is None or not mesh.n_points:
        raise ValueError("no points in it")
    return mesh


def arrays_of(mesh: Any) -> dict[str, NDArray[Any]]:
    """The arrays of a PyVista mesh, as :func:`read_in_child` returns them."""
    from vtkmodules.util.numpy_support import vtk_to_numpy

    grid = mesh.cast_to_unstructured_grid()
    cells = grid.GetCells()
    arrays = {
        "points": np.asarray(grid.points),
        "index": vtk_to_numpy(cells.GetConnectivityArray()),
        "offset": vtk_to_numpy(cells.GetOffsetsArray()),
        "types": np.asarray(grid.celltypes),
    }
    for prefix, data in (("node:", grid.point_data), ("cell:", grid.cell_data)):
        for name in data.keys():  # noqa: SIM118
            values = np.asarray(data[name])
            if values.dtype.kind in "biuf":
                arrays[prefix + name] = values
    for name in mesh.field_data.keys():  # noqa: SIM118
        values = np.asarray(mesh.field_data[name])
        if values.dtype.kind in "biuf" and values.size:
            arrays["case:" + name] = values.reshape(1, -1)
    return arrays


def _serve() -> None:
    """Answers paths on the standard input by arrays on the standard output."""
    # VTK writes to the standard output as well.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for line in sys.stdin.buffer:
        try:
            buffer = BytesIO()
            np.savez(buffer, **arrays_of(read_vtk(Path(os.fsdecode(line[:-1])))))
            kind, answer = b"arrays", buffer.getvalue()
        except Exception as error:
            kind, answer = b"error", (str(error) or type(error).__name__).encode()
        out.write(b"%s %d\n" % (kind, len(answer)))
        out.write(answer)
        out.flush()


if __name__ == "__main__":
    _serve()
