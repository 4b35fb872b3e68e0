"""Features of a coarse build of a voxel part whose layers shrink."""

from itertools import product

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from flare_mesh.data.transforms.channels import Channel, components
from flare_mesh.data.transforms.voxel_part import append_features, read_voxels
from flare_mesh.mesh.layered_shrinkage import count_operations, layered_shrinkage

_ROUNDING = 1e-6  # of a cell's edge
_SKEW = 0.01  # largest distance of a voxel's corner from that of its box, of its edge
_SMALLEST = 1e-6  # displacement relative to the size of the part
_FEWEST = 4  # cells along the largest extent


@functional_transform("shrinkage_features")
class ShrinkageFeatures(BaseTransform):
    """Append features of a coarse elastic build of the part: ``x`` [N, C + 8].

    A part that is built layer by layer distorts because each layer shrinks on the layers below it.
    :func:`~flare_mesh.mesh.layered_shrinkage.layered_shrinkage` computes that for a linear elastic
    material, Poisson's ratio 0.3, a strain of -1 in all directions and the lowest nodes fixed, on
    cells whose height is that of the voxels and whose width is as small as ``work`` allows. The
    features of each node are:

    - its displacement since its activation (3), and the part of it that its own layer causes (3),
      both over R, the root mean square of the displacement over the nodes;
    - the von Mises stress over Young's modulus (1), of the mean stress of the cells around it;
    - the logarithm of R over ``length`` (1), the same at all nodes.

    They know neither plasticity nor the true strain, which is for the model to learn. A part so
    small that its voxels are the cells has the exact elastic displacement for an isotropic strain.

    Args:
        work: Largest cost of the build in 1e9 floating-point operations, about 0.1 s each.
        length: Reference length, mm.

    Shapes:
        needs ``pos`` [N, 3] and ``hexahedron``; changes ``x`` [N, C + 8], C = 0 without ``x``.

    Raises:
        ValueError: If an option is not positive; on access, if the data is a batch, has no
            hexahedra, has nodes without hexahedra, is flat, or has hexahedra that are no boxes with
            edges along the axes.
    """

    APPENDS = True

    def __init__(self, work: float = 1.0, length: float = 30.0) -> None:
        for name, value in (("work", work), ("length", length)):
            if not 0 < value < float("inf"):
                raise ValueError(f"ShrinkageFeatures: expected {name} > 0 (got {value})")
        self.work = work
        self.length = length

    def forward(self, data: Data) -> Data:
        points, hexahedra = read_voxels(data, "ShrinkageFeatures")
        values, stress = self._build(points, hexahedra)
        square = float(np.square(values[:, :3]).sum(1).mean())
        size = max(square**0.5, _SMALLEST * float(np.ptp(points, axis=0).max()))
        logs = np.full((len(points), 1), np.log(size / self.length))
        return append_features(data, np.concatenate([values / size, stress, logs], axis=1))

    def channels(self, pos_dim: int) -> tuple[Channel, ...]:
        """The appended channels."""
        return (
            *components("shrinkage along", "xy", kind="vector"),
            Channel("shrinkage along z"),
            *components("shrinkage by the own layer along", "xy", kind="vector"),
            Channel("shrinkage by the own layer along z"),
            Channel("von Mises stress of the shrinkage"),
            Channel("size of the shrinkage", log=True),
        )

    def _build(
        self, points: NDArray[np.float64], cells: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Displacement of each node and the part that its own layer causes, mm [N, 6], and the
        stress [N, 1]."""
        unused = np.ones(len(points), dtype=bool)
        unused[cells] = False
        if unused.any():
            raise ValueError(
                f"ShrinkageFeatures: {int(unused.sum())} nodes belong to no hexahedron; remove them"
            )
        corners = points[cells]
        boxes = np.stack([corners.min(1), corners.max(1)])
        low, extents = points.min(0), np.ptp(points, axis=0)
        voxel = np.median(boxes[1] - boxes[0], axis=0)
        if not (voxel > 0).all():
            raise ValueError(
                f"ShrinkageFeatures: expected voxels with three edges (got edges of "
                f"{voxel.tolist()} in the median)"
            )
        skew = _count_skew(corners, boxes)
        if skew:
            raise ValueError(
                f"ShrinkageFeatures: expected hexahedra with edges along x, y and z (got {skew} of "
                f"{len(cells)} that are rotated or distorted); rotate the mesh, or leave the "
                f"features out"
            )
        density, edges = self._coarsen(boxes - low, extents, voxel)
        places = (points - low) / edges
        x, y, z = edges.tolist()
        found = layered_shrinkage(density, (x, y, z))
        moved = [_interpolate(grid, places) for grid in (found.total, found.own)]
        deviator = _node_means(found.deviator, density > 0)
        stress = np.sqrt(1.5 * np.square(deviator).sum((-2, -1)))
        return np.concatenate(moved, axis=1), _interpolate(stress[..., None], places)

    def _coarsen(
        self, boxes: NDArray[np.float64], extents: NDArray[np.float64], voxel: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Share of solid in the smallest cells that ``work`` allows, and their edges, mm."""
        factor = 1.0
        while True:
            wanted = voxel * np.array([factor, factor, 1.0])
            counts = np.maximum(np.ceil(extents / wanted - _ROUNDING), 1).astype(np.int64)
            edges = extents / counts
            density = _share_solid(boxes[0] / edges, boxes[1] / edges, counts)
            enough = count_operations(density) <= 1e9 * self.work
            if enough or wanted[:2].max() * _FEWEST >= extents.max():
                return density, edges
            # Multiples of the half voxel, since cells that no wall fills bend too easily.
            factor = max(factor + 0.5, round(2.3 * factor) / 2)


def _count_skew(corners: NDArray[np.float64], boxes: NDArray[np.float64]) -> int:
    """Number of hexahedra [E, 8, 3] whose corners are not those of their boxes [2, E, 3]."""
    skew = np.zeros(len(corners), dtype=bool)
    for axis in range(3):
        low, high = boxes[:, :, axis, None]
        values = corners[:, :, axis]
        skew |= (np.minimum(values - low, high - values) > _SKEW * (high - low)).any(1)
    return int(skew.sum())


def _share_solid(
    low: NDArray[np.float64], high: NDArray[np.float64], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Share of solid in each cell of a grid, from the boxes of the voxels in units of the grid."""
    density = np.zeros(counts.prod())
    first = np.floor(low + _ROUNDING).astype(np.int64)
    span = (np.ceil(high - _ROUNDING).astype(np.int64) - first).max(0).tolist()
    for offset in product(*map(range, span)):
        place = first + np.array(offset)
        shares = np.minimum(high, place + 1) - np.maximum(low, place)
        inside = (shares > _ROUNDING).all(1)
        cell = np.ravel_multi_index(tuple(place[inside].T), tuple(counts))
        density += np.bincount(cell, shares[inside].prod(1), len(density))
    return density.reshape(counts)


def _node_means(values: NDArray[np.float64], solid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean over the solid cells around each node of a grid, 0 without one."""
    x, y, z = solid.shape
    total = np.zeros((x + 1, y + 1, z + 1, *values.shape[3:]))
    count = np.zeros((x + 1, y + 1, z + 1, *(1,) * (values.ndim - 3)))
    mask = solid.reshape(*solid.shape, *count.shape[3:])
    for i, j, k in product((0, 1), repeat=3):
        total[i : i + x, j : j + y, k : k + z] += values * mask
        count[i : i + x, j : j + y, k : k + z] += mask
    return total / np.maximum(count, 1)


def _interpolate(grid: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Trilinear interpolation of [X, Y, Z, C] at places [N, 3] in units of the grid, [N, C]."""
    from scipy.ndimage import map_coordinates  # not needed by most models

    columns = np.moveaxis(grid, 3, 0)
    return np.stack(
        [map_coordinates(column, places.T, order=1, mode="nearest") for column in columns], axis=1
    )
