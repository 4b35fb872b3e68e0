"""Conversion from and to trimesh."""

from typing import TYPE_CHECKING, Any

import numpy as np
from torch_geometric.data import Data

from flare_mesh.mesh.cell_storage import VTK_CODES
from flare_mesh.mesh.convert.assemble import T, assemble, points_3d

if TYPE_CHECKING:
    import trimesh


def from_trimesh(cls: type[T], mesh: "trimesh.Trimesh", **options: Any) -> T:
    """Vertices, triangles, and vertex and face attributes of a trimesh surface.

    Options and errors are the same as for :func:`~flare_mesh.mesh.convert.assemble.assemble`.
    """
    faces = np.asarray(mesh.faces, dtype=np.int64)
    return assemble(
        cls,
        np.asarray(mesh.vertices),
        faces.ravel(),
        np.full(len(faces), VTK_CODES["triangle"], dtype=np.uint8),
        {name: np.asarray(values) for name, values in mesh.vertex_attributes.items()},
        {name: np.asarray(values) for name, values in mesh.face_attributes.items()},
        {},
        **options,
    )


def to_trimesh(data: Data) -> "trimesh.Trimesh":
    """A surface of triangles with its fields as vertex and face attributes.

    Raises:
        ValueError: If the mesh has cells of another type.
    """
    import trimesh

    cells = data.cells
    if list(cells) != ["triangle"]:
        raise ValueError(f"expected a mesh of triangles (got {list(cells)}); see boundary()")
    return trimesh.Trimesh(
        points_3d(data),
        cells["triangle"].numpy(force=True),
        process=False,
        vertex_attributes={key: value.numpy(force=True) for key, value in data.node_fields.items()},
        face_attributes={key: value.numpy(force=True) for key, value in data.cell_fields.items()},
    )
