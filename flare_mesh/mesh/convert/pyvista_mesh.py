"""Conversion from and to PyVista."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from flare_mesh.documents import load_json
from flare_mesh.mesh.cell_storage import VTK_CODES, cell_starts, reflect_cells
from flare_mesh.mesh.convert.assemble import T, assemble, field_to_array, points_3d
from flare_mesh.mesh.convert.wedges import vtk_has_other_order
from flare_mesh.mesh.vtk_arrays import vtk_arrays
from flare_mesh.mesh.vtk_cells import plain_cells

if TYPE_CHECKING:
    import pyvista

# Field data with the units, as bytes, since not all readers support text.
_UNITS = "field_units"


def from_pyvista(cls: type[T], mesh: "pyvista.DataSet", **options: Any) -> T:
    """Points, cells, point data and cell data of a PyVista mesh of any kind.

    Grids become quads or hexahedra. Options and errors are the same as for
    :func:`~flare_mesh.mesh.convert.assemble.assemble`.
    """
    data = from_vtk_arrays(cls, vtk_arrays(mesh), **options)
    if vtk_has_other_order():
        data.cell_index = reflect_cells(data.cell_index, data.cell_type, ["wedge"])
    return data


def from_vtk_arrays(cls: type[T], arrays: Mapping[str, NDArray[Any]], **options: Any) -> T:
    """Mesh from the arrays of :func:`~flare_mesh.mesh.vtk_arrays.vtk_arrays`."""
    index, types = plain_cells(arrays["index"], arrays["offset"], arrays["types"])
    nodes, cells, case = (
        {key.removeprefix(place): arrays[key] for key in arrays if key.startswith(place)}
        for place in ("node:", "cell:", "case:")
    )
    units = case.pop(_UNITS, None)
    data = assemble(cls, arrays["points"], index, types, nodes, cells, case, **options)
    if units is not None:
        data.units = _read_units(units)
    return data


def pyvista_units(mesh: "pyvista.DataSet") -> dict[str, str]:
    """Units of the fields of a mesh of :func:`to_pyvista`, or that was read from its file."""
    units = mesh.field_data.get(_UNITS)
    return {} if units is None else _read_units(np.asarray(units))


def _read_units(text: NDArray[Any]) -> dict[str, str]:
    """Units from the bytes of their JSON text; none if it is something else."""
    try:
        units = load_json(text.astype(np.uint8).tobytes())
    except ValueError:
        return {}
    return {str(k): str(v) for k, v in units.items()} if isinstance(units, dict) else {}


def to_pyvista(data: Data) -> "pyvista.UnstructuredGrid":
    """The mesh with its cells in their order and all of its fields.

    Raises:
        ValueError: If VTK does not have one of the cell types.
    """
    import pyvista

    types = data.cell_type.numpy(force=True)
    if (types == VTK_CODES["pyramid14"]).any():
        raise ValueError("VTK has no cells of type 'pyramid14'")
    index = data.cell_index.cpu()
    if vtk_has_other_order():
        index = reflect_cells(index, data.cell_type.cpu(), ["wedge"])
    starts = cell_starts(data.cell_type).numpy(force=True)
    # VTK's legacy layout: each cell is its number of nodes, followed by the nodes.
    cells = np.insert(index.numpy(), starts[:-1], np.diff(starts))
    grid = pyvista.UnstructuredGrid(cells, types, points_3d(data))
    for name, values in data.node_fields.items():
        grid.point_data[name] = field_to_array(values)
    for name, values in data.cell_fields.items():
        grid.cell_data[name] = field_to_array(values)
    for name, values in data.case_fields.items():
        grid.field_data[name] = field_to_array(values).ravel()
    if data.units:
        grid.field_data[_UNITS] = np.frombuffer(json.dumps(data.units).encode(), np.uint8)
    return grid
