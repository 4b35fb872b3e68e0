"""Meshes as PyG data, mesh files, geometry, normalisers."""

from typing import TYPE_CHECKING

from flare_mesh.data.cells import (
    CELL_EDGES,
    CELL_NODES,
    CELL_TYPES,
    CellType,
    check_node_numbers,
    edges_of_cells,
)
from flare_mesh.files import (
    atomic_path,
    check_folder,
)
from flare_mesh.lazy import lazy_names

if TYPE_CHECKING:
    from flare_mesh.data.boundary import (
        boundary_faces,
    )
    from flare_mesh.data.geometry import (
        cell_centroids,
        cell_measures,
        node_weights,
    )
    from flare_mesh.data.mesh_checks import (
        check_mesh,
    )
    from flare_mesh.data.mesh_data import (
        MeshData,
    )
    from flare_mesh.data.mesh_formats import (
        check_writable,
    )
    from flare_mesh.data.mesh_io import (
        read_mesh,
        write_mesh,
    )
    from flare_mesh.data.normalizers import (
        FieldStatistics,
        FixedNormalizer,
        IdentityNormalizer,
        Normalizer,
        UnitCubeNormalizer,
        UnitGaussianNormalizer,
        build_normalizer,
    )
    from flare_mesh.data.normals import (
        face_normals,
        node_normals,
    )
    from flare_mesh.data.transfer import (
        cell_to_node,
        node_to_cell,
    )

__all__ = [
    "CELL_EDGES",
    "CELL_NODES",
    "CELL_TYPES",
    "CellType",
    "FieldStatistics",
    "FixedNormalizer",
    "IdentityNormalizer",
    "MeshData",
    "Normalizer",
    "UnitCubeNormalizer",
    "UnitGaussianNormalizer",
    "atomic_path",
    "boundary_faces",
    "build_normalizer",
    "cell_centroids",
    "cell_measures",
    "cell_to_node",
    "check_folder",
    "check_mesh",
    "check_node_numbers",
    "check_writable",
    "edges_of_cells",
    "face_normals",
    "node_normals",
    "node_to_cell",
    "node_weights",
    "read_mesh",
    "write_mesh",
]

# Imported on first use: the simulator's workers write files by this package and need no PyG.
__getattr__ = lazy_names(
    __name__,
    {
        "FieldStatistics": "flare_mesh.data.normalizers",
        "FixedNormalizer": "flare_mesh.data.normalizers",
        "IdentityNormalizer": "flare_mesh.data.normalizers",
        "MeshData": "flare_mesh.data.mesh_data",
        "Normalizer": "flare_mesh.data.normalizers",
        "UnitCubeNormalizer": "flare_mesh.data.normalizers",
        "UnitGaussianNormalizer": "flare_mesh.data.normalizers",
        "boundary_faces": "flare_mesh.data.boundary",
        "build_normalizer": "flare_mesh.data.normalizers",
        "cell_centroids": "flare_mesh.data.geometry",
        "cell_measures": "flare_mesh.data.geometry",
        "cell_to_node": "flare_mesh.data.transfer",
        "check_mesh": "flare_mesh.data.mesh_checks",
        "check_writable": "flare_mesh.data.mesh_formats",
        "face_normals": "flare_mesh.data.normals",
        "node_normals": "flare_mesh.data.normals",
        "node_to_cell": "flare_mesh.data.transfer",
        "node_weights": "flare_mesh.data.geometry",
        "read_mesh": "flare_mesh.data.mesh_io",
        "write_mesh": "flare_mesh.data.mesh_io",
    },
)
