"""Distances from a surface."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from flare_mesh.data.transforms.checks import check_single, positions
from flare_mesh.data.transforms.closed_curve import closed_curve, curve_distance, lines_of
from flare_mesh.data.transforms.closed_surface import closed_surface, triangles_of
from flare_mesh.data.transforms.surface_faces import surface_simplices

if TYPE_CHECKING:
    import pyvista
    import trimesh


@functional_transform("signed_distance")
class SignedDistance(BaseTransform):
    """Signed distance of each node from a closed surface (flat: curve), negative inside.

    So it is positive in a flow around a body, as in AirfRANS and ShapeNet-Car, and negative in a
    solid within its own boundary. Exact for the triangles of the surface: VTK finds the nearest,
    and the angle-weighted normals there tell the side (Baerentzen and Aanaes 2005). One core does
    90,000 nodes a second for 1,000 triangles and 13,000 for 80,000, so do it once
    (``pre_transform``). In the plane it is exact for the lines of the curve, with the parity of
    crossings for the side: 80,000 nodes a second for 1,000 lines.

    Args:
        surface: A surface of trimesh or PyVista, or a function that gives it for the data. Its
            triangles must all be turned the same way, whichever; coinciding points are merged,
            other polygons cut into triangles. None for the boundary of the mesh's own cells, whose
            curved faces are cut into the triangles of their nodes; of a surface, for its cells.
            For a flat mesh a PyVista curve of lines, turned either way, in a plane z = const; None
            for the boundary of the mesh's area, or the lines that are its cells.
        name: Of the field.

    Shapes:
        needs ``pos`` [N, 3] or [N, 2]; adds the field ``sdf`` [N, 1].

    Raises:
        ValueError: On access, if the data is a batch or has no positions, or the surface has no
            triangles (flat: lines), is open, or is turned inconsistently.
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
        at = pos.detach().double().numpy(force=True)
        surface = self.surface(data) if callable(self.surface) else self.surface
        if at.shape[1] == 2:
            lines = surface_simplices(data, name) if surface is None else lines_of(surface, name)
            distance = curve_distance(at, closed_curve(*lines, name))
        else:
            faces = (
                surface_simplices(data, name) if surface is None else triangles_of(surface, name)
            )
            distance = _surface_distance(at, *closed_surface(*faces, name))
        data[self.name] = torch.from_numpy(distance[:, None]).to(pos)
        return data


def _surface_distance(
    at: NDArray[np.float64], points: NDArray[np.float64], triangles: NDArray[np.int64]
) -> NDArray[np.float64]:
    import pyvista

    shell = pyvista.PolyData.from_regular_faces(points, triangles)
    return np.asarray(pyvista.PolyData(at).compute_implicit_distance(shell)["implicit_distance"])
