"""Layout of binary STL files."""

import numpy as np

HEADER_BYTES = 84
"""Bytes before the triangles: a title, and their number in the last four."""

TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
"""A triangle."""


def declared_triangles(content: bytes) -> tuple[int, int]:
    """Number of triangles that a binary file declares, and the size of such a file in bytes."""
    count = int.from_bytes(content[HEADER_BYTES - 4 : HEADER_BYTES], "little")
    return count, HEADER_BYTES + count * TRIANGLE.itemsize
