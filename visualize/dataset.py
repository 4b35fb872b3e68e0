"""Everything that can be plotted, as an unstructured grid of VTK."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch_geometric.data import Data

from flare_mesh.cases.case_files import one_step
from flare_mesh.io import read_mesh
from flare_mesh.mesh import MeshData
from flare_mesh.mesh.finite_coordinates import check_finite


def to_grid(source: Any, step: int | None = None) -> Any:
    """A mesh with its fields and units as a ``pyvista.UnstructuredGrid``.

    Args:
        source: A :class:`MeshData` or other PyG data with ``pos``; the path of a mesh file or of
            a collection of time steps; a PyVista mesh of any kind; or an object with a method
            ``to_mesh(step)``, such as a :class:`~flare_mesh.prediction.Prediction` or an
            ``lpbf.Result``.
        step: Number of the time step, for sources that have several.

    Raises:
        FileNotFoundError: If the file does not exist.
        TypeError: If the source is something else.
        ValueError: If the file cannot be read, the source has no such step, there are no points, or
            some have coordinates that are NaN or infinite.
    """
    grid = _convert(source, step)
    if grid.n_points == 0:
        raise _no_points(source)
    check_finite(np.asarray(grid.points), _name(source))
    return grid


def _no_points(source: Any) -> ValueError:
    return ValueError(f"{_name(source)}: expected a mesh with points (got none)")


def _name(source: Any) -> str:
    return str(source) if isinstance(source, (str, Path)) else type(source).__name__


def _convert(source: Any, step: int | None) -> Any:
    import pyvista

    if isinstance(source, (str, Path)):
        one = one_step(Path(source), step)
        return read_mesh(one.file, step=one.number, dtype=None, edges=False).to_pyvista()
    if hasattr(source, "to_mesh"):
        return source.to_mesh(step).to_pyvista()
    if step not in (None, 0, -1):
        raise ValueError(f"expected no step for a single mesh (got {step})")
    if isinstance(source, Data):
        if source.pos is None:
            raise ValueError(f"expected data with coordinates 'pos' (got {source})")
        if source.pos.dim() != 2 or not 1 <= source.pos.shape[1] <= 3:
            raise ValueError(
                f"expected coordinates 'pos' of shape [N, 2] or [N, 3] (got "
                f"{list(source.pos.shape)})"
            )
        if len(source.pos) == 0:  # before VTK, which refuses empty fields
            raise _no_points(source)
        return (source if isinstance(source, MeshData) else _to_mesh(source)).to_pyvista()
    if isinstance(source, pyvista.MultiBlock):
        source = source.combine()
    if isinstance(source, pyvista.DataSet):
        return source.cast_to_unstructured_grid()
    raise TypeError(
        f"expected a MeshData, the path of a mesh file, a PyVista mesh, a prediction or a result "
        f"(got {type(source).__name__})"
    )


def _to_mesh(data: Data) -> MeshData:
    """Node fields, and the triangles of ``face`` if there are any, of PyG data."""
    count = len(data.pos)  # pyright: ignore[reportArgumentType]
    fields = {
        key: value
        for key, value in data.to_dict().items()
        if isinstance(value, torch.Tensor) and value.dim() > 0 and len(value) == count
    }
    mesh = MeshData(fields.pop("pos"))
    for name, values in fields.items():
        if name not in ("batch", "face"):
            mesh[name] = values
    if data.face is not None:
        mesh["triangle"] = data.face.T
    return mesh


def cell_dimension(mesh: Any) -> int:
    """Largest dimension of the cells; 0 without cells, or with vertices only."""
    import pyvista
    from vtkmodules.vtkCommonDataModel import vtkGenericCell

    if isinstance(mesh, pyvista.PolyData):
        faces = mesh.GetNumberOfPolys() + mesh.GetNumberOfStrips()
        return 2 if faces else 1 if mesh.GetNumberOfLines() else 0
    cell, largest = vtkGenericCell(), 0
    for kind in np.unique(np.asarray(mesh.celltypes)):
        cell.SetCellType(int(kind))
        largest = max(largest, cell.GetCellDimension())
    return largest
