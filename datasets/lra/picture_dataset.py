"""Base class of data sets of pictures, read pixel by pixel or patch by patch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data import Data

from flare_mesh.datasets.lra.sequence_dataset import SequenceDataset

SIDE = 32
_PATCHES = (1, 2, 4, 8)


class PictureDataset(SequenceDataset):
    """Base class of the data sets of 32 x 32 grey pixels.

    A pixel is a token by default. With ``patch``, a sample has continuous values instead: ``x``
    [N, patch^2], float32, in place of ``token``. A row of it holds the grey values of a patch of
    pixels, row by row, from -1 (black) to 1 (white); the patches, too, follow each other row by
    row. With ``standardize``, each picture has mean 0 and standard deviation 1 instead, and a
    picture of one grey value is 0. Models learn thin lines on black from such values, but not from
    values of which nearly all are -1.

    Args:
        root: Folder of the files.
        split: ``"train"``, ``"val"`` or ``"test"``.
        patch: Pixels along the side of a patch, 1, 2, 4 or 8: N is 1,024, 256, 64 or 16. None for
            tokens, whose ids are the grey values.
        standardize: Whether each picture's values have mean 0 and standard deviation 1. Needs
            ``patch``.
        source: As in :class:`SequenceDataset`.
        transform: Applied to each sample on access, as in PyG.

    Raises:
        FileNotFoundError: If there are no files.
        ValueError: If an option is unknown, or a file is damaged; the message names it.
    """

    vocabulary_size = 256
    max_length = SIDE**2

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        patch: int | None = None,
        standardize: bool = False,
        source: str | None = None,
        transform: Callable[[Any], Any] | None = None,
    ) -> None:
        if patch is not None and patch not in _PATCHES:
            raise ValueError(
                f"{type(self).__name__}: expected patch 1, 2, 4 or 8, or none for tokens (got "
                f"{patch})"
            )
        if standardize and patch is None:
            raise ValueError(
                f"{type(self).__name__}: standardize=True is for continuous values (got "
                f"patch=None); give patch=1, 2, 4 or 8"
            )
        self.patch, self.standardize = patch, standardize
        super().__init__(root, split, source=source, transform=transform)
        if patch is not None:
            self.in_channels, self.max_length = patch**2, SIDE**2 // patch**2

    @property
    def lengths(self) -> NDArray[np.int64]:
        return super().lengths // (self.patch or 1) ** 2

    def get(self, idx: int) -> Data:
        data = super().get(idx)
        if self.patch is None:
            return data
        count = SIDE // self.patch
        pixels = data.token.view(count, self.patch, count, self.patch).transpose(1, 2)
        grey = pixels.reshape(count**2, -1)
        if not self.standardize:
            return Data(x=grey.to(torch.float32) / 127.5 - 1, y=data.y)
        # In float64 a picture of one grey value has the deviation 0, without rounding.
        deviation, mean = torch.std_mean(grey.double(), correction=0)
        x = (grey - mean) / deviation.clamp_min(1e-9)
        return Data(x=x.to(torch.float32), y=data.y)
