"""Reading of mesh files of any format."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import meshio
import torch

from flare_mesh.choices import clip
from flare_mesh.io.arrays import MAX_BYTES
from flare_mesh.io.mesh_file_check import check_mesh_file
from flare_mesh.io.mesh_formats import mesh_format
from flare_mesh.io.reader_process import reason_of
from flare_mesh.io.time_steps import choose_step

if TYPE_CHECKING:
    from flare_mesh.mesh.mesh_data import MeshData


def read_mesh(
    path: str | Path,
    *,
    step: int | None = None,
    fields: Collection[str] | None = None,
    optional: Collection[str] = (),
    dtype: torch.dtype | None = torch.float32,
    edges: bool = True,
    origin: Sequence[float] | None = None,
    max_bytes: int = MAX_BYTES,
) -> "MeshData":
    """Read a mesh file of any of the formats ``MESH_FORMATS``.

    The blocks of a file become one mesh with the fields that all blocks have.

    Args:
        path: The file.
        step: Index of the time step, negative from the last; None if the file has only one. See
            :func:`~flare_mesh.io.mesh_times`.
        fields: Names of the node and cell fields to read; None for all.
        optional: Names of more fields to read where the file has them.
        dtype: Type of coordinates and real fields; None keeps the types of the file.
        edges: Whether to add ``edge_index`` from the cells.
        origin: Point that is subtracted from the coordinates in float64, and added again where the
            mesh is written; needed where float32 does not resolve them, such as UTM.
        max_bytes: Limit of the bytes that an array of the file may declare.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it cannot be read or used, or has several time steps and none is chosen; see
            :func:`~flare_mesh.io.mesh_file_check.check_mesh_file` and
            :meth:`MeshData.from_meshio`.
    """
    # The conversions need PyG, which takes long to import.
    from flare_mesh.mesh.convert import from_vtk_arrays, orient_wedges
    from flare_mesh.mesh.mesh_data import MeshData

    path = Path(path)
    check_mesh_file(path, max_bytes=max_bytes)
    form = mesh_format(path)
    read: Any = form.function("reader")
    try:
        if form.times is None:
            choose_step((), step)
        mesh = read(path, step, max_bytes)
    except Exception as error:
        raise ValueError(f"{path}: cannot be read as a mesh ({reason_of(error)})") from error
    options: Any = {"fields": fields, "optional": optional, "dtype": dtype}
    options |= {"edges": edges, "origin": origin}
    try:
        if isinstance(mesh, meshio.Mesh):
            return MeshData.from_meshio(mesh, **options)
        return orient_wedges(from_vtk_arrays(MeshData, mesh, **options))
    except ValueError as error:
        raise ValueError(f"{path}: {clip(error, 2000)}") from error
