"""Several meshes as one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOST = "lost:"
"""Begins the names of fields that are left out, where they are among arrays."""

Arrays = dict[str, NDArray[Any]]


def join_meshes(meshes: Sequence[Arrays]) -> tuple[Arrays, list[str]]:
    """Join meshes, with the fields that all of them have; the nodes they share are not merged.

    Args:
        meshes: Arrays of :func:`~flare_mesh.mesh.vtk_arrays.vtk_arrays`. Those without points are
            left out. Numbers of the case are kept if they are the same in all.

    Returns:
        The arrays, and the names of the fields that are left out.

    Raises:
        ValueError: If no mesh has points.
    """
    meshes = [mesh for mesh in meshes if len(mesh["points"])]
    if not meshes:
        raise ValueError("it has no points")
    if len(meshes) == 1:
        return dict(meshes[0]), []
    sizes = [len(mesh["points"]) for mesh in meshes]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    ends = np.concatenate([[0], np.cumsum([len(mesh["index"]) for mesh in meshes])[:-1]])
    pairs = [*zip(meshes, starts.tolist(), ends.tolist(), strict=True)]
    joined: Arrays = {
        "points": np.concatenate([mesh["points"] for mesh in meshes]),
        "index": np.concatenate([mesh["index"].astype(np.int64) + at for mesh, at, _ in pairs]),
        "offset": np.concatenate([[0], *(mesh["offset"][1:] + at for mesh, _, at in pairs)]),
        "types": np.concatenate([mesh["types"] for mesh in meshes]),
    }
    lost = []
    for name in dict.fromkeys(key for mesh in meshes for key in mesh):
        if name in joined:
            continue
        place, _, field = name.partition(":")
        # A block without cells has no cell fields.
        parts = [m.get(name) for m in meshes if place != "cell" or len(m["types"])]
        found = [part for part in parts if part is not None]
        same = len(found) == len(parts) and len({part.shape[1:] for part in found}) == 1
        if place == "case":
            same = same and all(np.array_equal(part, found[0]) for part in found)
        if not same:
            lost.append(field)
        else:
            joined[name] = found[0] if place == "case" else np.concatenate(found)
    return joined, lost
