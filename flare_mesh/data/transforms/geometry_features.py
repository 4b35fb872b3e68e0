"""Geometric features that every mesh has."""

from collections.abc import Callable
from itertools import accumulate

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from flare_mesh.choices import check_choice
from flare_mesh.data.transforms.channels import Channel, components
from flare_mesh.data.transforms.checks import AXES, check_single, positions
from flare_mesh.data.transforms.mesh_geometry import CONTEXT_WIDTHS, MeshGeometry
from flare_mesh.data.transforms.mesh_kinds import KINDS

_INSIDE = ("position", "size", "boundary_distance", "boundary_direction", "boundary", "context")
_DEFAULTS = {
    "volume": _INSIDE,
    "surface": ("position", "size", "boundary", "normals", "curvature", "context"),
    "plane": _INSIDE,
    "points": ("position", "size", "context"),
}
_MEASURES = {"volume": "volume", "surface": "area", "plane": "area"}
_NEEDS_CELLS = ("boundary_distance", "boundary_direction", "boundary", "normals", "curvature")


@functional_transform("geometry_features")
class GeometryFeatures(BaseTransform):
    """Centre a mesh, and append geometric features to ``x``.

    The positions are relative to the middle of the bounding box, so that translation of a mesh
    does not change a prediction, however far it is from the origin. The features follow the
    channels that ``x`` already has; a feature that is None is on if its kind of mesh has it:

    | feature | channels | values | default |
    |---|---|---|---|
    | ``position`` | d | coordinates in the bounding box, -1 to 1 along each axis | all kinds |
    | ``size`` | d + 1 | logarithms of the extents of the bounding box and of the volume or area; \
``points`` have no measure: d | all kinds |
    | ``boundary_distance`` | 1 | distance from the nearest boundary face over half the largest \
extent | volume, plane |
    | ``boundary_direction`` | d | unit vector from the nearest boundary point, at boundary nodes \
the inward normal; 0 between equally near parallel walls | volume, plane |
    | ``boundary`` | 1 | 1 at boundary nodes, 0 elsewhere | volume, surface, plane |
    | ``normals`` | d | unit normals of a surface, or of the boundary with 0 inside | surface |
    | ``curvature`` | 1 | asinh of the mean curvature times half the largest extent | surface |
    | ``weight`` | 1 | logarithm of the node's quadrature weight over the mean | none |
    | ``context`` | 3 (1 + 2 d) | in Gaussian windows around the node with standard deviations of \
1/24, 1/12 and 1/6 of the largest extent: the share of the window that the shape fills, its \
mean offset in the window and its variances along the axes, see \
:func:`~flare_mesh.mesh.window_moments.window_moments` | all kinds |

    d is the dimension of the coordinates; 2 for ``plane``, whose axes are those that vary. The
    number of channels depends on the options and on d alone. Each extent counts with at least
    1e-4 of the largest one, so that a flat mesh has a finite logarithm. Of the weights, 1e-6 of
    the mean is the smallest. Distances are exact from triangles and lines; quads and second-order
    faces are approximated by triangles or lines through their nodes.

    To make a prediction of scalars invariant to rotation, apply
    :class:`~flare_mesh.data.transforms.ToReferenceFrame` with ``principal_axes`` before it.
    :meth:`columns` gives the columns of ``x`` that a random reflection must change.

    Args:
        kind: ``"volume"`` (solid cells), ``"surface"`` (triangles and quads in space),
            ``"plane"`` (triangles and quads in a plane of two axes) or ``"points"``.
        center: Whether to centre ``pos`` at the middle of the bounding box.
        position: Positions in the bounding box.
        size: Logarithms of the size.
        boundary_distance: Distance from the boundary.
        boundary_direction: Direction from the boundary; not of ``surface``.
        boundary: Marks of boundary nodes.
        normals: Unit normals.
        curvature: Mean curvature; of ``surface`` only.
        weight: Quadrature weights of the nodes: ``weight`` of the data, otherwise from the cells.
        context: Windows of several widths; points fill them with their ``weight``, or equally.

    Shapes:
        needs ``pos`` [N, d] and the cells of the kind; changes ``pos`` and ``x``
        [N, C + channels], C = 0 if there is no ``x``.

    Raises:
        ValueError: If an option is invalid or the kind lacks the feature; on access, if the data
            is a batch, the mesh is not of the kind, has no extent, or lacks what a feature needs.
    """

    APPENDS = True
    """The channels are appended to x, whose first channels stay the fields of the data."""

    def __init__(
        self,
        kind: str = "volume",
        *,
        center: bool = True,
        position: bool | None = None,
        size: bool | None = None,
        boundary_distance: bool | None = None,
        boundary_direction: bool | None = None,
        boundary: bool | None = None,
        normals: bool | None = None,
        curvature: bool | None = None,
        weight: bool | None = None,
        context: bool | None = None,
    ) -> None:
        check_choice("GeometryFeatures: unknown kind", kind, KINDS)
        given = {
            "position": position,
            "size": size,
            "boundary_distance": boundary_distance,
            "boundary_direction": boundary_direction,
            "boundary": boundary,
            "normals": normals,
            "curvature": curvature,
            "weight": weight,
            "context": context,
        }
        for option, value in {"center": center, **given}.items():
            if not (isinstance(value, bool) or (value is None and option != "center")):
                raise ValueError(
                    f"GeometryFeatures: expected true or false for {option} (got {value!r})"
                )
        impossible = [name for name in _NEEDS_CELLS if given[name] and kind == "points"]
        if boundary_direction and kind == "surface":
            impossible.append("boundary_direction")
        if curvature and kind != "surface":
            impossible = [*dict.fromkeys([*impossible, "curvature"])]
        if impossible:
            raise ValueError(
                f"GeometryFeatures: kind '{kind}' has no {', '.join(impossible)}; leave it out"
            )
        self.kind = kind
        self.center = center
        self.features = tuple(
            name
            for name, value in given.items()
            if (name in _DEFAULTS[kind] if value is None else value)
        )
        if not self.features and not center:
            raise ValueError(
                "GeometryFeatures: expected at least one feature or center=True (got none)"
            )

    def forward(self, data: Data) -> Data:
        name = "GeometryFeatures"
        check_single(data, name)
        pos = positions(data, name)
        mesh = MeshGeometry(data, self.kind, name)
        parts = [_COMPUTE[feature](mesh) for feature in self.features]
        if self.center:
            data.pos = mesh.centred.to(pos.dtype)
        if parts:
            x = data.x
            if x is not None and (x.dim() != 2 or len(x) != len(pos)):
                raise ValueError(
                    f"{name}: expected 'x' of shape [{len(pos)}, C] (got {list(x.shape)})"
                )
            dtype = pos.dtype if x is None else x.dtype
            first = [] if x is None else [x]
            data.x = torch.cat([*first, *(part.to(dtype) for part in parts)], dim=1)
        return data

    def channels(self, pos_dim: int) -> tuple[Channel, ...]:
        """The appended channels, for coordinates of ``pos_dim`` dimensions."""
        known = self._channels(pos_dim)
        return tuple(channel for feature in self.features for channel in known[feature])

    def columns(self, in_channels: int, pos_dim: int) -> dict[str, int]:
        """First column of each feature in x.

        A random reflection must change the vectors ``position``, ``boundary_direction`` and
        ``normals``, and the offsets of ``context``; a 90-degree rotation also swaps the extents of
        ``size`` and the variances of ``context``. After a rotation by
        another angle ``position``, ``size`` and ``context`` are wrong.

        Args:
            in_channels: Channels of x before this transform.
            pos_dim: Dimension of the coordinates.
        """
        known = self._channels(pos_dim)
        sizes = [len(known[feature]) for feature in self.features]
        firsts = accumulate([in_channels, *sizes[:-1]])
        return dict(zip(self.features, firsts, strict=True))

    def _channels(self, pos_dim: int) -> dict[str, list[Channel]]:
        axes = AXES[: 2 if self.kind == "plane" else pos_dim]
        # The range of the training cases has the extents, too.
        size = components("size along", axes, kind="size", log=True, compared=False)
        if self.kind in _MEASURES:
            size.append(Channel(_MEASURES[self.kind], log=True))
        windows = [f" in a window of 1/{round(1 / width)} of the size" for width in CONTEXT_WIDTHS]
        direction = components("direction", axes, " from the boundary", kind="vector")
        return {
            "position": components("position", axes, " in the bounding box", kind="vector"),
            "size": size,
            "boundary_distance": [Channel("relative distance from the boundary")],
            "boundary_direction": direction,
            "boundary": [Channel("mark of the boundary")],
            "normals": components("normal", axes, kind="vector"),
            "curvature": [Channel("asinh of the relative curvature")],
            "weight": [Channel("relative weight of the nodes", log=True)],
            "context": [
                channel
                for window in windows
                for channel in (
                    Channel(f"share of solid{window}", compared=False),
                    *components("mean offset", axes, window, kind="vector", compared=False),
                    *components("variance", axes, window, kind="size", compared=False),
                )
            ],
        }


_COMPUTE: dict[str, Callable[[MeshGeometry], Tensor]] = {
    "position": MeshGeometry.position,
    "size": MeshGeometry.size,
    "boundary_distance": MeshGeometry.boundary_distance,
    "boundary_direction": MeshGeometry.boundary_direction,
    "boundary": MeshGeometry.boundary,
    "normals": MeshGeometry.normals,
    "curvature": MeshGeometry.curvature,
    "weight": MeshGeometry.weight,
    "context": MeshGeometry.context,
}
