"""Mesh files of results."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.files import check_folder
from flare_mesh.io.vtk_writer import write_vtk

UNITS = {
    "displacement": "mm",
    "displacement_on_plate": "mm",
    "stress": "MPa",
    "von_mises": "MPa",
    "principal_stress": "MPa",
    "temperature": "C",
    "plastic_strain": "1",
    "equivalent_plastic_strain": "1",
    "support_share": "1",
    "recoater_clearance": "mm",
    "interlayer_temperature": "C",
    "plate_temperature": "C",
    "removed": "1",
    "is_support": "1",
    "part": "1",
    "part_rotation": "1",
    "part_translation": "mm",
}
"""Unit of each field of a result."""

RESULT_SUFFIXES = (".vtu", ".vtk", ".xdmf")
"""File types that hold hexahedra and their fields."""

# Name under which a MeshData stores units in a file.
_UNITS_KEY = "field_units"
_COMPONENTS = {"principal_stress": ("I", "II", "III")}


def unit_of(name: str) -> str:
    """Unit of a field of a result; the name of a displacement begins with "displacement"."""
    return UNITS["displacement" if name.startswith("displacement") else name]


def write_hexahedra(
    path: str | Path,
    points: NDArray[Any],
    cells: NDArray[np.int64],
    fields: Mapping[str, NDArray[Any]],
    layers: Mapping[str, NDArray[Any]] | None = None,
    voxels: Mapping[str, NDArray[Any]] | None = None,
) -> None:
    """Write hexahedra and fields of :data:`UNITS` to a file, whole or not at all.

    Args:
        path: A file of :data:`RESULT_SUFFIXES`; only ``.vtu`` holds units.
        points: Coordinates [N, 3], mm.
        cells: Nodes in VTK's order, [E, 8].
        fields: Fields at the nodes, [N] or [N, C].
        layers: Values of the layers, [L], and others that belong to no node or voxel, which only
            ``.vtu`` holds.
        voxels: Values of the hexahedra, [E].

    Raises:
        ValueError: If the file is of another type.
        OSError: If the file cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in RESULT_SUFFIXES:
        raise ValueError(
            f"{path}: expected a file of type {', '.join(RESULT_SUFFIXES)} (got '{suffix}'); "
            f"choose .vtu"
        )
    check_folder(path)
    if suffix != ".vtu":
        import meshio

        from flare_mesh.io import write_mesh

        block: dict[str, Any] = {"hexahedron": cells}
        of_cells: dict[str, Any] = {name: [values] for name, values in (voxels or {}).items()}
        write_mesh(path, meshio.Mesh(points, block, dict(fields), of_cells))
        return

    import pyvista

    grid = pyvista.UnstructuredGrid({pyvista.CellType.HEXAHEDRON: cells}, points)
    for name, values in fields.items():
        grid.point_data[name] = values
        for column, component in enumerate(_COMPONENTS.get(name, ())):
            grid.GetPointData().GetArray(name).SetComponentName(column, component)
    for name, values in (voxels or {}).items():
        grid.cell_data[name] = values
    for name, values in (layers or {}).items():
        grid.field_data[name] = values
    names = *fields, *(voxels or {}), *(layers or {})
    units = {name: unit_of(name) for name in names}
    grid.field_data[_UNITS_KEY] = np.frombuffer(json.dumps(units).encode(), np.uint8)
    write_vtk(path, grid)
