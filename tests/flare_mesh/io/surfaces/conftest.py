"""Blocks in the formats of surfaces, written from their specifications."""

import numpy as np
import pytest

CORNERS = np.array([[x, y, z] for z in (0, 6) for y in (0, 8) for x in (0, 10)], dtype=float)
QUADS = np.array(
    [[0, 2, 3, 1], [4, 5, 7, 6], [0, 1, 5, 4], [2, 6, 7, 3], [0, 4, 6, 2], [1, 3, 7, 5]]
)
"""Outwards faces of the block of 10 x 8 x 6 mm, 480 mm^3."""


def enclosed(surface):
    """Enclosed volume by the divergence theorem."""
    a, b, c = np.moveaxis(surface.points[surface.triangles], 1, 0)
    return float(np.einsum("ni,ni->", a, np.cross(b, c)) / 6)


def cuts(content, read):
    """Read a file cut at 25 places; return the surfaces that were accepted."""
    accepted = []
    for size in np.random.default_rng(0).integers(0, len(content), 25):
        try:
            accepted.append(read(content[:size]))
        except ValueError:
            continue
    return accepted


@pytest.fixture(scope="session")
def block():
    """Corners and quadrilaterals of a block of 10 x 8 x 6 mm."""
    return CORNERS, QUADS


@pytest.fixture(scope="session")
def volume():
    return enclosed


@pytest.fixture(scope="session")
def accepted_cuts():
    return cuts
