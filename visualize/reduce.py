"""Fewer faces or points of meshes that are too large for a picture."""

from typing import Any

import numpy as np

_DIVISIONS = 400


def reduce_surface(surface: Any, limit: int, notes: list[str]) -> Any:
    """A surface of about ``limit`` faces at most, by merging the points of small boxes.

    Args:
        surface: A surface with its fields.
        limit: Largest number of faces.
        notes: Remarks, to which a reduction is added.
    """
    import pyvista
    from vtkmodules.vtkFiltersCore import vtkBinnedDecimation

    count = surface.n_cells
    if count <= limit:
        return surface
    filled = surface.triangulate().cell_data_to_point_data()
    sizes = np.ptp(np.asarray(filled.points), axis=0)
    divisions, reduced = _DIVISIONS, filled
    while divisions > 8:
        boxes = np.maximum(1, np.ceil(divisions * sizes / sizes.max())).astype(int)
        merge = vtkBinnedDecimation()
        merge.SetInputData(filled)
        merge.SetNumberOfDivisions(*map(int, boxes))
        merge.SetPointGenerationModeToUseInputPoints()
        merge.ProducePointDataOn()
        merge.Update()
        reduced = pyvista.wrap(merge.GetOutput())
        if reduced.n_cells <= limit:
            break
        divisions = int(0.7 * divisions)
    notes.append(f"{count:,} faces, reduced to {reduced.n_cells:,} for view")
    return _without_unused_points(reduced)


def _without_unused_points(surface: Any) -> Any:
    """Triangles with the points that they need; the decimation keeps those of the whole surface."""
    import pyvista

    used, corners = np.unique(surface.faces.reshape(-1, 4)[:, 1:], return_inverse=True)
    triangles = corners.reshape(-1, 3)
    lean = pyvista.PolyData.from_regular_faces(np.asarray(surface.points)[used], triangles)
    for name, values in surface.point_data.items():
        lean.point_data[name] = np.asarray(values)[used]
    return lean


def reduce_cloud(cloud: Any, limit: int, notes: list[str]) -> Any:
    """Every k-th point of a cloud of more than ``limit``, with a remark in ``notes``."""
    import pyvista

    count = cloud.n_points
    if count <= limit:
        return cloud
    step = -(-count // limit)
    kept = pyvista.PolyData(np.asarray(cloud.points)[::step])
    for name, values in cloud.point_data.items():
        kept.point_data[name] = np.asarray(values)[::step]
    notes.append(f"every {step}th of {count:,} points")
    return kept
