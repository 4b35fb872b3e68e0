"""Voxels that nothing supports when their layer is built."""

import warnings
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flare_mesh.choices import check_choice
from lpbf.core.errors import IslandError, PartWarning
from lpbf.core.mesh import HexMesh

ISLANDS = ("drop", "refuse", "powder")
"""Treatments of unsupported voxels: drop them, refuse the part, or support them by powder."""


@dataclass(frozen=True)
class Island:
    """A connected patch of unsupported voxels in one layer.

    Attributes:
        layer: Index of the voxel layer, from 0 at the plate.
        num_voxels: Voxels of the patch.
        center: Centre of the patch, mm.
    """

    layer: int
    num_voxels: int
    center: tuple[float, float, float]

    def __str__(self) -> str:
        x, y, z = self.center
        return (
            f"{self.num_voxels} voxels at layer {self.layer} around ({x:.4g}, {y:.4g}, {z:.4g}) mm"
        )


def find_unsupported(mesh: HexMesh) -> tuple[NDArray[np.bool_], list[Island]]:
    """Find the voxels that nothing supports when their layer is built.

    A patch of a layer (voxels that share faces) is supported if one of its voxels lies on the plate
    or on a supported voxel. A patch that shares only an edge or a corner with supported voxels is
    a mechanism, and counts as unsupported. Given supports are voxels like those of the part.

    Returns:
        The unsupported voxels, bool [nx, ny, nz], and their patches from the plate upwards.
    """
    from scipy import ndimage

    whole = mesh.mask if mesh.supports is None else mesh.mask | mesh.supports
    supported = whole.copy()
    islands = []
    for k in range(1, supported.shape[2]):
        layer = supported[:, :, k]
        patches, count = ndimage.label(layer)  # pyright: ignore[reportGeneralTypeIssues]
        if not count:
            continue
        touching = np.unique(patches[supported[:, :, k - 1]])
        for patch in np.setdiff1d(np.arange(1, count + 1), touching):
            where = patches == patch
            index = np.array([*(axis.mean() for axis in np.nonzero(where)), k])
            center = (index + 0.5) * np.array(mesh.spacing) + np.array(mesh.origin)
            x, y, z = center.tolist()
            islands.append(Island(k, int(where.sum()), (x, y, z)))
            layer[where] = False
    return whole & ~supported, islands


def treat_islands(mesh: HexMesh, islands: str, name: str = "the mesh") -> HexMesh:
    """Return the mesh without its unsupported voxels; with them if powder supports them.

    Args:
        mesh: The part.
        islands: One of :data:`ISLANDS`; ``"drop"`` warns.
        name: The part's name, for messages.

    Raises:
        IslandError: If there are unsupported voxels and they are refused.
        ValueError: If ``islands`` is unknown.
    """
    check_choice("unknown islands", islands, ISLANDS)
    if islands == "powder":
        return mesh
    unsupported, found = find_unsupported(mesh)
    if not found:
        return mesh
    listed = "; ".join(map(str, found[:3])) + ("; ..." if len(found) > 3 else "")
    if islands == "refuse":
        raise IslandError(
            f"{name}: {len(found)} islands are unsupported when built: {listed}; rotate the part, "
            f"add supports, or choose islands='drop' or 'powder'"
        )
    unsupported &= mesh.mask
    share = float(unsupported.sum()) / mesh.num_cells
    text = (
        f"{name}: dropped {len(found)} islands that are unsupported when built, {100 * share:.2g} "
        f"% of its voxels: {listed}"
    )
    warnings.warn(text, PartWarning, stacklevel=3)
    left = mesh.with_voxels(mesh.mask & ~unsupported, mesh.supports)
    if mesh.filling is None:
        return left
    return replace(left, filling=replace(mesh.filling, dropped=share))
