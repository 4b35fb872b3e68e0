"""What each of the mesh formats that meshio writes can hold."""

import math
import re
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Any

import meshio
import numpy as np
from numpy.typing import NDArray

_Array = NDArray[Any]

_SURFACES = {".vtp": {"triangle", "quad"}, ".ply": {"triangle", "quad"}, ".stl": {"triangle"}}
_NO_FIELDS = (".stl", ".inp", ".msh")
GMSH_TAG = "gmsh:physical"
"""Cell field of Gmsh's physical groups, the only one that ``.msh`` keeps."""
_NUMBERS = {"float32", "float64", *(f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64))}
_XDMF_NUMBERS = {"float32", "float64", "int32", "int64", "uint32", "uint64"}
_BAD_NAME = re.compile(r"[\x00-\x1f\x7f\"<>]")
_MAX_NAME = 255


def writable_mesh(path: str | Path, mesh: meshio.Mesh) -> meshio.Mesh:
    """The mesh as meshio can write it to ``path``: tensors in rows, Abaqus' sets as sets.

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
    nodes = {name: _rows(path, name, values) for name, values in mesh.point_data.items()}
    cells = {
        name: [_rows(path, name, part) for part in parts] for name, parts in mesh.cell_data.items()
    }
    lost = _lost(suffix, nodes, cells)
    if lost:
        raise ValueError(f"{path}: {suffix} files cannot hold the fields {lost}; choose .vtu")
    for name, parts in [*((name, [values]) for name, values in nodes.items()), *cells.items()]:
        _check_field(path, suffix, name, parts)
    points = np.asarray(mesh.points)
    # Gmsh's format knows doubles only; meshio's XDMF would cut float32 to eight digits.
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
    from meshio.abaqus._abaqus import meshio_to_abaqus_type
    from meshio.gmsh.common import _meshio_to_gmsh_type
    from meshio.xdmf.common import meshio_to_xdmf_type, meshio_type_to_xdmf_index

    if suffix in _SURFACES:
        return _SURFACES[suffix]
    return {
        ".inp": set(meshio_to_abaqus_type),
        ".msh": set(_meshio_to_gmsh_type),
        ".xdmf": set(meshio_to_xdmf_type) & set(meshio_type_to_xdmf_index),
    }.get(suffix, set(meshio_to_vtk_type))


def _rows(path: str | Path, name: str, values: Any) -> _Array:
    """A field as [N] or [N, C], tensors row by row."""
    array = np.asarray(values)
    check_field(path, name, array.shape)
    return array.reshape(len(array), -1) if array.ndim > 2 else array


def _lost(suffix: str, nodes: dict[str, _Array], cells: dict[str, list[_Array]]) -> list[str]:
    """Fields that the format, or meshio's writer of it, would leave out without a word."""
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


def check_field(path: str | Path, name: str, shape: Sequence[int]) -> None:
    """Refuses a field that no format holds.

    Raises:
        ValueError: If its name is empty, too long, or has characters that files use otherwise, or
            it has no channels.
    """
    if not name or len(name) > _MAX_NAME or _BAD_NAME.search(name):
        raise ValueError(
            f"{path}: expected a field name of 1 to {_MAX_NAME} characters without quotes, '<', "
            f"'>' and control characters (got {name[:80]!r}); rename that field"
        )
    if not math.prod(shape[1:]):
        raise ValueError(
            f"{path}: expected at least one channel of the field '{name}' (got shape {list(shape)})"
        )


def _check_field(path: str | Path, suffix: str, name: str, parts: list[_Array]) -> None:
    if suffix == ".ply" and re.search(r"\s", name):
        raise ValueError(f"{path}: .ply files cannot hold the space in the field name '{name}'")
    known = _XDMF_NUMBERS if suffix == ".xdmf" else _NUMBERS
    for part in parts:
        if part.dtype.name not in known:
            raise ValueError(
                f"{path}: {suffix} files cannot hold the field '{name}' of type "
                f"{part.dtype.name}; convert it to one of {', '.join(sorted(known))}"
            )


def _fields_to_sets(mesh: meshio.Mesh) -> None:
    """Abaqus has sets instead of fields: those of zeros and ones, as sets are read."""
    mesh.point_data, mesh.cell_data = dict(mesh.point_data), dict(mesh.cell_data)
    mesh.point_sets, mesh.cell_sets = dict(mesh.point_sets), dict(mesh.cell_sets)
    for name, values in list(mesh.point_data.items()):
        if _is_set(name, [np.asarray(values)]):
            mesh.point_sets[name] = np.flatnonzero(np.asarray(mesh.point_data.pop(name)))
    for name, parts in list(mesh.cell_data.items()):
        arrays = [np.asarray(part) for part in parts]
        # meshio keeps only the last block's part of a set when it reads one again.
        if _is_set(name, arrays) and sum(bool(part.any()) for part in arrays) == 1:
            mesh.cell_sets[name] = [np.flatnonzero(part) for part in mesh.cell_data.pop(name)]


def _is_set(name: str, parts: list[_Array]) -> bool:
    flags = all(part.dtype == np.uint8 and part.ndim == 1 for part in parts)
    members = [part.max(initial=0) for part in parts]
    return flags and max(members, default=0) == 1 and re.fullmatch(r"[\w.-]+", name) is not None
