"""Random 90-degree rotations and reflections."""

from collections.abc import Mapping, Sequence

import torch
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from flare_mesh.data.transforms.build_features import BuildFeatures
from flare_mesh.data.transforms.orthogonal import multiply_columns, reflect_orientation


@functional_transform("random_square_symmetry")
class RandomSquareSymmetry(BaseTransform):
    """Apply a random symmetry of the square about the z axis to positions and fields.

    Draws one of the eight 90-degree rotations and reflections (the dihedral group D4) at each
    access. The result is a valid case only if the physics has that symmetry, as an in-plane
    isotropic inherent strain has. A reflection reorders the nodes of cells, so that no cell is
    inverted. The defaults suit :class:`BuildFeatures` and targets that begin with a displacement.

    Args:
        vectors: First of the (x, y) columns of each vector, by field: they swap and change sign.
        sizes: First of the (x, y) columns of each pair of lengths, by field: they swap.

    Raises:
        ValueError: On access, if a field is missing or has too few columns.
    """

    def __init__(
        self,
        vectors: Mapping[str, Sequence[int]] | None = None,
        sizes: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        if vectors is None:
            vectors = {"pos": (0,), "y": (0,), "x": BuildFeatures.VECTORS}
        self.vectors = vectors
        self.sizes = {"x": BuildFeatures.SIZES} if sizes is None else sizes

    def forward(self, data: Data) -> Data:
        swap, *flips = torch.randint(2, (3,)).tolist()
        matrix = torch.diag(1.0 - 2.0 * torch.tensor(flips, dtype=torch.float64))
        if swap:
            matrix = matrix.flip(1)
        factors = ((matrix, self.vectors), (matrix.abs(), self.sizes))
        multiply_columns(data, factors, "RandomSquareSymmetry")
        if (swap + sum(flips)) % 2:
            reflect_orientation(data)
        return data
