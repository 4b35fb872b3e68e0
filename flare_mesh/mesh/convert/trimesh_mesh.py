"""From trimesh and to it."""

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
import torch

from flare_mesh.mesh.cell_storage import VTK_CODES
from flare_mesh.mesh.convert.assemble import assemble, points_3d
from flare_mesh.mesh.mesh_data import MeshData

if TYPE_CHECKING:
    import trimesh


def from_trimesh(
    mesh: "trimesh.Trimesh",
    *,
    fields: Collection[str] | None = None,
    optional: Collection[str] = (),
    dtype: torch.dtype | None = torch.float32,
    edges: bool = True,
) -> MeshData:
    """Vertices, triangles, and vertex and face attributes of a trimesh surface.

    Arguments and errors are those of :meth:`MeshData.from_meshio`.
    """
    faces = np.asarray(mesh.faces, dtype=np.int64)
    return assemble(
        np.asarray(mesh.vertices),
        faces.ravel(),
        np.full(len(faces), VTK_CODES["triangle"], dtype=np.uint8),
        {name: np.asarray(values) for name, values in mesh.vertex_attributes.items()},
        {name: np.asarray(values) for name, values in mesh.face_attributes.items()},
        {},
        fields=fields,
        optional=optional,
        dtype=dtype,
        edges=edges,
    )


def to_trimesh(data: MeshData) -> "trimesh.Trimesh":
    """A surface of triangles, unchanged, with its fields as vertex and face attributes.

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
