"""Surface data of DrivAerML's original files, by cell and in a random order."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.vtk_xml import VTKXMLFile

ROW = np.dtype(
    [
        ("pos", "<f4", 3),
        ("normals", "<f4", 3),
        ("area", "<f4", (1,)),
        ("pressure", "<f4", (1,)),
        ("wall_shear_stress", "<f4", 3),
        ("source_cell", "<i4"),
    ]
)
"""Data of a cell: its centre, normal, area, fields, and its number in the original file."""


def read_surface(path: Path) -> NDArray[Any]:
    """All cells of an original file as ``ROW`` [E], in a random order.

    Raises:
        ValueError: If the file is damaged or has other cells than polygons.
    """
    file = VTKXMLFile(path)
    if file.kind != "PolyData":
        raise ValueError(f"{path}: expected a PolyData (got a {file.kind})")
    nodes, ends = file.cells("Polys")
    if not len(ends) or len(ends) != file.num_cells:
        raise ValueError(f"{path}: expected polygons only ({len(ends)} of {file.num_cells} are)")
    try:
        geometry = polygon_geometry(file.points(), nodes, ends)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    del nodes, ends
    order = np.random.default_rng(0).permutation(len(geometry))
    rows = np.empty(len(geometry), dtype=ROW)
    for name, part in (("pos", slice(0, 3)), ("normals", slice(3, 6)), ("area", slice(6, 7))):
        rows[name] = geometry[order, part]
    rows["pressure"][:, 0] = file.read("CellData", "pMeanTrim")[order]
    rows["wall_shear_stress"] = file.read("CellData", "wallShearStressMeanTrim", 3)[order]
    rows["source_cell"] = order
    return rows


def polygon_geometry(
    points: NDArray[Any], nodes: NDArray[Any], ends: NDArray[Any], *, chunk: int = 500_000
) -> NDArray[np.float32]:
    """Mean of the vertices [3], unit normal [3] and area [1] of each polygon, [E, 7].

    For the consecutive vertices p_i of a polygon, the area vector is half the sum of
    p_i x p_{i+1}: exact for plane polygons, the mean orientation of others. The normal of a polygon
    with zero area is zero.

    Args:
        points: Coordinates [N, 3].
        nodes: Node numbers of the polygons, one after another.
        ends: End of each polygon in ``nodes`` [E].
        chunk: Polygons that are computed at once, in double precision.

    Raises:
        ValueError: If a polygon has fewer than three vertices.
    """
    cells = np.empty((len(ends), 7), dtype=np.float32)
    starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
    for first in range(0, len(ends), chunk):
        start, end = starts[first : first + chunk], ends[first : first + chunk]
        count = end - start
        if count.min() < 3:
            raise ValueError(f"polygon {first + int(count.argmin())} has {count.min()} vertices")
        corners = points[nodes[start[0] : end[-1]]].astype(np.float64)
        begin = start - start[0]
        center = np.add.reduceat(corners, begin) / count[:, None]
        # Relative to the centre: small polygons far from the origin would lose digits.
        corners -= np.repeat(center, count, axis=0)
        following = np.arange(1, len(corners) + 1)
        following[end - start[0] - 1] = begin
        vector = np.add.reduceat(np.cross(corners, corners[following]), begin) / 2
        area = np.linalg.norm(vector, axis=1, keepdims=True)
        normal = np.divide(vector, area, out=np.zeros_like(vector), where=area > 0)
        cells[first : first + chunk] = np.concatenate([center, normal, area], axis=1)
    return cells
