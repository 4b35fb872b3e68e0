"""Features of the way from a voxel part's nodes to its support."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from flare_mesh.data.transforms.channels import Channel, components
from flare_mesh.data.transforms.voxel_part import append_features, read_voxels
from flare_mesh.mesh.cells import CELL_TYPES
from flare_mesh.mesh.geometry import cell_measures

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_EDGES = np.array(CELL_TYPES["hexahedron"].edges)
_TOLERANCE = 1e-6  # of the residual
_MAX_ITERATIONS = 20_000


@functional_transform("support_features")
class SupportFeatures(BaseTransform):
    r"""Append features of the way through the material to the support: ``x`` [N, C + 4].

    A part that shrinks is held at its bottom, and an overhang at its root. The features of each
    node are, relative to ``length``:

    - the offset (2) from where it is supported, :math:`x - \psi_x` and :math:`y - \psi_y`, with
      :math:`\Delta \psi_x = 0` in the part, :math:`\psi_x = x` at its bottom and no flux through
      all other faces. It is zero near the bottom, the arm from the root in an overhang, and the
      offset from the middle of the bottom far above it;
    - the softness (1), :math:`\sqrt{\varphi}`, with :math:`\Delta \varphi = -1` and
      :math:`\varphi = 0` at the bottom: the larger, the longer and thinner the way to the bottom;
    - the height above the bottom (1).

    The bottom is the lowest layer of nodes of each connected piece. The equations are those of heat
    conduction, discretised along the edges of the voxels, and solved to a residual of 1e-6.

    Args:
        length: Reference length, mm.

    Shapes:
        needs ``pos`` [N, 3] and ``hexahedron``; changes ``x`` [N, C + 4], C = 0 without ``x``.

    Raises:
        ValueError: On access, if the data is a batch, has no hexahedra, has nodes without
            hexahedra, or its equations cannot be solved.
    """

    APPENDS = True

    def __init__(self, length: float = 30.0) -> None:
        self.length = length

    def forward(self, data: Data) -> Data:
        return append_features(data, _solve(*read_voxels(data, "SupportFeatures")) / self.length)

    def channels(self, pos_dim: int) -> tuple[Channel, ...]:
        """The appended channels, relative to ``length``."""
        return (
            *components("offset from the support along", "xy", kind="vector"),
            Channel("softness of the way to the support"),
            Channel("height above the support"),
        )


def _solve(pos: NDArray[np.float64], hexahedra: NDArray[np.int64]) -> NDArray[np.float64]:
    """Offsets along x and y, softness and height of each node, mm [N, 4]."""
    from scipy.sparse import diags_array  # not needed by most models
    from scipy.sparse.csgraph import connected_components
    from scipy.sparse.linalg import cg

    laplacian, volume = _assemble(pos, hexahedra)
    if not volume.all():
        raise ValueError(
            f"SupportFeatures: {int((volume == 0).sum())} nodes belong to no hexahedron; remove "
            f"them"
        )
    count, piece = connected_components(laplacian, directed=False)
    lowest = np.full(count, np.inf)
    np.minimum.at(lowest, piece, pos[:, 2])
    height = pos[:, 2] - lowest[piece]
    fixed = height <= 1e-6 * np.ptp(pos[:, 2])
    free = ~fixed
    matrix = laplacian[free][:, free]
    coupling = laplacian[free][:, fixed]
    inverse = diags_array(1 / matrix.diagonal())
    # Relative to the middle, so that the tolerance does not depend on the place of the part.
    plane = pos[:, :2] - pos[:, :2].mean(0)
    values = np.zeros((len(pos), 3))
    values[:, :2] = plane
    sides = [*(-coupling @ plane[fixed]).T, volume[free]]
    for column, right in enumerate(sides):
        found, info = cg(matrix, right, rtol=_TOLERANCE, maxiter=_MAX_ITERATIONS, M=inverse)
        if info:
            raise ValueError(
                f"SupportFeatures: conjugate gradients did not converge in {info} iterations; "
                f"check the mesh for inverted or degenerate hexahedra"
            )
        values[free, column] = found
    values[fixed, 2] = 0.0
    softness = np.sqrt(np.maximum(values[:, 2], 0.0))
    return np.column_stack([plane - values[:, :2], softness, height])


def _assemble(
    pos: NDArray[np.float64], hexahedra: NDArray[np.int64]
) -> "tuple[csr_array, NDArray[np.float64]]":
    """Matrix of -Laplace times volume [N, N], and the volume of each node [N].

    Each edge of a brick conducts a quarter of the brick's cross-section.
    """
    from scipy.sparse import coo_array, csr_array, diags_array

    nodes = len(pos)
    measures = cell_measures(torch.from_numpy(pos), {"hexahedron": torch.from_numpy(hexahedra)})
    volumes = measures["hexahedron"].abs().numpy()
    start, stop = hexahedra[:, _EDGES[:, 0]], hexahedra[:, _EDGES[:, 1]]
    squares = np.square(pos[stop] - pos[start]).sum(-1)
    weights = (volumes[:, None] / (4 * squares)).ravel()
    pairs = (
        np.concatenate([start.ravel(), stop.ravel()]),
        np.concatenate([stop.ravel(), start.ravel()]),
    )
    links = coo_array((np.concatenate([weights, weights]), pairs), shape=(nodes, nodes)).tocsr()
    laplacian = diags_array(links.sum(axis=1)) - links
    volume = np.zeros(nodes)
    np.add.at(volume, hexahedra.ravel(), np.repeat(volumes / 8, 8))
    return csr_array(laplacian), volume
