"""Writing of mesh files by PyVista and meshio."""

import math
import re
from collections.abc import Collection, Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import meshio
import numpy as np
import torch
from numpy.typing import NDArray

from flare_mesh.files import atomic_path
from flare_mesh.io.captured_output import captured_output
from flare_mesh.io.gmsh_mesh import gmsh_mesh
from flare_mesh.io.mesh_formats import GMSH_TAG, check_writable
from flare_mesh.io.readers.abaqus.deck import FIRST_LINE, LAST_LINE
from flare_mesh.io.readers.abaqus.element_types import WRITTEN, written_cells
from flare_mesh.io.vtk_writer import write_vtk

if TYPE_CHECKING:
    import pyvista

    from flare_mesh.mesh.mesh_data import MeshData

_Array = NDArray[Any]

_SURFACES = {".vtp": {"triangle", "quad"}, ".ply": {"triangle", "quad"}, ".stl": {"triangle"}}
_NO_FIELDS = (".stl", ".inp", ".msh")
_NUMBERS = {"float32", "float64", *(f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64))}
_XDMF_NUMBERS = {"float32", "float64", "int32", "int64", "uint32", "uint64"}
_BAD_NAME = re.compile(r"[\x00-\x1f\x7f\"<>]")
_MAX_NAME = 255
# XDMF as one file instead of two; the Gmsh format that meshio can write with mixed cell types.
_MESHIO_OPTIONS: dict[str, dict[str, Any]] = {
    ".xdmf": {"data_format": "XML"},
    ".msh": {"file_format": "gmsh22", "binary": False},
}


def write_mesh(path: str | Path, mesh: "MeshData | meshio.Mesh", **fields: torch.Tensor) -> None:
    """Write points, cells and all fields to a mesh file, which appears whole or not at all.

    ``.vtu`` and ``.vtk`` files hold everything in a ``MeshData``, units included; data that another
    format cannot hold are refused. A field [N, 1] is read back as [N], and a field of more
    dimensions as [N, C].

    Args:
        path: Path of the file: ``.vtu`` (for ParaView and PyVista), legacy ``.vtk``, or another
            suffix of ``WRITABLE_SUFFIXES``.
        mesh: A :class:`~flare_mesh.mesh.MeshData`, or a mesh of meshio.
        fields: More node fields [N, ...] of a ``MeshData``, by name.

    Raises:
        ValueError: If the suffix is unknown, a field has a wrong number of rows, or the format
            cannot hold the cell types, or the type, shape or name of a field.
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
            _check_field(path, name, values.shape)
        write_vtk(path, whole.to_pyvista())
        return
    if whole.case_fields:
        raise ValueError(
            f"{path}: cannot hold fields of the whole case ({', '.join(whole.case_fields)}); "
            f"choose .vtu, or remove them"
        )
    _write_meshio(path, whole.to_meshio())


def _write_meshio(path: str | Path, mesh: meshio.Mesh) -> None:
    suffix = Path(path).suffix.lower()
    mesh = _writable(path, mesh)
    if suffix == ".vtp":
        write_vtk(path, _poly_data(mesh))
        return
    with atomic_path(path) as temporary, captured_output():
        if suffix == ".inp":
            with temporary.open("w") as file:
                file.write(FIRST_LINE)
                meshio.write(file, mesh, "abaqus", translate_cell_names=False)
                file.write(LAST_LINE)
        else:
            meshio.write(temporary, mesh, **_MESHIO_OPTIONS.get(suffix, {}))


def _poly_data(mesh: meshio.Mesh) -> "pyvista.PolyData":
    import pyvista

    faces = [np.insert(block.data, 0, block.data.shape[1], axis=1).ravel() for block in mesh.cells]
    surface = pyvista.PolyData(mesh.points, np.concatenate(faces) if faces else None)
    for name, field in mesh.point_data.items():
        surface.point_data[name] = np.asarray(field)
    for name, parts in mesh.cell_data.items():
        surface.cell_data[name] = np.concatenate(parts)
    return surface


def _writable(path: str | Path, mesh: meshio.Mesh) -> meshio.Mesh:
    """The mesh as meshio can write it: tensors as rows, Abaqus' sets as sets.

    Raises:
        ValueError: If the format cannot hold the cells or a field.
    """
    suffix = Path(path).suffix.lower()
    kinds = {block.type for block in mesh.cells}
    refused = sorted(kinds - _cell_types(suffix))
    if refused:
        raise ValueError(f"{path}: {suffix} files cannot hold cells of type {refused}; choose .vtu")
    mesh = copy(mesh)
    if suffix == ".inp":
        _fields_to_sets(mesh)
        mesh.cells = [_abaqus_elements(block) for block in mesh.cells]
    if suffix == ".msh":
        mesh = gmsh_mesh(mesh)
    given = mesh.cell_data.items()
    nodes = {name: _rows(path, name, values) for name, values in mesh.point_data.items()}
    cells = {name: [_rows(path, name, part) for part in parts] for name, parts in given}
    lost = _lost_fields(suffix, nodes, cells)
    if lost:
        raise ValueError(f"{path}: {suffix} files cannot hold the fields {lost}; choose .vtu")
    for name, parts in [*((name, [values]) for name, values in nodes.items()), *cells.items()]:
        _check_type(path, suffix, name, parts)
    points = np.asarray(mesh.points)
    # Gmsh's format has doubles only; meshio writes float32 to XDMF with eight digits.
    wide = points.dtype != np.float32 or suffix in (".msh", ".xdmf")
    mesh.points = points.astype(np.float64) if wide else points
    if suffix == ".xdmf":
        nodes = {name: _double(values) for name, values in nodes.items()}
        cells = {name: [_double(part) for part in parts] for name, parts in cells.items()}
    out: Any = mesh
    out.point_data, out.cell_data = nodes, cells
    return out


def _double(values: _Array) -> _Array:
    return values.astype(np.float64) if values.dtype == np.float32 else values


def _cell_types(suffix: str) -> set[str]:
    from meshio._vtk_common import meshio_to_vtk_type
    from meshio.gmsh.common import _meshio_to_gmsh_type
    from meshio.xdmf.common import meshio_to_xdmf_type, meshio_type_to_xdmf_index

    if suffix in _SURFACES:
        return _SURFACES[suffix]
    return {
        ".inp": set(WRITTEN),
        ".msh": set(_meshio_to_gmsh_type),
        ".xdmf": set(meshio_to_xdmf_type) & set(meshio_type_to_xdmf_index),
    }.get(suffix, set(meshio_to_vtk_type))


def _rows(path: str | Path, name: str, values: Any) -> _Array:
    """A field as [N] or [N, C], tensors flattened row by row."""
    array = np.asarray(values)
    _check_field(path, name, array.shape)
    return array.reshape(len(array), -1) if array.ndim > 2 else array


def _lost_fields(
    suffix: str, nodes: dict[str, _Array], cells: dict[str, list[_Array]]
) -> list[str]:
    """Names of the fields that meshio's writer of this format would silently leave out."""
    lost = [*nodes, *cells] if suffix in _NO_FIELDS else []
    if suffix == ".msh" and all(
        part.ndim == 1 and part.dtype.kind in "iu" for part in cells.get(GMSH_TAG, [])
    ):
        lost = [name for name in lost if name != GMSH_TAG or name in nodes]
    if suffix == ".ply":
        lost += cells
        lost += [name for name, values in nodes.items() if values.ndim > 1]
        lost += [name for name in nodes if name in ("x", "y", "z")]
    return lost


def _check_field(path: str | Path, name: str, shape: Sequence[int]) -> None:
    """Refuse a field that no format can hold."""
    if not name or len(name) > _MAX_NAME or _BAD_NAME.search(name):
        raise ValueError(
            f"{path}: expected a field name of 1 to {_MAX_NAME} characters without quotes, '<', "
            f"'>' and control characters (got {name[:80]!r}); rename that field"
        )
    if not math.prod(shape[1:]):
        raise ValueError(
            f"{path}: expected at least one channel of the field '{name}' (got shape {list(shape)})"
        )


def _check_type(path: str | Path, suffix: str, name: str, parts: list[_Array]) -> None:
    if suffix == ".ply" and re.search(r"\s", name):
        raise ValueError(
            f"{path}: .ply files cannot hold the space in the field name '{name}'; rename the field"
        )
    known = _XDMF_NUMBERS if suffix == ".xdmf" else _NUMBERS
    for part in parts:
        if part.dtype.name not in known:
            raise ValueError(
                f"{path}: {suffix} files cannot hold the field '{name}' of type "
                f"{part.dtype.name}; convert it to one of {', '.join(sorted(known))}"
            )


def _fields_to_sets(mesh: meshio.Mesh) -> None:
    """Convert fields of zeros and ones to Abaqus' sets, which are read back as such fields."""
    mesh.point_data, mesh.cell_data = dict(mesh.point_data), dict(mesh.cell_data)
    mesh.point_sets, mesh.cell_sets = dict(mesh.point_sets), dict(mesh.cell_sets)
    for name, values in list(mesh.point_data.items()):
        if _is_set(name, [np.asarray(values)]) and _is_new(name, mesh.point_sets):
            mesh.point_sets[name] = np.flatnonzero(np.asarray(mesh.point_data.pop(name)))
    for name, parts in list(mesh.cell_data.items()):
        arrays = [np.asarray(part) for part in parts]
        if _is_set(name, arrays) and _is_new(name, mesh.cell_sets):
            mesh.cell_sets[name] = [np.flatnonzero(part) for part in mesh.cell_data.pop(name)]


def _is_new(name: str, sets: Collection[str]) -> bool:
    # Abaqus does not distinguish upper and lower case.
    return name.upper() not in {other.upper() for other in sets}


def _abaqus_elements(block: meshio.CellBlock) -> meshio.CellBlock:
    """Cells under the name and in the node order of the element type that Abaqus has for them."""
    elements = meshio.CellBlock(block.type, written_cells(block.type, np.asarray(block.data)))
    elements.type = WRITTEN[block.type]
    return elements


def _is_set(name: str, parts: list[_Array]) -> bool:
    flags = all(part.dtype == np.uint8 and part.ndim == 1 for part in parts)
    members = [part.max(initial=0) for part in parts]
    return flags and max(members, default=0) == 1 and re.fullmatch(r"[\w.-]+", name) is not None
