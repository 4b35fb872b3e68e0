"""Surfaces of parts as files, in the unit and with the objects of the part's file."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flare_mesh.files import atomic_path
from flare_mesh.io.surfaces.threemf_model import UNITS as UNITS_OF_3MF
from flare_mesh.io.surfaces.threemf_writer import WrittenBody, write_3mf
from lpbf.core.units import UNITLESS, UNITS, has_unit

if TYPE_CHECKING:
    import trimesh

WRITTEN_SUFFIXES = (".stl", ".3mf", ".ply", ".obj", ".off")
"""Types of files of surfaces that are written."""


def written_unit(surface: "trimesh.Trimesh", path: str | Path) -> str:
    """Unit in which a surface is written: that of its file, if the new file's readers know it.

    STL, PLY, OBJ and OFF files have no unit. They are in the unit of the part's file if this has
    none either, and otherwise in mm, as their readers assume.
    """
    source = surface.metadata.get("file_path")
    if source is None or (not has_unit(path) and has_unit(source)):
        return "mm"
    return surface.metadata["unit"]


def write_part(surface: "trimesh.Trimesh", path: str | Path) -> None:
    """Write a surface in mm to a file, whole or not at all; see :func:`written_unit`.

    A 3MF file gets the objects and items of the build of the part's 3MF file by name, without their
    colours, materials and slicer settings. The file's repeated components become objects.

    Args:
        surface: The surface, with the metadata of :func:`lpbf.core.part.read_part`.
        path: A file of :data:`WRITTEN_SUFFIXES`.

    Raises:
        ValueError: If the file is of another type.
        OSError: If it cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in WRITTEN_SUFFIXES:
        raise ValueError(
            f"{path}: expected a file of type {', '.join(WRITTEN_SUFFIXES)} (got '{suffix}'); "
            f"choose .stl"
        )
    unit = written_unit(surface, path)
    scaled = np.asarray(surface.vertices) / UNITS[unit]
    if suffix in UNITLESS:
        import trimesh

        with atomic_path(path) as temporary:
            trimesh.Trimesh(scaled, surface.faces, process=False).export(temporary)
        return
    name = Path(surface.metadata.get("file_path", path)).stem
    bodies = surface.metadata.get("bodies", [(name, 0)])
    owner = surface.metadata.get("face_body", np.zeros(len(surface.faces), dtype=np.int64))
    written = []
    for number, (name, item) in enumerate(bodies):
        vertices, triangles = np.unique(surface.faces[owner == number], return_inverse=True)
        written.append(WrittenBody(name, item, scaled[vertices], triangles.reshape(-1, 3)))
    named = next(name for name, size in UNITS_OF_3MF.items() if size == UNITS[unit])
    write_3mf(path, written, named)
