"""Voxels of the supports of a part: below its overhangs and islands, or given."""

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from lpbf.core.errors import PartError
from lpbf.core.islands import find_unsupported
from lpbf.core.mesh import HexMesh
from lpbf.core.supports import Supports

_ROWS = 8


def find_overhangs(mesh: HexMesh, angle: float) -> NDArray[np.bool_]:
    """Voxels of a part with nothing near enough below them, bool [nx, ny, nz].

    A surface that rises at the angle a from the horizontal recedes by m dz / tan(a) over m rows of
    the height dz, and its staircase of voxels by less than a voxel's edge more. A voxel with a void
    below it overhangs if one of the eight rows below it has no voxel within this distance, between
    centres in the plane. So no surface steeper than the critical angle overhangs, and a flat
    overhang begins beyond the first voxels next to a wall: one at 45 degrees and more, two at 30.
    Below the lowest row, the plate continues it.

    Args:
        mesh: The part; given supports are voxels like its own.
        angle: Critical angle from the horizontal, degrees.
    """
    solid = _solid(mesh)
    x, y, z = mesh.spacing
    step, edge = z / math.tan(math.radians(angle)), max(x, y) * (1 - 1e-6)
    overhangs = np.zeros_like(mesh.mask)
    distances = deque([_distance(solid[:, :, 0], x, y)] * _ROWS, maxlen=_ROWS)
    for k in range(1, solid.shape[2]):
        hanging = mesh.mask[:, :, k] & ~solid[:, :, k - 1]
        for rows, distance in enumerate(distances, start=1):
            overhangs[:, :, k] |= hanging & (distance > rows * step + edge)
        distances.appendleft(_distance(solid[:, :, k], x, y))
    return overhangs


def add_supports(mesh: HexMesh, supports: Supports | None) -> HexMesh:
    """Return a part with the supports of a process, in :attr:`HexMesh.supports`.

    Args:
        mesh: The part, with given supports or without.
        supports: How supports are generated; None without.

    Raises:
        PartError: If a given support touches no voxel of the part, or hangs in the air.
        ValueError: If bodies are given and the process has no supports, or none are given and the
            process does not generate them.
    """
    if supports is None:
        if mesh.supports is not None:
            raise ValueError(
                "the mesh has support bodies, but the process has no supports (volume fraction and "
                "order of removal); give Process(supports=lpbf.Supports(generate=False))"
            )
        return mesh
    if mesh.supports is not None:
        _check_bodies(mesh)
    if not supports.generate:
        if mesh.supports is None:
            raise ValueError(
                "the process generates no supports (generate = false) and the mesh has no support "
                "bodies; give their files to lpbf.voxelize (--supports FILE), or set generate"
            )
        return mesh
    voxels = _columns(mesh, supports)
    if mesh.supports is not None:
        voxels |= mesh.supports
    return mesh.with_voxels(mesh.mask, voxels)


def support_mesh(mesh: HexMesh) -> HexMesh | None:
    """The voxels of a part's supports as a mesh of their own; None without any."""
    if mesh.supports is None or not mesh.supports.any():
        return None
    return HexMesh.from_mask(mesh.supports, mesh.spacing, mesh.origin)


def with_supports(mesh: HexMesh) -> HexMesh:
    """The voxels of a part and of its supports as one mesh."""
    if mesh.supports is None:
        return mesh
    return HexMesh.from_mask(mesh.mask | mesh.supports, mesh.spacing, mesh.origin)


def support_share(mesh: HexMesh) -> NDArray[np.float64]:
    """Share of the supports in the voxels around each node of a part, [N], from 0 to 7/8."""
    counts = [_around_nodes(mesh, voxels) for voxels in (mesh.mask, mesh.supports)]
    return counts[1] / (counts[0] + counts[1])


def contact_area(mesh: HexMesh) -> float:
    """Area of the faces that voxels of the part and of its supports have in common, mm^2."""
    if mesh.supports is None:
        return 0.0
    area = 0.0
    for axis in range(3):
        face = float(np.prod(np.delete(mesh.spacing, axis)))
        part, other = (np.moveaxis(voxels, axis, 0) for voxels in (mesh.mask, mesh.supports))
        common = (part[:-1] & other[1:]).sum() + (part[1:] & other[:-1]).sum()
        area += face * float(common)
    return area


def _columns(mesh: HexMesh, supports: Supports) -> NDArray[np.bool_]:
    """Void below the overhangs and islands, down to the plate or to the next voxel."""
    solid = _solid(mesh)
    unsupported, _ = find_unsupported(mesh)
    below = np.zeros_like(solid)
    below[:, :, 1:] = solid[:, :, :-1]
    islands = unsupported & ~below
    overhangs = find_overhangs(mesh, supports.angle) & ~islands
    if supports.offset > 0:
        x, y, _ = mesh.spacing
        gaps = np.stack([_gaps(row, x, y) for row in np.moveaxis(solid, 2, 0)], axis=2)
        overhangs &= ~_passes(gaps < supports.offset * (1 - 1e-9), solid)
    return columns_below(islands | overhangs, solid)


def columns_below(top: NDArray[np.bool_], solid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Void below voxels, down to the next solid or the plate; bool [nx, ny, nz]."""
    columns = np.zeros_like(solid)
    above = np.zeros(solid.shape[:2], dtype=bool)
    for k in reversed(range(solid.shape[2])):
        columns[:, :, k] = above & ~solid[:, :, k]
        above = (above | top[:, :, k]) & (top[:, :, k] | ~solid[:, :, k])
    return columns


def _solid(mesh: HexMesh) -> NDArray[np.bool_]:
    return mesh.mask if mesh.supports is None else mesh.mask | mesh.supports


def _around_nodes(mesh: HexMesh, voxels: NDArray[np.bool_] | None) -> NDArray[np.int64]:
    """Number of voxels around each node of a mesh, [N]."""
    if voxels is None:
        return np.zeros(mesh.num_nodes, dtype=np.int64)
    padded = np.pad(voxels, 1).astype(np.int64)
    for axis in range(3):
        length = padded.shape[axis]
        low, high = (np.take(padded, range(n, length - 1 + n), axis) for n in (0, 1))
        padded = low + high
    corners = np.rint((mesh.points - np.array(mesh.origin)) / mesh.spacing).astype(np.int64)
    return padded[tuple(corners.T)]


def _check_bodies(mesh: HexMesh) -> None:
    """Refuse given supports that touch no voxel of the part, or that nothing supports."""
    assert mesh.supports is not None
    from scipy import ndimage

    labels, count = ndimage.label(mesh.supports)  # pyright: ignore[reportGeneralTypeIssues]
    near = np.asarray(ndimage.binary_dilation(mesh.mask), dtype=bool)
    loose = np.setdiff1d(np.arange(1, count + 1), labels[near])
    if not count or len(loose):
        raise PartError(
            f"{len(loose) or 'all'} support bodies touch no voxel of the part: "
            f"{_where(mesh, labels == loose[0]) if count else 'they have no voxels outside it'}; "
            f"export part and supports in the same coordinates, or use a finer pitch"
        )
    unsupported, _ = find_unsupported(mesh)
    hanging = unsupported & mesh.supports
    if hanging.any():
        raise PartError(
            f"supports hang in the air when they are built: {_where(mesh, hanging)}; supports must "
            f"begin on the plate or on the part"
        )


def _where(mesh: HexMesh, voxels: NDArray[np.bool_]) -> str:
    index = np.argwhere(voxels)
    low = index.min(axis=0) * mesh.spacing + mesh.origin
    high = (index.max(axis=0) + 1) * mesh.spacing + mesh.origin
    first, last = (", ".join(f"{value:.4g}" for value in corner) for corner in (low, high))
    return f"{len(index)} voxels from ({first}) to ({last}) mm"


def _distance(solid: NDArray[np.bool_], x: float, y: float) -> NDArray[np.float64]:
    """Distance of each voxel of a row to the nearest solid one, between centres, mm."""
    if not solid.any():
        return np.full(solid.shape, np.inf)
    from scipy import ndimage

    distance = ndimage.distance_transform_edt(~solid, sampling=(x, y))
    assert isinstance(distance, np.ndarray)
    return distance


def _gaps(solid: NDArray[np.bool_], x: float, y: float) -> NDArray[np.float64]:
    """Gap between each voxel of a row and the nearest solid one, 0 for neighbours, mm."""
    from scipy import ndimage

    around = np.asarray(ndimage.binary_dilation(solid, np.ones((3, 3))), dtype=bool)
    return _distance(around, x, y)


def _passes(near: NDArray[np.bool_], solid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Voxels whose column down to the next solid or the plate meets one of ``near``."""
    passes = np.zeros_like(solid)
    meets = np.zeros(solid.shape[:2], dtype=bool)
    for k in range(1, solid.shape[2]):
        meets = ~solid[:, :, k - 1] & (near[:, :, k - 1] | meets)
        passes[:, :, k] = meets
    return passes
