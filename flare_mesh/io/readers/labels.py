"""Numbers by which a file refers to its nodes or elements."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[Any]


class Labels:
    """Rows of labelled things, whose labels may have any order and gaps.

    Args:
        labels: Label of each thing, [N] integers.
        noun: What is labelled, for messages.
        rows: Row of each label; by default its place in ``labels``.

    Raises:
        ValueError: If a label occurs twice.
    """

    def __init__(self, labels: _Array, noun: str, rows: _Array | None = None) -> None:
        labels = np.asarray(labels, dtype=np.int64)
        plain = rows is None
        if rows is None:
            rows = np.arange(len(labels))
        self._low = int(labels.min(initial=0)) if len(labels) else 0
        span = int(labels.max(initial=0)) - self._low + 1 if len(labels) else 0
        self._noun = noun
        self._table = self._sorted = None
        self._consecutive = plain and span == len(labels) and bool((np.diff(labels) == 1).all())
        if self._consecutive:
            self._high = self._low + span - 1
            return
        if span <= 4 * len(labels) + 1000:
            self._table = np.full(span, -1)
            self._table[labels - self._low] = rows
            twice = len(labels) > 0 and np.bincount(labels - self._low).max() > 1
        else:
            order = np.argsort(labels, kind="stable")
            self._sorted, self._rows = labels[order], rows[order]
            twice = bool((np.diff(self._sorted) == 0).any())
        if twice:
            ordered = np.sort(labels)
            label = ordered[1:][np.diff(ordered) == 0][0]
            raise ValueError(f"{noun} {label} is defined twice; renumber the mesh")

    def find(self, labels: _Array) -> _Array:
        """Row of each label, -1 for a label that does not exist."""
        labels = np.asarray(labels, dtype=np.int64)
        if not labels.size:
            return np.empty(labels.shape, np.int64)
        if self._consecutive:
            rows = labels - self._low
            if labels.min() >= self._low and labels.max() <= self._high:
                return rows
            return np.where((labels >= self._low) & (labels <= self._high), rows, -1)
        if self._table is not None:
            low, high = self._low, self._low + len(self._table) - 1
            if len(self._table) and labels.min() >= low and labels.max() <= high:
                return self._table[labels - low]
            inside = (labels >= low) & (labels <= high)
            rows = np.full(labels.shape, -1)
            rows[inside] = self._table[labels[inside] - low]
            return rows
        assert self._sorted is not None
        place = np.minimum(np.searchsorted(self._sorted, labels), len(self._sorted) - 1)
        return np.where(self._sorted[place] == labels, self._rows[place], -1)

    def rows(self, labels: _Array, user: str) -> _Array:
        """Row of each label.

        Args:
            labels: Labels of any shape.
            user: What refers to them, for the message.

        Raises:
            ValueError: If a label does not exist.
        """
        rows = self.find(labels)
        if rows.size and rows.min() < 0:
            missing = np.asarray(labels)[rows < 0].flat[0]
            raise ValueError(
                f"{user} refer to {self._noun} {missing}, which the file does not define"
            )
        return rows


def hash_integers(values: _Array) -> _Array:
    """Well-mixed numbers of 64 bits, whose sum identifies a set of integers."""
    mixed = values.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
