"""Turns by 90 degrees and mirrorings."""

from collections.abc import Mapping, Sequence

import torch
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from flare_mesh.data.transforms.build_features import BuildFeatures
from flare_mesh.data.transforms.checks import node_field
from flare_mesh.data.transforms.reflect_cells import reflect_cells


@functional_transform("random_square_symmetry")
class RandomSquareSymmetry(BaseTransform):
    """A random symmetry of the square about the z axis, applied to positions and fields alike.

    Of the eight turns by 90 degrees and mirrorings, one is drawn at each access. It maps a valid
    case to a valid case only if the physics has that symmetry: an isotropic in-plane inherent
    strain has. A mirroring lists the nodes of the cells the other way round, so that none is
    inside out. The defaults suit :class:`BuildFeatures` and targets that begin with a
    displacement.

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
        swap, flip_x, flip_y = torch.randint(2, (3,)).tolist()
        sign = torch.tensor([1.0 - 2.0 * flip_x, 1.0 - 2.0 * flip_y])
        for name in {*self.vectors, *self.sizes}:
            old = node_field(data, name, "RandomSquareSymmetry")
            new = old.clone()
            for pairs, factor in ((self.vectors, sign), (self.sizes, torch.ones(2))):
                for first in pairs.get(name, ()):
                    if old.dim() != 2 or first + 2 > old.shape[1]:
                        raise ValueError(
                            f"RandomSquareSymmetry: expected '{name}' to have columns {first} to "
                            f"{first + 1} (got shape {list(old.shape)})"
                        )
                    columns = [first + 1, first] if swap else [first, first + 1]
                    new[:, first : first + 2] = old[:, columns] * factor.to(old)
            data[name] = new
        if (swap + flip_x + flip_y) % 2:
            reflect_cells(data)
        return data
