"""Gmsh files."""

from pathlib import Path
from typing import Any

import meshio
import numpy as np

from flare_mesh.io.mesh_formats import GMSH_TAG
from flare_mesh.io.readers.by_meshio import read_meshio


def read_gmsh(path: Path, step: int | None, max_bytes: int) -> meshio.Mesh:
    """Read a Gmsh mesh by meshio, with the tags of its physical groups as a cell field.

    Raises:
        Exception: See :func:`~flare_mesh.io.readers.by_meshio.read_meshio`.
    """
    mesh = read_meshio(path)
    # meshio's data about the file, which are not fields of the mesh.
    mesh.point_data.pop("gmsh:dim_tags", None)
    mesh.cell_sets.pop("gmsh:bounding_entities", None)
    for name in ("gmsh:geometrical", "cell_tags"):
        mesh.cell_data.pop(name, None)
    # Zero means no tag; meshio leaves the tags of such blocks empty.
    tags: list[Any] = [
        np.asarray(part) if np.size(part) else np.zeros(len(block.data), np.int32)
        for part, block in zip(mesh.cell_data.pop(GMSH_TAG, []), mesh.cells, strict=False)
    ]
    if any(part.any() for part in tags):
        mesh.cell_data[GMSH_TAG] = tags
    return mesh
