"""Random reflections."""

from collections.abc import Mapping, Sequence

import torch
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from flare_mesh.data.transforms.checks import AXES, first_columns, positions
from flare_mesh.data.transforms.orthogonal import apply_orthogonal


@functional_transform("random_reflection")
class RandomReflection(BaseTransform):
    """Reflect random axes, each with probability 1/2: positions, vectors and symmetric tensors.

    The axes are drawn at each access, and the reflection planes contain the origin. The result is
    a valid case only if the physics has that symmetry. Nodes of cells are reordered where the
    number of reflected axes is odd, so that no cell is inverted. All meshes of a batch are
    reflected together. Compute edge attributes afterwards.

    Args:
        axes: Axes that may change sign, such as ``"xy"``; None for all.
        vectors: First of the columns of each vector, by field: ``{"y": (0,)}``. Leave out
            pseudovectors, such as the vorticity, which reflect differently. The positions are
            always reflected.
        tensors: First of the columns of each symmetric tensor, by field, its components in the
            order xx, yy, zz, xy, yz, xz (in the plane: xx, yy, xy).
        generator: Random number generator, only without loader workers, which would all draw the
            same numbers; None for torch's global one.

    Shapes:
        needs ``pos`` [N, 3] or [N, 2]; changes ``pos``, the cells and the given fields.

    Raises:
        ValueError: If an axis is unknown; on access, if a field is missing or has too few columns.
    """

    def __init__(
        self,
        axes: str | None = None,
        *,
        vectors: Mapping[str, Sequence[int]] | None = None,
        tensors: Mapping[str, Sequence[int]] | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        if axes is not None and (not axes or not set(axes) <= set(AXES)):
            raise ValueError(f"RandomReflection: expected some of the axes 'xyz' (got '{axes}')")
        self.axes = axes
        self.vectors = {**first_columns(vectors, "RandomReflection"), "pos": (0,)}
        self.tensors = first_columns(tensors, "RandomReflection")
        self.generator = generator

    def forward(self, data: Data) -> Data:
        dim = positions(data, "RandomReflection").shape[1]
        axes = AXES[:dim] if self.axes is None else self.axes
        if not set(axes) <= set(AXES[:dim]):
            raise ValueError(f"RandomReflection: positions [N, {dim}] have no axes '{axes}'")
        reflected = torch.randint(2, (dim,), generator=self.generator).bool()
        reflected &= torch.tensor([axis in axes for axis in AXES[:dim]])
        if not bool(reflected.any()):
            return data
        matrix = torch.diag(1.0 - 2.0 * reflected.double())
        apply_orthogonal(data, matrix, self.vectors, self.tensors, "RandomReflection")
        return data
