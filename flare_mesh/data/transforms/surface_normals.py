"""Normals at the nodes of a surface."""

from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from flare_mesh.data.transforms.checks import check_single, positions
from flare_mesh.data.transforms.surface_faces import surface_faces
from flare_mesh.mesh.normals import node_normals


@functional_transform("surface_normals")
class SurfaceNormals(BaseTransform):
    """Unit normals at the nodes of a surface, or of a solid's boundary, as a field.

    At a node it is the mean over the faces around, weighted by their areas (see
    :func:`~flare_mesh.mesh.normals.node_normals`); zero inside a solid. It points out of a solid
    whose cells are positively oriented; on a surface to the side from which the nodes of its cells
    are listed anticlockwise. A flat mesh wants positions [N, 2]: then its boundary has the
    normals, in the plane.

    Args:
        name: Of the field.

    Shapes:
        needs a :class:`~flare_mesh.MeshData` with ``pos`` [N, d] and cells of d or d - 1
        dimensions; adds the field ``normal`` [N, d].

    Raises:
        ValueError: On access, if the data is a batch, or has no such cells.
    """

    def __init__(self, name: str = "normal") -> None:
        self.name = name

    def forward(self, data: Data) -> Data:
        check_single(data, "SurfaceNormals")
        faces = surface_faces(data, "SurfaceNormals")
        data[self.name] = node_normals(positions(data, "SurfaceNormals"), faces)
        return data
