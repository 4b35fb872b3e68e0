"""Random turns."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from flare_mesh.data.transforms.checks import AXES, columns_of, positions
from flare_mesh.data.transforms.orthogonal import apply_orthogonal


@functional_transform("random_rotation")
class RandomRotation(BaseTransform):
    """A random rotation about the origin, of positions, vectors and symmetric tensors alike.

    Drawn anew at each access, uniform over all rotations or over the angles about an axis. It
    maps a valid case to a valid case only if the physics has that symmetry. Distances and
    scalars stay as they are; all meshes of a batch turn together. Make edge attributes
    afterwards.

    Args:
        axis: ``"x"``, ``"y"``, ``"z"`` or a direction (3 numbers) to turn about; None for any
            rotation. Flat meshes turn in their plane and take none.
        vectors: First of the columns of each vector, by field: ``{"y": (0,)}``. The positions
            turn always.
        tensors: First of the columns of each symmetric tensor, by field, its components in the
            order xx, yy, zz, xy, yz, xz (flat: xx, yy, xy): stresses, and strains with tensor
            shear, half of the engineering shear.
        generator: Source of the numbers, without loader workers (each would draw the same); None
            for torch's own, which loaders seed in each worker.

    Shapes:
        needs ``pos`` [N, 3] or [N, 2]; changes ``pos`` and the fields named.

    Raises:
        ValueError: If the axis is none; on access, if a field is missing or has too few columns.
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
        self.vectors = {**columns_of(vectors, "RandomRotation"), "pos": (0,)}
        self.tensors = columns_of(tensors, "RandomRotation")
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
            # A normal quaternion points into every direction alike, so its turn is uniform.
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
