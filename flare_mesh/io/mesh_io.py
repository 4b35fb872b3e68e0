"""Mesh files in and out, by PyVista and meshio."""

import contextlib
import io
import warnings
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import meshio
import numpy as np
import torch

from flare_mesh.files import atomic_path
from flare_mesh.io.arrays import MAX_BYTES
from flare_mesh.io.mesh_formats import (
    VTK_SUFFIXES,
    XML_SUFFIXES,
    check_mesh_file,
    check_writable,
)
from flare_mesh.io.mesh_writing import GMSH_TAG, check_field, writable_mesh
from flare_mesh.io.reader_process import read_in_child, reason_of
from flare_mesh.io.vtk_xml import UnsupportedVTKError, VTKXMLFile

if TYPE_CHECKING:
    import pyvista

    from flare_mesh.mesh.mesh_data import MeshData

_MAX_REASON = 300
# XDMF as one file, not two; of Gmsh's formats the one that meshio can write with mixed cells.
_OPTIONS: dict[str, dict[str, Any]] = {
    ".xdmf": {"data_format": "XML"},
    ".msh": {"file_format": "gmsh22", "binary": False},
}


def write_mesh(path: str | Path, mesh: "MeshData | meshio.Mesh", **fields: torch.Tensor) -> None:
    """Writes points, cells and all fields to a mesh file, which appears whole or not at all.

    ``.vtu`` and ``.vtk`` hold everything in a ``MeshData``, units too; what another format cannot
    hold is refused. A field [N, 1] is read back as [N], and one of more dimensions as [N, C].

    Args:
        path: Target; ``.vtu`` (for ParaView and PyVista), legacy ``.vtk``, or another suffix of
            ``WRITABLE_SUFFIXES``.
        mesh: A :class:`~flare_mesh.mesh.MeshData`, or points [N, 3], blocks of cells,
            ``point_data`` and ``cell_data`` of meshio.
        fields: More node fields [N, ...] of a ``MeshData``, by name.

    Raises:
        ValueError: If the suffix is another, a field has another number of rows, or the format
            cannot hold the cells, or a field for its type, shape or name.
    """
    check_writable(path)
    if isinstance(mesh, meshio.Mesh):
        _write_meshio(path, mesh)
        return
    whole = mesh.__copy__()
    for name, values in fields.items():
        if not values.dim() or len(values) != len(mesh.pos):
            raise ValueError(
                f"{path}: expected {len(mesh.pos)} rows of '{name}' (got {list(values.shape)})"
            )
        whole[name] = values
    if Path(path).suffix.lower() in (".vtu", ".vtk"):
        known = {**whole.node_fields, **whole.cell_fields, **whole.case_fields}
        for name, values in known.items():
            check_field(path, name, values.shape)
        grid = whole.to_pyvista()
        with atomic_path(path) as temporary:
            grid.save(temporary)
        return
    if whole.case_fields:
        raise ValueError(
            f"{path}: cannot hold fields of the whole case ({', '.join(whole.case_fields)}); "
            f"choose .vtu, or remove them"
        )
    _write_meshio(path, whole.to_meshio())


def _write_meshio(path: str | Path, mesh: meshio.Mesh) -> None:
    suffix = Path(path).suffix.lower()
    mesh = writable_mesh(path, mesh)
    with atomic_path(path) as temporary:
        if suffix == ".vtp":
            _poly_data(mesh).save(temporary)
        else:
            with _quiet():
                meshio.write(temporary, mesh, **_OPTIONS.get(suffix, {}))


def _poly_data(mesh: meshio.Mesh) -> "pyvista.PolyData":
    import pyvista

    faces = [np.insert(block.data, 0, block.data.shape[1], axis=1).ravel() for block in mesh.cells]
    surface = pyvista.PolyData(mesh.points, np.concatenate(faces) if faces else None)
    for name, field in mesh.point_data.items():
        surface.point_data[name] = np.asarray(field)
    for name, parts in mesh.cell_data.items():
        surface.cell_data[name] = np.concatenate(parts)
    return surface


def read_mesh(
    path: str | Path,
    *,
    fields: Collection[str] | None = None,
    optional: Collection[str] = (),
    dtype: torch.dtype | None = torch.float32,
    edges: bool = True,
    max_bytes: int = MAX_BYTES,
) -> "MeshData":
    """Reads a mesh file of any of ``READABLE_SUFFIXES``.

    A file of several blocks becomes one mesh with the fields that all blocks have.

    Args:
        path: The file.
        fields: Node and cell fields to take, by name; None for all.
        optional: More fields to take where the file has them.
        dtype: Of coordinates and real fields, float32 by default; None keeps that of the file.
        edges: Whether to add ``edge_index`` from the cells.
        max_bytes: Limit of what the file may declare.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it cannot be read or used; see :func:`check_mesh_file` and
            :meth:`MeshData.from_meshio`.
    """
    # It needs PyG, which writing does not.
    from flare_mesh.mesh.convert import from_meshio, from_vtk_arrays, orient_wedges

    path = Path(path)
    check_mesh_file(path, max_bytes=max_bytes)
    try:
        mesh = _read(path, max_bytes)
    except Exception as error:
        raise ValueError(f"{path}: cannot be read as a mesh ({reason_of(error)})") from error
    options: dict[str, Any] = {
        "fields": fields,
        "optional": optional,
        "dtype": dtype,
        "edges": edges,
    }
    try:
        if isinstance(mesh, meshio.Mesh):
            return from_meshio(mesh, **options)
        return orient_wedges(from_vtk_arrays(mesh, **options))
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
        mesh = _read_meshio(path)
    except Exception:
        if suffix != ".stl":
            raise
        return _read_stl(path)
    _drop_bookkeeping(mesh, suffix)
    return mesh


def _read_meshio(path: Path) -> meshio.Mesh:
    with _quiet() as said:
        try:
            return meshio.read(path)
        # meshio ends the program when it cannot read a file, and prints why.
        except SystemExit as error:
            raise ValueError(" ".join(said.getvalue().split())[:_MAX_REASON]) from error


def _read_stl(path: Path) -> meshio.Mesh:
    """By trimesh, for what meshio does not take, such as the solids without a name it writes."""
    import trimesh

    surface: Any = trimesh.load(path, process=False, file_type="stl", force="mesh")
    if not len(surface.faces):
        raise ValueError("no triangles in it")
    # Corners of one place are one point, as meshio has them.
    points, number = np.unique(surface.vertices, axis=0, return_inverse=True)
    return meshio.Mesh(points, [("triangle", number.reshape(-1)[surface.faces])])


def _drop_bookkeeping(mesh: meshio.Mesh, suffix: str) -> None:
    """Removes what meshio tells of the format itself, which are no fields of the mesh."""
    if suffix == ".stl":
        mesh.cell_data.pop("facet_normals", None)
    if suffix == ".msh":
        mesh.point_data.pop("gmsh:dim_tags", None)
        mesh.cell_sets.pop("gmsh:bounding_entities", None)
        for name in ("gmsh:geometrical", "cell_tags"):
            mesh.cell_data.pop(name, None)
        # Zero is no tag; meshio leaves out the types of cells that have none.
        tags: list[Any] = [
            np.asarray(part) if np.size(part) else np.zeros(len(block.data), np.int32)
            for part, block in zip(mesh.cell_data.pop(GMSH_TAG, []), mesh.cells, strict=False)
        ]
        if any(part.any() for part in tags):
            mesh.cell_data[GMSH_TAG] = tags


@contextlib.contextmanager
def _quiet() -> Iterator[io.StringIO]:
    """Keeps what meshio says on its way, and gives it."""
    sink = io.StringIO()
    with (
        contextlib.redirect_stdout(sink),
        contextlib.redirect_stderr(sink),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield sink
