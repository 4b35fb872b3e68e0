"""Files that meshio reads."""

import warnings
from pathlib import Path

import meshio

from flare_mesh.io.captured_output import captured_output
from flare_mesh.io.mesh_file_warning import MeshFileWarning

_MAX_REASON = 300


def read_meshio(path: Path, file_format: str | None = None) -> meshio.Mesh:
    """Read a file by meshio in the format of its suffix, or ``file_format`` by meshio's name.

    The warnings that meshio prints are given as :class:`~flare_mesh.io.MeshFileWarning`.

    Raises:
        Exception: The exceptions of meshio; a ValueError with its printed message if it exits.
    """
    with captured_output() as printed:
        try:
            mesh = meshio.read(path, file_format=file_format)
        # meshio prints why it cannot read a file, and exits.
        except SystemExit as error:
            raise ValueError(_text(printed.getvalue())) from error
    if printed.getvalue().strip():
        warnings.warn(f"{path}: {_text(printed.getvalue())}", MeshFileWarning, stacklevel=2)
    return mesh


def _text(printed: str) -> str:
    return " ".join(printed.split())[:_MAX_REASON]
