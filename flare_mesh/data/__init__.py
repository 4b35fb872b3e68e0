"""Meshes as PyG data, mesh files, and normalisers."""

from typing import TYPE_CHECKING

from flare_mesh.data.cells import CELL_EDGES, CELL_NODES, check_node_numbers, edges_of_cells
from flare_mesh.data.mesh_formats import check_writable
from flare_mesh.data.mesh_io import read_mesh, write_mesh
from flare_mesh.data.normalizers import (
    FieldStatistics,
    IdentityNormalizer,
    Normalizer,
    UnitCubeNormalizer,
    UnitGaussianNormalizer,
    build_normalizer,
)
from flare_mesh.files import atomic_path, check_folder

if TYPE_CHECKING:
    from flare_mesh.data.mesh_data import MeshData

__all__ = [
    "CELL_EDGES",
    "CELL_NODES",
    "FieldStatistics",
    "IdentityNormalizer",
    "MeshData",
    "Normalizer",
    "UnitCubeNormalizer",
    "UnitGaussianNormalizer",
    "atomic_path",
    "build_normalizer",
    "check_folder",
    "check_node_numbers",
    "check_writable",
    "edges_of_cells",
    "read_mesh",
    "write_mesh",
]


def __getattr__(name: str):
    # The simulator's workers write files by this package and need no PyG.
    if name == "MeshData":
        from flare_mesh.data.mesh_data import MeshData

        return MeshData
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
