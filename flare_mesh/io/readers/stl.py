"""STL files."""

from pathlib import Path
from typing import Any

import meshio
import numpy as np

from flare_mesh.io.readers.by_meshio import read_meshio


def read_stl(path: Path, step: int | None, max_bytes: int) -> meshio.Mesh:
    """Read an STL surface by meshio, or by trimesh if meshio refuses it.

    meshio refuses files such as those of trimesh, whose solid has no name.

    Raises:
        ValueError: If it has no triangles.
    """
    try:
        mesh = read_meshio(path)
    except Exception:
        return _by_trimesh(path)
    mesh.cell_data.pop("facet_normals", None)
    return mesh


def _by_trimesh(path: Path) -> meshio.Mesh:
    import trimesh

    surface: Any = trimesh.load(path, process=False, file_type="stl", force="mesh")
    if not len(surface.faces):
        raise ValueError("it has no triangles")
    # Coincident corners become one point, as meshio reads them.
    points, number = np.unique(surface.vertices, axis=0, return_inverse=True)
    return meshio.Mesh(points, [("triangle", number.reshape(-1)[surface.faces])])
