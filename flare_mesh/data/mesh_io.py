"""Mesh files in and out, by meshio."""

from collections.abc import Mapping
from pathlib import Path

import meshio
import numpy as np
from numpy.typing import NDArray

from flare_mesh.files import atomic_path, check_folder

# Formats of one file that hold any cells and their node fields.
WRITABLE_SUFFIXES = (".vtu", ".vtk")


def check_writable(path: str | Path) -> None:
    """Refuses a path that :func:`write_mesh` could not write to.

    Raises:
        ValueError: If the suffix is not one of ``WRITABLE_SUFFIXES``.
        NotADirectoryError: If a file stands where a folder should.
    """
    path = Path(path)
    if path.suffix.lower() not in WRITABLE_SUFFIXES:
        raise ValueError(f"{path}: expected a name that ends in {' or '.join(WRITABLE_SUFFIXES)}")
    check_folder(path)


def write_mesh(
    path: str | Path,
    points: NDArray,
    cells: Mapping[str, NDArray],
    point_data: Mapping[str, NDArray],
) -> None:
    """Writes a mesh and its node fields; the file appears whole or not at all.

    Args:
        path: Target; ``.vtu`` (for ParaView and PyVista) or legacy ``.vtk``.
        points: [N, 3].
        cells: Connectivity [E, nodes] by meshio's cell type.
        point_data: Fields [N] or [N, C] by name.

    Raises:
        ValueError: If the suffix is another, or a field does not have N rows.
    """
    check_writable(path)
    for name, field in point_data.items():
        if len(field) != len(points):
            raise ValueError(f"{path}: expected {len(points)} rows of '{name}' (got {len(field)})")
    mesh = meshio.Mesh(
        np.asarray(points, dtype=np.float64),
        [(cell_type, np.asarray(nodes)) for cell_type, nodes in cells.items()],
        point_data={name: np.ascontiguousarray(field) for name, field in point_data.items()},
    )
    with atomic_path(path) as temporary:
        meshio.write(temporary, mesh)


def read_mesh(path: str | Path) -> meshio.Mesh:
    """Reads a mesh file.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; give the path of a mesh file")
    try:
        return meshio.read(path)
    # meshio's readers raise what they like, SystemExit included.
    except (Exception, SystemExit) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{path}: cannot be read as a mesh ({reason})") from error
