"""Numbers that a deck gives to its nodes or elements."""

import numpy as np
from numpy.typing import NDArray


class Labels:
    """Index of nodes or elements by their numbers, which may have any order and gaps.

    Args:
        labels: Numbers, [N]; of equal ones, the first counts.
    """

    def __init__(self, labels: NDArray[np.int64]) -> None:
        # Most decks are sorted.
        is_sorted = bool((np.diff(labels) > 0).all())
        self._order = None if is_sorted else np.argsort(labels, kind="stable")
        self.ordered = labels if self._order is None else labels[self._order]

    def find(self, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Index of each number; -1 if there is none."""
        if not len(self.ordered):
            return np.full(len(labels), -1)
        place = np.minimum(np.searchsorted(self.ordered, labels), len(self.ordered) - 1)
        return np.where(self.ordered[place] == labels, self.indices(place), -1)

    def indices(self, place: NDArray[np.int64]) -> NDArray[np.int64]:
        """Index of the numbers at some places in their sorted order."""
        return place if self._order is None else self._order[place]

    def repeated(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Indices of all but the first of equal numbers, and of the first one of each."""
        same = np.flatnonzero(self.ordered[1:] == self.ordered[:-1]) + 1
        first = np.searchsorted(self.ordered, self.ordered[same])
        return self.indices(same), self.indices(first)
