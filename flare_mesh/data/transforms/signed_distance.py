"""Signed distance from a surface."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from flare_mesh.data.transforms.checks import check_single, positions
from flare_mesh.data.transforms.closed_surface import (
    curve_distance,
    lines_of,
    surface_distance,
    triangles_of,
)
from flare_mesh.data.transforms.surface_faces import surface_simplices

if TYPE_CHECKING:
    import pyvista
    import trimesh


@functional_transform("signed_distance")
class SignedDistance(BaseTransform):
    """Signed distance of each node from a closed surface (in the plane: curve), negative inside.

    The distance is positive in a flow around a body, as in AirfRANS and ShapeNet-Car, and negative
    in a solid within its own boundary. It is exact for the triangles of the surface: VTK finds the
    nearest point, and the angle-weighted normal there gives the side (Baerentzen and Aanaes 2005).
    In the plane it is exact for the lines of the curve, and the parity of crossings gives the side.
    One core computes 90,000 nodes a second for 1,000 triangles, 13,000 for 80,000 triangles, and
    80,000 for 1,000 lines, so compute it once (``pre_transform``).

    Args:
        surface: A surface of trimesh or PyVista, or a function that returns it for the data. Its
            triangles must have one orientation, inward or outward; coinciding points are merged,
            other polygons triangulated. None for the boundary of a solid's cells, or the cells of
            a surface mesh, whose curved faces are approximated by triangles of their nodes.
            For a flat mesh a PyVista curve of lines in a plane z = const; None for the boundary of
            the mesh's area, or for its cells if they are lines.
        name: The field's name.

    Shapes:
        needs ``pos`` [N, 3] or [N, 2]; adds the field ``sdf`` [N, 1].

    Raises:
        ValueError: On access, if the data is a batch or has no positions, or the surface has no
            triangles (in the plane: lines), is open, or is inconsistently oriented.
    """

    def __init__(
        self,
        surface: "trimesh.Trimesh | pyvista.PolyData | Callable[[Data], Any] | None" = None,
        *,
        name: str = "sdf",
    ) -> None:
        self.surface = surface
        self.name = name

    def forward(self, data: Data) -> Data:
        name = "SignedDistance"
        check_single(data, name)
        pos = positions(data, name)
        surface = self.surface(data) if callable(self.surface) else self.surface
        flat = pos.shape[1] == 2
        if surface is None:
            simplices = surface_simplices(data, name)
        else:
            simplices = (lines_of if flat else triangles_of)(surface, name)
        measure = curve_distance if flat else surface_distance
        distance = measure(pos.detach().double().numpy(force=True), *simplices, name)
        data[self.name] = torch.from_numpy(distance[:, None]).to(pos)
        return data
