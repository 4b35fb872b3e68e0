"""Decks as text."""

import pytest

from flare_mesh.io import read_mesh

_CORNERS = ((0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1))


@pytest.fixture
def read(tmp_path):
    """Read a deck from its text or bytes."""

    def read_deck(text, **options):
        path = tmp_path / "deck.inp"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_mesh(path, edges=False, **options)

    return read_deck


@pytest.fixture
def brick():
    """Keywords of a brick of some size, its nodes numbered from 1, at a place."""

    def keywords(size=1, place=(0, 0, 0)):
        lines = ["*Node"]
        for number, corner in enumerate(_CORNERS, 1):
            x, y, z = (size * c + p for c, p in zip(corner, place, strict=True))
            lines.append(f"{number}, {x}, {y}, {z}")
        return "\n".join([*lines, "*Element, type=C3D8R", "1, 1, 2, 3, 4, 5, 6, 7, 8", ""])

    return keywords
