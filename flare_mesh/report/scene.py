"""Cases for the interactive view of a report."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.report.case_view import KINDS, CaseView, FieldView
from flare_mesh.visualize.camera import flat_axis, view_vectors
from flare_mesh.visualize.colours import ERROR, choose_colours
from flare_mesh.visualize.dataset import cell_dimension
from flare_mesh.visualize.deformation import visible_scale
from flare_mesh.visualize.reduce import reduce_cloud, reduce_surface

MAX_FACES = 120_000
"""Largest number of triangles, or of points of clouds, of all cases together."""

_MOST_OF_ONE = 40_000

_LEVELS = 65_534  # of a value; the number after it is a missing value
_SPAN = 0.85  # half of the view's height that the shape fills
_POINT = "point:"


def scene_of(cases: Sequence[CaseView]) -> dict[str, Any]:
    """The cases as ``viewer.js`` takes them, in types of JSON.

    A case is its surface in triangles, or its points if it has no cells of two or more dimensions.
    Values are stored in 16 bits, arrays in base64.

    Args:
        cases: At least one case.
    """
    limit = min(_MOST_OF_ONE, MAX_FACES // len(cases))
    shapes = [_shape(case, limit) for case in cases]
    used = {view["map"] for shape in shapes for field in shape["fields"] for view in field["views"]}
    return {"cases": shapes, "maps": {name: _colour_map(name) for name in sorted(used)}}


def _shape(case: CaseView, limit: int) -> dict[str, Any]:
    grid, notes = case.grid(), []
    columns = {}
    for number, field in enumerate(case.fields):
        for kind, values in field.scalars().items():
            columns[f"{_POINT}{number}:{kind}"] = values
    for kind, warp in case.warps().items():
        columns[f"{_POINT}warp:{kind}"] = warp
    grid.clear_data()
    data = grid.cell_data if case.on_cells else grid.point_data
    for name, values in columns.items():
        data[name] = values
    body, is_surface = _body(grid, limit, notes)
    points = np.asarray(body.points, dtype=np.float64)
    corners = points[np.isfinite(points).all(axis=1)]
    centre = (corners.min(0) + corners.max(0)) / 2
    radius = np.linalg.norm(corners - centre, axis=1).max() or 1.0
    flat = flat_axis(corners)
    towards, up = view_vectors(None, flat)
    right = np.cross(up, towards)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(towards, right), towards])
    warps = {kind: np.asarray(body.point_data[f"{_POINT}warp:{kind}"]) for kind in case.warps()}
    factor = 0.0
    if warps:
        factor = _visible(corners, warps["prediction"])
    return {
        "name": case.title,
        "points": _base64((points - centre) * (_SPAN / radius), np.float32),
        "triangles": _base64(body.faces.reshape(-1, 4)[:, 1:], np.uint32) if is_surface else None,
        "rotation": rotation.ravel().tolist(),
        "lit": is_surface and flat is None,
        "factor": factor,
        "warps": {
            kind: _base64(np.nan_to_num(warp) * (_SPAN / radius), np.float32)
            for kind, warp in warps.items()
        },
        "remark": "; ".join(notes),
        "fields": [
            _field(field, {kind: body.point_data[f"{_POINT}{number}:{kind}"] for kind in kinds})
            for number, field in enumerate(case.fields)
            for kinds in [field.scalars()]
        ],
    }


def _visible(points: NDArray[np.float64], warp: NDArray[np.float64]) -> float:
    lengths = np.linalg.norm(warp, axis=1)
    return visible_scale(points, float(lengths[np.isfinite(lengths)].max(initial=0.0)))


def _body(grid: Any, limit: int, notes: list[str]) -> tuple[Any, bool]:
    """Triangles with values at their corners, or points."""
    import pyvista

    if cell_dimension(grid) < 2:
        grid = grid.cell_data_to_point_data() if grid.cell_data else grid
        cloud = pyvista.PolyData(np.asarray(grid.points))
        for name, values in grid.point_data.items():
            cloud.point_data[name] = np.asarray(values)
        return reduce_cloud(cloud, limit, notes), False
    surface = grid.extract_surface(algorithm="dataset_surface", nonlinear_subdivision=0)
    surface = reduce_surface(surface.triangulate(), limit, notes)
    return surface.cell_data_to_point_data() if surface.cell_data else surface, True


def _field(field: FieldView, values: Mapping[str, Any]) -> dict[str, Any]:
    arrays = {kind: np.asarray(one, dtype=np.float64) for kind, one in values.items()}
    shared = choose_colours([arrays[kind] for kind in ("truth", "prediction") if kind in arrays])
    views = []
    for kind, one in arrays.items():
        of_error = kind in ("error", "band")
        colours = choose_colours([one], error=True) if of_error else shared
        share = (one - colours.low) / (colours.high - colours.low)
        known = np.isfinite(share)
        levels = np.where(known, np.clip(np.where(known, share, 0), 0, 1) * _LEVELS, _LEVELS + 1)
        views.append(
            {
                "name": KINDS[kind],
                "map": ERROR if kind == "band" else colours.map,
                "low": colours.number_format % colours.low,
                "high": colours.number_format % colours.high,
                "values": _base64(np.round(levels), np.uint16),
                "warp": "prediction" if kind in ("prediction", "band") else "truth",
            }
        )
    return {"name": field.title, "unit": field.unit, "views": views}


def _colour_map(name: str) -> str:
    from matplotlib import colormaps

    return _base64(np.round(255 * colormaps[name](np.linspace(0, 1, 256))), np.uint8)


def _base64(values: NDArray[Any], dtype: Any) -> str:
    array = np.ascontiguousarray(values, dtype=np.dtype(dtype).newbyteorder("<"))
    return base64.b64encode(array.tobytes()).decode()
