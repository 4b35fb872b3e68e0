"""Splits of cases, by their names or by published counts."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flare_mesh.choices import check_choice

FRACTIONS = {"train": 0.8, "test": 0.2}
"""Default shares of the splits."""


def split_names(
    names: Sequence[str], split: str, fractions: Mapping[str, float] | None = None, *, seed: int = 0
) -> list[str]:
    """The names that belong to one split, sorted.

    Orders the names by a checksum of ``seed`` and name; the splits are consecutive shares of that
    order. The result depends on nothing else, and every name is in exactly one split.

    Args:
        names: All names, each once.
        split: Name of the split.
        fractions: Share of each split; they add up to 1. ``FRACTIONS`` by default.
        seed: Seed of the split.

    Raises:
        ValueError: If the split is not one of ``fractions``, these do not add up to 1, or names
            are repeated.
    """
    fractions = FRACTIONS if fractions is None else fractions
    check_choice("unknown split", split, fractions)
    total = sum(fractions.values())
    if abs(total - 1) > 1e-6 or min(fractions.values()) < 0:
        raise ValueError(f"expected fractions that add up to 1 (got {dict(fractions)})")
    if len(set(names)) < len(names):
        raise ValueError("expected each name once")
    drawn = sorted(names, key=lambda name: (zlib.crc32(f"{seed} {name}".encode()), name))
    start, share = 0.0, 0.0
    for key, fraction in fractions.items():
        start, share = share, share + fraction
        if key == split:
            break
    return sorted(drawn[round(start * len(drawn)) : round(min(share, 1.0) * len(drawn))])


@dataclass(frozen=True)
class PublishedSplit:
    """A published split of an array of cases: the first for training, others for testing.

    Attributes:
        num_train: Training cases, the first of the array.
        num_test: Test cases.
        last: Whether the test cases are the last of the array; otherwise they follow the training
            cases.
    """

    num_train: int
    num_test: int
    last: bool = False

    def cases(
        self,
        split: str,
        total: int,
        num_train: int | None = None,
        num_test: int | None = None,
        place: str = "",
    ) -> range:
        """Rows of the array that belong to a split.

        An array with fewer cases than published is divided in the published proportion, with at
        least one test case. If one count is given, the other one is the published count or what is
        left.

        Args:
            split: ``"train"`` or ``"test"``.
            total: Cases in the array.
            num_train: Training cases, instead of the published number.
            num_test: Test cases, instead of the published number.
            place: Beginning of messages.

        Raises:
            ValueError: If the split is unknown, or there are too few cases.
        """
        check_choice(f"{place}: unknown split", split, ("train", "test"))
        for name, count in (("num_train", num_train), ("num_test", num_test)):
            if count is not None and count < 1:
                raise ValueError(f"{place}: expected {name} of at least 1 (got {count})")
        if num_train is None and num_test is None:
            num_train, num_test = self.num_train, self.num_test
            if total < num_train + num_test:
                num_test = max(1, total * num_test // (num_train + num_test))
                num_train = total - num_test
        elif num_train is None:
            num_train = min(self.num_train, total - (num_test or 0))
        elif num_test is None:
            num_test = min(self.num_test, total - num_train)
        assert num_test is not None
        if min(num_train, num_test) < 1 or num_train + num_test > total:
            raise ValueError(
                f"{place}: {total} cases are too few for {max(num_train, 1)} to train and "
                f"{max(num_test, 1)} to test; lower num_train or num_test"
            )
        if split == "train":
            return range(num_train)
        first = total - num_test if self.last else num_train
        return range(first, first + num_test)


def spaced_indices(count: int, limit: int) -> list[int]:
    """Indices of all of ``count`` cases, or of ``limit`` evenly spaced ones; at least one.

    Args:
        count: Number of cases.
        limit: Largest number of indices; 1 if it is smaller.
    """
    if not count:
        return []
    return np.linspace(0, count - 1, max(1, min(count, limit))).round().astype(int).tolist()
