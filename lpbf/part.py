"""Parts as surface files: reading, checking, naming."""

import warnings
from pathlib import Path

import numpy as np
import trimesh

from lpbf.errors import PartError, PartWarning

PART_SUFFIXES = (".stl", ".ply", ".obj", ".off", ".3mf")


def part_name(part: trimesh.Trimesh) -> str:
    """What messages call a part: its file, its family, or 'part'."""
    return str(part.metadata.get("file_path") or part.metadata.get("family") or "part")


def load_part(part: trimesh.Trimesh | str | Path) -> trimesh.Trimesh:
    """Reads and checks a surface; a surface given as such is only checked.

    A surface that is not watertight or has several bodies is a fact of life: it passes with a
    :class:`PartWarning`.

    Raises:
        FileNotFoundError: If the file does not exist.
        PartError: If it is of an unknown type, unreadable, empty, flat, or has NaN coordinates.
    """
    surface = part if isinstance(part, trimesh.Trimesh) else read_part(Path(part))
    name = part_name(surface)
    if len(surface.faces) == 0:
        raise PartError(f"{name}: expected a surface with triangles (got none); export it anew")
    used = surface.vertices[np.unique(surface.faces)]
    if not np.isfinite(used).all():
        bad = int((~np.isfinite(used)).any(axis=1).sum())
        raise PartError(f"{name}: {bad} vertices have NaN or infinite coordinates; export it anew")
    extents = np.ptp(used, axis=0)
    if extents.min() <= 1e-6 * extents.max():
        raise PartError(
            f"{name}: has no volume (extents {extents[0]:.4g} x {extents[1]:.4g} x "
            f"{extents[2]:.4g} mm); expected the surface of a solid"
        )
    stray = len(surface.vertices) - len(np.unique(surface.faces))
    bodies = surface.body_count - stray  # trimesh counts a vertex without triangles as a body
    facts = [
        fact
        for holds, fact in (
            (not surface.is_watertight, "is not watertight"),
            (not surface.is_winding_consistent, "has neighbouring triangles that face apart"),
            (bodies > 1, f"has {bodies} bodies"),
        )
        if holds
    ]
    if facts:
        warnings.warn(
            f"{name}: {' and '.join(facts)}; it is filled as well as it can be",
            PartWarning,
            stacklevel=3,
        )
    elif abs(_volume(surface)) <= 1e-9 * float(extents.prod()):
        raise PartError(f"{name}: encloses no volume; expected the surface of a solid")
    return surface


def _volume(surface: trimesh.Trimesh) -> float:
    """Enclosed volume, mm^3; trimesh's own divides by it, which warns where it is zero."""
    a, b, c = np.moveaxis(np.asarray(surface.triangles) - surface.bounds[0], 1, 0)
    return float(np.einsum("ni,ni->", a, np.cross(b, c)) / 6)


def read_part(path: Path) -> trimesh.Trimesh:
    """Reads a surface without checking it.

    Raises:
        FileNotFoundError: If the file does not exist.
        PartError: If it is of an unknown type or unreadable.
    """
    if path.suffix.lower() not in PART_SUFFIXES:
        raise PartError(
            f"{path}: expected a surface file of type {', '.join(PART_SUFFIXES)} "
            f"(got '{path.suffix}'); convert it"
        )
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; give the path of a surface file")
    try:
        surface = trimesh.load_mesh(path, process=False)
    except Exception as error:  # readers of six formats raise what they like
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PartError(f"{path}: cannot be read ({reason}); export it anew") from error
    if not isinstance(surface, trimesh.Trimesh):
        raise PartError(f"{path}: expected a triangle surface (got {type(surface).__name__})")
    surface.metadata["file_path"] = str(path)
    if np.isfinite(surface.vertices).all():
        surface.merge_vertices(merge_tex=True, merge_norm=True)
    return surface
