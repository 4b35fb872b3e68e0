"""The documents of a split."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Sequences(NamedTuple):
    """All documents of a split, one after the other.

    Attributes:
        tokens: Ids of the tokens, less the data set's smallest, uint8 [T].
        offsets: First token of each document, and the end of the last, int64 [D + 1].
        labels: Class of each sample, int64 [S].
    """

    tokens: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    labels: NDArray[np.int64]

    @classmethod
    def join(cls, documents: Sequence[NDArray[np.uint8]], labels: Sequence[int]) -> "Sequences":
        """From separate documents."""
        tokens = np.concatenate(documents) if documents else np.zeros(0, np.uint8)
        offsets = np.cumsum([0, *map(len, documents)], dtype=np.int64)
        return cls(tokens, offsets, np.array(labels, np.int64))

    def select(self, chosen: NDArray[np.bool_]) -> "Sequences":
        """The samples with a True."""
        documents = np.repeat(chosen, (len(self.offsets) - 1) // max(1, len(self.labels)))
        sizes = np.diff(self.offsets)
        tokens = self.tokens[np.repeat(documents, sizes)]
        offsets = np.cumsum([0, *sizes[documents]], dtype=np.int64)
        return Sequences(tokens, offsets, self.labels[chosen])
