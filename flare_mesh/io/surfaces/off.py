"""Reader of OFF files."""

import re

import numpy as np

from flare_mesh.io.surfaces.surface import (
    Surface,
    check_indices,
    check_last_line,
    fan_triangles,
    whole_numbers,
)
from flare_mesh.io.surfaces.text_numbers import parse_numbers, shown


def read_off(content: bytes) -> Surface:
    """Read an OFF file of Geomview, with or without colours, normals and texture coordinates.

    Raises:
        ValueError: If the file is damaged or cut off, binary, or not of three dimensions.
    """
    content = content.removeprefix(b"\xef\xbb\xbf")
    text = re.sub(rb"#[^\r\n]*", b"", content)
    lines = [line for line in text.splitlines() if line.strip()]
    head = re.fullmatch(rb"\s*(ST)?(C)?(N)?(4?n?)OFF\b(.*)", lines[0] if lines else b"")
    if head is None:
        got = shown(lines[0]) if lines else "nothing"
        raise ValueError(f"expected 'OFF' on the first line (got '{got}'); export it again")
    if head[4] or head[5].split()[:1] == [b"BINARY"]:
        raise ValueError("4OFF, nOFF and binary OFF files are not read; export it as plain OFF")
    lines[0] = head[5]
    if not lines[0].strip():
        lines.pop(0)
    counts = parse_numbers(lines[0] if lines else b"", content)
    if len(counts) not in (2, 3) or (counts < 0).any() or (counts % 1).any():
        raise ValueError("expected the numbers of vertices and faces after 'OFF'; export it again")
    num_points, num_faces = (int(count) for count in counts[:2])
    if len(lines) - 1 != num_points + num_faces:
        raise ValueError(
            f"declares {num_points:,} vertices and {num_faces:,} faces, but has {len(lines) - 1:,} "
            f"lines; the file is damaged or cut off"
        )
    rows = lines[1 : 1 + num_points]
    numbers = parse_numbers(b"\n".join(rows), content)
    columns = len(rows[0].split()) if rows else 3
    if len(numbers) != num_points * columns or columns < 3:
        raise ValueError("expected as many numbers on each line of a vertex, three or more")
    points = numbers.reshape(-1, columns)[:, :3].copy()

    rows = lines[1 + num_points :]
    width = np.array([len(row.split()) for row in rows], dtype=np.int64)
    numbers = parse_numbers(b"\n".join(rows), content)
    first = np.cumsum(width) - width
    corners = whole_numbers(numbers[first])
    if (corners < 0).any() or (corners >= width).any():
        raise ValueError(
            "expected the number of corners and the corners on each line of a face; the file is "
            "damaged or cut off"
        )
    place = np.arange(len(numbers)) - np.repeat(first, width)
    flat = numbers[(place > 0) & (place <= np.repeat(corners, width))]
    indices = whole_numbers(flat)
    check_indices(indices, corners, num_points)
    surface = Surface(points, fan_triangles(indices, corners))
    check_last_line(content, surface)
    return surface
