"""Turns by 90 degrees and mirrorings."""

from collections.abc import Mapping, Sequence

import torch
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from flare_mesh.data.transforms.build_features import BuildFeatures
from flare_mesh.data.transforms.mirror_cells import mirror_cells


@functional_transform("random_quarter_turn")
class RandomQuarterTurn(BaseTransform):
    """A random symmetry of the square about the z axis, applied to positions and fields alike.

    Of the eight turns by 90 degrees and mirrorings, one is drawn at each access. It maps a valid
    case to a valid case only if the physics has that symmetry: an isotropic in-plane inherent
    strain has. A mirroring lists the nodes of the cells the other way round, so that none is
    inside out. The defaults suit :class:`BuildFeatures` and targets that begin with a
    displacement.

    Args:
        vectors: First of the (x, y) columns of each vector, by field: they swap and change sign.
        sizes: First of the (x, y) columns of each pair of lengths, by field: they swap.
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
            field = data[name].clone()
            for pairs, factor in ((self.vectors, sign), (self.sizes, 1.0)):
                for first in pairs.get(name, ()):
                    columns = [first + 1, first] if swap else [first, first + 1]
                    field[:, first : first + 2] = data[name][:, columns] * factor
            data[name] = field
        if (swap + flip_x + flip_y) % 2:
            mirror_cells(data)
        return data
