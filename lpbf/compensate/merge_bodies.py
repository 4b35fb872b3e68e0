"""Union of the bodies of a part that touch."""

from typing import TYPE_CHECKING, Any

import numpy as np

from lpbf.core.bodies import body_labels

if TYPE_CHECKING:
    import trimesh


def merge_bodies(surface: "trimesh.Trimesh") -> "trimesh.Trimesh":
    """Unite bodies that touch or overlap, so that a slicer prints them as one.

    The surface itself is returned if none do, or if a body is open or faces inwards, as cavities
    do. A united surface has other triangles, and no longer the objects of its file.

    Args:
        surface: A surface in mm.
    """
    labels = body_labels(surface)
    masks = [labels == body for body in range(labels.max() + 1)]
    bodies: Any = surface.submesh(masks, repair=False)
    if len(bodies) == 1 or not all(body.is_volume for body in bodies):
        return surface
    import trimesh
    from manifold3d import Manifold, Mesh64, OpType

    solids = [
        Manifold(
            Mesh64(
                vert_properties=np.asarray(body.vertices, dtype=np.float64),
                tri_verts=np.asarray(body.faces, dtype=np.uint64),
            )
        )
        for body in bodies
    ]
    union = Manifold.batch_boolean(solids, OpType.Add)
    if len(union.decompose()) == len(bodies) or union.is_empty():
        return surface
    mesh = union.to_mesh64()
    metadata = {k: v for k, v in surface.metadata.items() if k not in ("bodies", "face_body")}
    return trimesh.Trimesh(
        mesh.vert_properties[:, :3],
        mesh.tri_verts.astype(np.int64),
        process=False,
        metadata=metadata,
    )
