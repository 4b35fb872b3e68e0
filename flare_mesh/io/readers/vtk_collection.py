"""VTK's XML files that name the files of the blocks or pieces of a mesh."""

import warnings
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.arrays import check_size
from flare_mesh.io.external_references import resolve_below
from flare_mesh.io.mesh_file_warning import MeshFileWarning
from flare_mesh.io.mesh_formats import mesh_format
from flare_mesh.mesh.join_meshes import join_meshes

_NAMES = {"DataSet": "file", "Piece": "Source"}
_MAX_DEPTH = 3  # of collections in collections


def read_vtk_collection(
    path: Path, step: int | None, max_bytes: int, *, above: tuple[Path, ...] = ()
) -> dict[str, NDArray[Any]]:
    """Read the blocks of a ``.vtm`` or the pieces of a ``.pvtu`` file as one mesh.

    Source: "VTK XML File Formats", docs.vtk.org.

    Args:
        path: The file.
        step: Not used.
        max_bytes: Limit of the bytes that an array may declare, and of all arrays together.
        above: The collections that lead to this one.

    Raises:
        ValueError: If one of the files is missing, damaged or named twice.
    """
    if len(above) > _MAX_DEPTH:
        raise ValueError(f"expected at most {_MAX_DEPTH} collections in one another")
    try:
        elements = [*ElementTree.parse(path).iter()]
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise ValueError(f"not whole XML ({error})") from error
    names = [element.get(_NAMES.get(element.tag, ""), "") for element in elements]
    meshes, seen, size = [], {path.resolve()}, 0
    for name in filter(None, names):
        target = resolve_below(path.parent, name, path)
        if target in seen:
            raise ValueError(f"names '{name}' twice")
        seen.add(target)
        if not target.is_file():
            raise ValueError(f"refers to '{name}', which is missing")
        form = mesh_format(target)
        read: Any = form.function("reader")
        check = form.function("check")
        if check is not None:
            check(target, max_bytes)
        nested = {"above": (*above, path)} if form is mesh_format(path) else {}
        try:
            meshes.append(read(target, None, max_bytes, **nested))
        except ValueError as error:
            raise ValueError(f"'{name}': {str(error).removeprefix(f'{target}: ')}") from error
        size += sum(values.nbytes for values in meshes[-1].values())
        check_size("its blocks", (size,), np.dtype("u1"), max_bytes)
    mesh, lost = join_meshes(meshes)
    warn_of_lost_fields(path, lost)
    return mesh


def warn_of_lost_fields(path: Path, lost: list[str]) -> None:
    """Warn of fields that are not read because not all blocks of a file have them."""
    if lost:
        warnings.warn(
            f"{path}: the fields {sorted(lost)} are not read: not all of its blocks have them",
            MeshFileWarning,
            stacklevel=3,
        )
