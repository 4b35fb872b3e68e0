"""Reader of Wavefront OBJ files."""

import re

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.surfaces.surface import (
    Surface,
    check_indices,
    check_last_line,
    fan_triangles,
    whole_numbers,
)
from flare_mesh.io.surfaces.text_numbers import line_of, parse_numbers, shown, unix_lines

_VERTEX = re.compile(rb"^[ \t]*+v[ \t]++(\S++[ \t]++\S++[ \t]++\S++)?", re.M)
_FACE = re.compile(rb"^[ \t]*+f[ \t]++([^\n]*+)", re.M)
_FREE_FORM = (b"cstype", b"curv", b"surf", b"bzp", b"bsp", b"cdc", b"cdp", b"call", b"csh")
_TEXTURE = re.compile(rb"/[^\s]*+")


def read_obj(content: bytes) -> Surface:
    """Read the polygons of an OBJ file; colours, normals, textures and materials are left out.

    The format has no counts, so a file that was cut off at the end of a line is found only if it
    has no face; see :func:`~flare_mesh.io.surfaces.surface.check_last_line`.

    Raises:
        ValueError: If the file is damaged or cut off, or has free-form surfaces.
    """
    text = unix_lines(content)
    if b"#" in text:
        text = re.sub(rb"#[^\n]*+", b"", text)
    text = text.replace(b"\\\n", b" ")
    for word in _FREE_FORM:
        if word in text:
            found = re.search(rb"^[ \t]*+" + word + rb"\w*+[ \t]", text, re.M)
            if found is not None:
                raise ValueError(
                    f"{line_of(text, found.start())}: '{shown(found[0])}' is not read; export the "
                    f"surface as polygons"
                )
    # A weight or a colour may follow the coordinates.
    vertices = _VERTEX.findall(text)
    if b"" in vertices:
        raise ValueError("expected three coordinates on each line 'v'; the file is damaged")
    points = parse_numbers(b"\n".join(vertices), content).reshape(-1, 3)

    faces = b"\n".join(_FACE.findall(text))
    if b"/" in faces:
        faces = _TEXTURE.sub(b"", faces)
    counts = _words_of_lines(faces)
    corners = whole_numbers(parse_numbers(faces, content, np.int64))
    corners = np.where(corners < 0, corners + _points_before(text, counts, corners), corners - 1)
    check_indices(corners, counts, len(points))
    surface = Surface(points, fan_triangles(corners, counts))
    check_last_line(content, surface)
    return surface


def _words_of_lines(text: bytes) -> NDArray[np.int64]:
    """Number of words of each line."""
    letters = np.frombuffer(text, np.uint8)
    space = letters <= ord(" ")
    starts = np.flatnonzero(~space & np.concatenate([[True], space[:-1]]))
    ends = np.flatnonzero(letters == ord("\n"))
    return np.bincount(np.searchsorted(ends, starts), minlength=len(ends) + 1)


def _points_before(
    text: bytes, counts: NDArray[np.int64], corners: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Number of vertices before the face of each corner: negative corners count back from there."""
    if not (corners < 0).any():
        return np.zeros(len(corners), dtype=np.int64)
    vertices = np.array([found.start() for found in _VERTEX.finditer(text)], dtype=np.int64)
    faces = np.array([found.start() for found in _FACE.finditer(text)], dtype=np.int64)
    return np.repeat(np.searchsorted(vertices, faces), counts)
