"""A triangulated surface, and the checks that its readers share."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Body(NamedTuple):
    """A run of triangles of a surface that is an object of its file.

    Attributes:
        name: Name of the object; empty if it has none.
        item: Number of the item of the build, from 0; an item may have several objects.
        triangles: Number of triangles.
    """

    name: str
    item: int
    triangles: int


class Surface(NamedTuple):
    """Triangles as a file has them, with coincident points unmerged.

    Attributes:
        points: Coordinates, [V, 3].
        triangles: Points of each triangle, [F, 3].
        notes: What the file has and the surface has not, or what is not as the format says; one
            sentence each, without the file's name.
        unit: Millimetres of the file's own unit, from which the points were scaled to mm; None if
            the format has none, or its reader does not say.
        bodies: Objects of the file in the order of the triangles; empty if the format has none.
    """

    points: NDArray[np.float64]
    triangles: NDArray[np.int64]
    notes: tuple[str, ...] = ()
    unit: float | None = None
    bodies: tuple[Body, ...] = ()


def whole_numbers(values: NDArray) -> NDArray[np.int64]:
    """Numbers of points as integers.

    Raises:
        ValueError: If a value is no whole number.
    """
    whole = (np.abs(values) < 2**53) & (values % 1 == 0)
    if not whole.all():
        raise ValueError(
            f"expected whole numbers as corners of the faces (got {values[~whole][0]}); export it "
            f"again"
        )
    return values.astype(np.int64)


def check_indices(corners: NDArray[np.int64], counts: NDArray[np.int64], num_points: int) -> None:
    """Check that the corners of faces are points.

    Args:
        corners: Points of all faces, one face after the other, numbered from 0.
        counts: Number of corners of each face.
        num_points: Number of points.

    Raises:
        ValueError: If a corner is no point; the message names the face and the corner.
    """
    bad = (corners < 0) | (corners >= num_points)
    if bad.any():
        first = int(bad.argmax())
        face = int(np.searchsorted(np.cumsum(counts), first, side="right"))
        raise ValueError(
            f"face {face} refers to vertex {corners[first]}, but there are {num_points:,} vertices "
            f"(both numbered from 0); the file is damaged"
        )


def fan_triangles(corners: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Triangles [F, 3] of polygons, each as a fan about its first corner.

    The signed areas of a fan add up to those of the polygon, even of a concave one. Polygons of one
    or two corners have no area and give no triangle.

    Args:
        corners: Points of all polygons, one polygon after the other.
        counts: Number of corners of each polygon.
    """
    pieces = np.maximum(counts - 2, 0)
    starts = np.repeat(np.cumsum(counts) - counts, pieces)
    step = np.arange(len(starts)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    return np.stack([corners[starts], corners[starts + step + 1], corners[starts + step + 2]], 1)


def is_closed(points: NDArray[np.float64], triangles: NDArray[np.int64]) -> bool:
    """Whether each edge belongs to an even number of triangles, with coincident points merged."""
    if not len(triangles):
        return False
    number = np.unique(points, axis=0, return_inverse=True)[1].reshape(-1)[triangles]
    ends = np.sort(number[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    counts = np.unique(ends[:, 0] * len(points) + ends[:, 1], return_counts=True)[1]
    return not (counts % 2).any()


def check_last_line(text: bytes, surface: Surface) -> None:
    """Refuse a text file that may have lost digits of its last number.

    Raises:
        ValueError: If the file does not end with a line end and its surface is open.
    """
    if text[-1:] not in b"\r\n" and not is_closed(surface.points, surface.triangles):
        raise ValueError(
            "ends without a line end, and its surface is open: the file is cut off; export it again"
        )
