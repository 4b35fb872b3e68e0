"""Reading of mesh files by an own reader, PyVista and meshio."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import meshio
import numpy as np
import torch

from flare_mesh.io.arrays import MAX_BYTES
from flare_mesh.io.captured_output import captured_output
from flare_mesh.io.mesh_file_check import check_mesh_file
from flare_mesh.io.mesh_formats import GMSH_TAG, VTK_SUFFIXES, XML_SUFFIXES
from flare_mesh.io.reader_process import read_in_child, reason_of
from flare_mesh.io.vtk_xml import UnsupportedVTKError, VTKXMLFile

if TYPE_CHECKING:
    from flare_mesh.mesh.mesh_data import MeshData

_MAX_REASON = 300


def read_mesh(
    path: str | Path,
    *,
    fields: Collection[str] | None = None,
    optional: Collection[str] = (),
    dtype: torch.dtype | None = torch.float32,
    edges: bool = True,
    max_bytes: int = MAX_BYTES,
) -> "MeshData":
    """Read a mesh file of any of the formats ``READABLE_SUFFIXES``.

    The blocks of a file become one mesh with the fields that all blocks have.

    Args:
        path: The file.
        fields: Names of the node and cell fields to read; None for all.
        optional: Names of more fields to read where the file has them.
        dtype: Type of coordinates and real fields; None keeps the types of the file.
        edges: Whether to add ``edge_index`` from the cells.
        max_bytes: Limit of the bytes that an array of the file may declare.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it cannot be read or used; see
            :func:`~flare_mesh.io.mesh_file_check.check_mesh_file` and
            :meth:`MeshData.from_meshio`.
    """
    # The conversions need PyG, which takes long to import.
    from flare_mesh.mesh.convert import from_vtk_arrays, orient_wedges
    from flare_mesh.mesh.mesh_data import MeshData

    path = Path(path)
    check_mesh_file(path, max_bytes=max_bytes)
    try:
        mesh = _read(path, max_bytes)
    except Exception as error:
        raise ValueError(f"{path}: cannot be read as a mesh ({reason_of(error)})") from error
    options: Any = {"fields": fields, "optional": optional, "dtype": dtype, "edges": edges}
    try:
        if isinstance(mesh, meshio.Mesh):
            return MeshData.from_meshio(mesh, **options)
        return orient_wedges(from_vtk_arrays(MeshData, mesh, **options))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _read(path: Path, max_bytes: int) -> Any:
    suffix = path.suffix.lower()
    if suffix in XML_SUFFIXES:
        try:
            return VTKXMLFile(path, max_bytes=max_bytes).mesh_arrays()
        except UnsupportedVTKError:
            return read_in_child("vtk", path)
    if suffix in VTK_SUFFIXES:
        return read_in_child("vtk", path)
    try:
        mesh = read_meshio(path)
    except Exception:
        if suffix != ".stl":
            raise
        return _read_stl(path)
    _drop_format_data(mesh, suffix)
    return mesh


def read_meshio(path: Path, file_format: str | None = None) -> meshio.Mesh:
    """Read a file by meshio in the format of its suffix, or ``file_format`` by meshio's name.

    Raises:
        Exception: The exceptions of meshio; a ValueError with its printed message if it exits.
    """
    with captured_output() as printed:
        try:
            return meshio.read(path, file_format=file_format)
        # meshio prints why it cannot read a file, and exits.
        except SystemExit as error:
            raise ValueError(" ".join(printed.getvalue().split())[:_MAX_REASON]) from error


def _read_stl(path: Path) -> meshio.Mesh:
    """Read an STL file that meshio refuses, such as one of trimesh, whose solid has no name."""
    import trimesh

    surface: Any = trimesh.load(path, process=False, file_type="stl", force="mesh")
    if not len(surface.faces):
        raise ValueError("it has no triangles")
    # Coincident corners become one point, as meshio reads them.
    points, number = np.unique(surface.vertices, axis=0, return_inverse=True)
    return meshio.Mesh(points, [("triangle", number.reshape(-1)[surface.faces])])


def _drop_format_data(mesh: meshio.Mesh, suffix: str) -> None:
    """Remove meshio's data about the file format, which are not fields of the mesh."""
    if suffix == ".stl":
        mesh.cell_data.pop("facet_normals", None)
    if suffix == ".msh":
        mesh.point_data.pop("gmsh:dim_tags", None)
        mesh.cell_sets.pop("gmsh:bounding_entities", None)
        for name in ("gmsh:geometrical", "cell_tags"):
            mesh.cell_data.pop(name, None)
        # Zero means no tag; meshio leaves the tags of such blocks empty.
        tags: list[Any] = [
            np.asarray(part) if np.size(part) else np.zeros(len(block.data), np.int32)
            for part, block in zip(mesh.cell_data.pop(GMSH_TAG, []), mesh.cells, strict=False)
        ]
        if any(part.any() for part in tags):
            mesh.cell_data[GMSH_TAG] = tags
