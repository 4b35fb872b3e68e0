"""Displacement of a part's voxels from a mesh or its file."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lpbf.core.mesh import HexMesh

if TYPE_CHECKING:
    from flare_mesh.mesh import MeshData

# Accepted distance of the field's points from the nodes, in voxels.
_NEAR = 1e-3


class MeshField:
    """The nodal field ``displacement`` of a mesh or its file, for the voxels of a part.

    The points of the mesh include the nodes of the part's voxel mesh, with or without its
    unsupported voxels. The cell field ``removed`` of a release in cuts is respected.

    Args:
        source: The mesh or its file, simulated or predicted.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it has no such field.
    """

    def __init__(self, source: "MeshData | str | Path") -> None:
        from flare_mesh.io import read_mesh

        is_file = isinstance(source, str | Path)
        self.name = str(source) if is_file else "the field"
        self._data = read_mesh(Path(source)) if is_file else source
        count, field = self._data.num_nodes, self._data.get("displacement")
        if field is None or list(field.shape) != [count, 3]:
            got = "none" if field is None else list(field.shape)
            raise ValueError(
                f"{self.name}: expected a nodal field 'displacement' of shape [{count}, 3] in mm "
                f"(got {got}); simulate or predict it on the part's voxel mesh"
            )

    def has_nodes_of(self, mesh: HexMesh) -> bool:
        """Whether it has all nodes of a mesh."""
        return self._nearest(mesh)[0].max() <= _NEAR * min(mesh.spacing)

    def _nearest(self, mesh: HexMesh) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        from scipy.spatial import KDTree

        distance, node = KDTree(self._data.pos.numpy()).query(mesh.points)
        return np.asarray(distance), np.asarray(node)

    def __call__(self, mesh: HexMesh) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
        """Displacement of a mesh's nodes, [N, 3], mm, and the voxels that the release removes, [E].

        Raises:
            ValueError: If it is of another part or pitch, or has NaN values.
        """
        distance, node = self._nearest(mesh)
        if distance.max() > _NEAR * min(mesh.spacing):
            raise ValueError(
                f"{self.name}: expected the nodes of the part's voxel mesh (the points are off by "
                f"up to {distance.max():.3g} mm); give the part and the pitch of the field"
            )
        values = self._data["displacement"].numpy()[node].astype(np.float64)
        if not np.isfinite(values).all():
            text = "'displacement' has NaN or infinite values; compute it again"
            raise ValueError(f"{self.name}: {text}")
        removed = self._data.cell_fields.get("removed")
        if removed is None:
            return values, None
        from scipy.spatial import KDTree

        centers = self._data.pos[self._data.hexahedron].mean(dim=1).numpy()
        cell = KDTree(centers).query(mesh.points[mesh.cells].mean(axis=1))[1]
        return values, removed.numpy().reshape(-1)[cell] > 0
