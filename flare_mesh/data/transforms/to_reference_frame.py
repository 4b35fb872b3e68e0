"""Transformation to a reference frame."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from flare_mesh.choices import check_choice
from flare_mesh.data.transforms.checks import (
    check_single,
    first_columns,
    node_field,
    optional_weight,
    positions,
)
from flare_mesh.data.transforms.orthogonal import apply_orthogonal

_ORIGINS = ("centroid", "middle", "bottom")
# A smaller skewness is that of a symmetric shape, up to rounding.
_SYMMETRIC = 1e-4


@functional_transform("to_reference_frame")
class ToReferenceFrame(BaseTransform):
    """Transform a mesh to its reference frame: ``pos' = R (pos - o) / s``.

    With the principal axes the result does not depend on the placement of the mesh. The axes are
    the principal directions of the (weighted) nodes, the longest first. Each points to the side
    with a positive third moment ``sum w (a . x)^3``, except for the axis with the smallest
    skewness, which makes the frame right-handed. If more than one third moment vanishes, the
    largest component of that axis is made positive, and the frame depends on the placement, as it
    does for axes with equal second moments.

    Stores ``frame_origin``, ``frame_rotation`` and ``frame_scale`` for
    :class:`~flare_mesh.data.transforms.FromReferenceFrame`. Compute edge attributes afterwards.
    ``weight`` is not scaled.

    Args:
        origin: ``"centroid"`` of the nodes, weighted by ``weight`` if the data has it;
            ``"middle"`` of the bounding box along the frame's axes; or ``"bottom"``, the middle
            of that box's side with the smallest last coordinate.
        principal_axes: Whether the axes are the principal axes.
        unit_length: Whether to scale the longest side of the bounding box to 1.
        vectors: First of the columns of each vector to rotate, by field.
        tensors: First of the columns of each symmetric tensor to rotate, by field, in the order
            xx, yy, zz, xy, yz, xz (in the plane: xx, yy, xy).
        lengths: Fields in the unit of the positions to divide by ``s``, such as a distance or a
            displacement (which is rotated only if it is among ``vectors``).

    Shapes:
        needs ``pos`` [N, d], d 2 or 3; changes it and the given fields; sets ``frame_origin``
        [1, d], ``frame_rotation`` [1, d, d], ``frame_scale`` [1].

    Raises:
        ValueError: If ``origin`` is unknown; on access, if the data is a batch, is already in a
            frame, lacks a field, or has no extent to scale.
    """

    def __init__(
        self,
        origin: str = "centroid",
        *,
        principal_axes: bool = False,
        unit_length: bool = False,
        vectors: Mapping[str, Sequence[int]] | None = None,
        tensors: Mapping[str, Sequence[int]] | None = None,
        lengths: Sequence[str] = (),
    ) -> None:
        check_choice("ToReferenceFrame: unknown origin", origin, _ORIGINS)
        self.origin = origin
        self.principal_axes = principal_axes
        self.unit_length = unit_length
        self.vectors = first_columns(vectors, "ToReferenceFrame")
        self.vectors.pop("pos", None)  # always transformed
        self.tensors = first_columns(tensors, "ToReferenceFrame")
        self.lengths = tuple(lengths)

    def forward(self, data: Data) -> Data:
        name = "ToReferenceFrame"
        check_single(data, name)
        if "frame_origin" in data:
            raise ValueError(
                f"{name}: the mesh is already in a frame; apply FromReferenceFrame first"
            )
        pos = positions(data, name)
        if not len(pos):
            raise ValueError(f"{name}: expected at least one node (got none)")
        exact = pos.double()
        weight = optional_weight(data, name)
        share = exact.new_ones(len(exact)) if weight is None else weight.double()
        share = share / share.sum()
        centroid = share @ exact
        rotation = torch.eye(exact.shape[1], dtype=exact.dtype, device=exact.device)
        if self.principal_axes:
            rotation = _principal_axes(exact - centroid, share)
        rotated = (exact - centroid) @ rotation.T
        low, high = rotated.amin(0), rotated.amax(0)
        middle = (low + high) / 2
        if self.origin == "bottom":
            middle[-1] = low[-1]
        origin = centroid if self.origin == "centroid" else centroid + middle @ rotation
        scale = (high - low).amax() if self.unit_length else exact.new_ones(())
        if not scale > 0:
            raise ValueError(f"{name}: the mesh has no extent to scale to unit length")

        # The stored frame is exactly the one that is applied.
        origin, rotation, scale = (value.to(pos.dtype) for value in (origin, rotation, scale))
        data.pos = ((exact - origin) @ rotation.double().T / scale).to(pos.dtype)
        apply_orthogonal(data, rotation.double(), self.vectors, self.tensors, name)
        for field in self.lengths:
            data[field] = node_field(data, field, name) / scale
        data.frame_origin = origin[None]
        data.frame_rotation = rotation[None]
        data.frame_scale = scale[None]
        return data


def _principal_axes(pos: Tensor, share: Tensor) -> Tensor:
    """Rows are the principal axes of points around their centroid, the longest first."""
    moments, axes = torch.linalg.eigh(pos.T @ (pos * share[:, None]))
    axes = axes.T.flip(0)
    deviation = moments.flip(0).clamp(min=0).sqrt()
    skewness = share @ (pos @ axes.T) ** 3 / deviation.clamp(min=1e-300) ** 3
    skewness = torch.where(deviation > 1e-6 * deviation[0], skewness, 0.0)
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))[:, 0]
    side = torch.where(skewness.abs() > _SYMMETRIC, skewness, largest)
    axes = axes * side.sign()[:, None]
    if torch.linalg.det(axes) < 0:
        axes[skewness.abs().argmin()] *= -1
    return axes
