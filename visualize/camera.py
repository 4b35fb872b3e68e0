"""The camera of a picture: direction, and a scale at which the mesh fills the free area."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.choices import nearest

# Towards the viewer, and upwards.
_VIEWS = {
    "iso": ((0.6, -1.0, 0.6), (0, 0, 1)),
    "xy": ((0, 0, 1), (0, 1, 0)),
    "xz": ((0, -1, 0), (0, 0, 1)),
    "yz": ((1, 0, 0), (0, 0, 1)),
    "yx": ((0, 0, -1), (1, 0, 0)),
    "zx": ((0, 1, 0), (1, 0, 0)),
    "zy": ((-1, 0, 0), (0, 1, 0)),
}
_FLAT_VIEWS = ("yz", "xz", "xy")
_FLAT = 1e-6


def flat_axis(points: NDArray[np.floating]) -> int | None:
    """Number of the axis along which a plane mesh has no extent; None for a mesh in space.

    A line along an axis and a single point count as plane, seen along z.
    """
    sizes = np.ptp(np.asarray(points, dtype=float), axis=0)
    flat = np.flatnonzero(sizes <= _FLAT * sizes.max())
    return int(flat[-1]) if len(flat) else None


def view_vectors(
    view: str | Sequence[float] | None, flat: int | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unit vectors towards the viewer, and upwards in the picture.

    Args:
        view: Name of a view, the vector towards the viewer, or None for ``"iso"``, and for a plane
            mesh from above.
        flat: Result of :func:`flat_axis`.

    Raises:
        ValueError: If there is no such view.
    """
    if view is None:
        view = "iso" if flat is None else _FLAT_VIEWS[flat]
    if isinstance(view, str):
        if view not in _VIEWS:
            raise ValueError(f"unknown view '{view}'; {nearest(view, _VIEWS)}")
        towards, up = (np.asarray(one, dtype=float) for one in _VIEWS[view])
    else:
        towards = np.asarray(view, dtype=float)
        if towards.shape != (3,) or not np.isfinite(towards).all() or not towards.any():
            raise ValueError(f"view: expected three numbers, not all zero (got {view!r})")
        steep = np.hypot(*towards[:2]) < 1e-3 * abs(towards[2])
        up = np.array([0.0, 1.0, 0.0] if steep else [0.0, 0.0, 1.0])
    towards = towards / np.linalg.norm(towards)
    right = np.cross(up, towards)
    up = np.cross(towards, right)
    return towards, up / np.linalg.norm(up)


def enclosing_rows(points: NDArray[np.floating]) -> NDArray[np.intp]:
    """Numbers of a few points that enclose all points nearly, seen from any direction."""
    points = np.asarray(points)
    directions = np.random.default_rng(0).normal(size=(40, 3))
    directions = np.concatenate([directions, np.eye(3)]).astype(points.dtype)
    along = points @ directions.T
    return np.unique(np.concatenate([along.argmin(axis=0), along.argmax(axis=0)]))


def enclosing_points(points: NDArray[np.floating]) -> NDArray[np.floating]:
    """The points of :func:`enclosing_rows`, [K, 3]."""
    return np.asarray(points)[enclosing_rows(points)]


def aim(
    renderer: Any,
    corners: NDArray[np.floating],
    towards: NDArray[np.float64],
    up: NDArray[np.float64],
    area: tuple[float, float, float, float],
    pixels: tuple[float, float],
) -> None:
    """Aim a camera without perspective so that points fill an area of the view.

    Args:
        renderer: The renderer of the view.
        corners: Points that enclose all that is drawn, [K, 3].
        towards: Unit vector towards the viewer.
        up: Unit vector upwards.
        area: Left, bottom, right and top of the free area, as shares of the view.
        pixels: Width and height of the view.
    """
    right = np.cross(up, towards)
    flat = np.asarray(corners, dtype=float) @ np.stack([right, up, towards], axis=1)
    low, high = flat.min(axis=0), flat.max(axis=0)
    left, bottom, end, top = area
    width, height = pixels
    # Lengths per pixel, so that both directions fit.
    scale = max(
        (high[0] - low[0]) / (width * (end - left)), (high[1] - low[1]) / (height * (top - bottom))
    )
    scale = scale or 1.0 / height
    middle = (low + high) / 2
    middle[0] -= scale * width * ((left + end) / 2 - 0.5)
    middle[1] -= scale * height * ((bottom + top) / 2 - 0.5)
    focus = middle[0] * right + middle[1] * up + middle[2] * towards
    distance = 2.0 * float(np.linalg.norm(high - low)) + scale * height
    camera = renderer.camera
    camera.parallel_projection = True
    camera.focal_point = tuple(focus)
    camera.position = tuple(focus + distance * towards)
    camera.up = tuple(up)
    camera.parallel_scale = scale * height / 2
    renderer.reset_camera_clipping_range()
