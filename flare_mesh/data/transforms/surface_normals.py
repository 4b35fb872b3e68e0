"""Normals at the nodes of a surface."""

from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from flare_mesh.data.transforms.checks import check_single, positions
from flare_mesh.data.transforms.surface_faces import surface_faces
from flare_mesh.mesh.normals import node_normals


@functional_transform("surface_normals")
class SurfaceNormals(BaseTransform):
    """Add unit normals at the nodes of a surface, or of a solid's boundary.

    Normals are area-weighted means over the adjacent faces (see
    :func:`~flare_mesh.mesh.normals.node_normals`), and zero inside a solid. They point out of a
    solid with positively oriented cells, and to the side of a surface from which its cells are
    anticlockwise. The boundary of a flat mesh with positions [N, 2] has normals in the plane.

    Args:
        name: The field's name.

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
