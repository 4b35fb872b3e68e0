"""Splits of cases by their names."""

import zlib
from collections.abc import Mapping, Sequence

FRACTIONS = {"train": 0.8, "test": 0.2}
"""Shares of the splits, where nothing else is said."""


def split_names(
    names: Sequence[str],
    split: str,
    fractions: Mapping[str, float] | None = None,
    *,
    seed: int = 0,
) -> list[str]:
    """The names that belong to one split, in sorted order.

    Names are ordered by a checksum of ``seed`` and name, and the splits are consecutive shares of
    that order: it depends on nothing else, and every name is in exactly one split.

    Args:
        names: All names, each once.
        split: Which split.
        fractions: Share of each split; they add up to 1. ``FRACTIONS`` by default.
        seed: Another seed, another split.

    Raises:
        ValueError: If the split is not one of ``fractions``, these do not add up to 1, or names
            are repeated.
    """
    fractions = FRACTIONS if fractions is None else fractions
    if split not in fractions:
        raise ValueError(f"unknown split '{split}'; choose from {list(fractions)}")
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
