"""Random rotations."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from flare_mesh.data.transforms.checks import AXES, first_columns, positions
from flare_mesh.data.transforms.orthogonal import apply_orthogonal


@functional_transform("random_rotation")
class RandomRotation(BaseTransform):
    """Rotate positions, vectors and symmetric tensors about the origin by a random rotation.

    The rotation is drawn at each access, uniformly over all rotations or over the angles about an
    axis. The result is a valid case only if the physics has that symmetry. All meshes of a batch
    are rotated together. Compute edge attributes afterwards.

    Args:
        axis: ``"x"``, ``"y"``, ``"z"`` or a direction (3 numbers) to rotate about; None for any
            rotation. Flat meshes are rotated in their plane, without an axis.
        vectors: First of the columns of each vector, by field: ``{"y": (0,)}``. The positions are
            always rotated.
        tensors: First of the columns of each symmetric tensor, by field, its components in the
            order xx, yy, zz, xy, yz, xz (in the plane: xx, yy, xy): stresses, and strains with
            tensor shear, half of the engineering shear.
        generator: Random number generator, only without loader workers, which would all draw the
            same numbers; None for torch's global one.

    Shapes:
        needs ``pos`` [N, 3] or [N, 2]; changes ``pos`` and the given fields.

    Raises:
        ValueError: If the axis is invalid; on access, if a field is missing or has too few columns.
    """

    def __init__(
        self,
        axis: str | Sequence[float] | None = None,
        *,
        vectors: Mapping[str, Sequence[int]] | None = None,
        tensors: Mapping[str, Sequence[int]] | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        self.axis = None if axis is None else _direction(axis)
        self.vectors = {**first_columns(vectors, "RandomRotation"), "pos": (0,)}
        self.tensors = first_columns(tensors, "RandomRotation")
        self.generator = generator

    def forward(self, data: Data) -> Data:
        flat = positions(data, "RandomRotation").shape[1] == 2
        if flat and self.axis is not None:
            raise ValueError("RandomRotation: expected axis=None for positions [N, 2]")
        if flat:
            matrix = self._about(torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))[:2, :2]
        elif self.axis is not None:
            matrix = self._about(self.axis)
        else:
            # A normal quaternion has a uniform direction, so the rotation is uniform.
            quaternion = torch.randn(4, generator=self.generator, dtype=torch.float64)
            matrix = _rotation(quaternion / quaternion.norm())
        apply_orthogonal(data, matrix, self.vectors, self.tensors, "RandomRotation")
        return data

    def _about(self, axis: Tensor) -> Tensor:
        half = torch.pi * torch.rand(1, generator=self.generator, dtype=torch.float64)
        return _rotation(torch.cat([half.cos(), half.sin() * axis]))


def _direction(axis: str | Sequence[float]) -> Tensor:
    if isinstance(axis, str):
        if axis not in tuple(AXES):
            raise ValueError(f"RandomRotation: expected axis 'x', 'y' or 'z' (got '{axis}')")
        return torch.eye(3, dtype=torch.float64)[AXES.index(axis)]
    direction = torch.tensor(axis, dtype=torch.float64)
    length = direction.norm()
    if direction.shape != (3,) or not 0 < length < torch.inf:
        raise ValueError(f"RandomRotation: expected a direction of 3 numbers (got {list(axis)})")
    return direction / length


def _rotation(quaternion: Tensor) -> Tensor:
    """The rotation matrix [3, 3] of a unit quaternion (w, x, y, z)."""
    w, axis = quaternion[0], quaternion[1:]
    x, y, z = axis
    zero = torch.zeros_like(w)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero]).view(3, 3)
    return torch.eye(3, dtype=quaternion.dtype) + 2 * (w * cross + cross @ cross)
