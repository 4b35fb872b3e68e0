"""Parts as surface and CAD files: reading, checking, naming."""

import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import trimesh
from trimesh.units import unit_conversion

from lpbf.core.errors import PartError, PartWarning

CAD_SUFFIXES = (".step", ".stp")
PART_SUFFIXES = (".stl", ".ply", ".obj", ".off", ".3mf", *CAD_SUFFIXES)

# Parts with no extent of this many mm are too small for the process: likely not in mm.
_SMALLEST = 1.0


class MissingReaderError(PartError, ImportError):
    """A part file whose reader is not installed."""


def part_name(part: trimesh.Trimesh) -> str:
    """What messages call a part: its file, its family, or 'part'."""
    return str(part.metadata.get("file_path") or part.metadata.get("family") or "part")


def load_part(part: trimesh.Trimesh | str | Path) -> trimesh.Trimesh:
    """Reads and checks a surface; a surface given as such is only checked.

    A surface that is not watertight or has several bodies is a fact of life: it passes with a
    :class:`PartWarning`, as does one so small that it is hardly in mm.

    Raises:
        FileNotFoundError: If the file does not exist.
        PartError: If it is of an unknown type, unreadable, empty, flat, or has NaN coordinates, or
            its reader is not installed.
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
    if extents.max() < _SMALLEST:
        warnings.warn(
            f"{name}: is only {extents[0]:.4g} x {extents[1]:.4g} x {extents[2]:.4g} mm; if the "
            f"file is in metres or inches, scale it to mm",
            PartWarning,
            stacklevel=3,
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
    """Reads a surface in mm without checking it.

    STEP files are triangulated by Open CASCADE, to 0.01 mm, whatever unit they are in. 3MF files
    are scaled from the unit that they name; the other formats name none.

    Raises:
        FileNotFoundError: If the file does not exist.
        MissingReaderError: If it is a STEP file and the extra ``cad`` is not installed.
        PartError: If it is of an unknown type or unreadable.
    """
    if path.suffix.lower() not in PART_SUFFIXES:
        raise PartError(
            f"{path}: expected a surface file of type {', '.join(PART_SUFFIXES)} "
            f"(got '{path.suffix}'); convert it"
        )
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; give the path of a surface file")
    is_cad = path.suffix.lower() in CAD_SUFFIXES
    if is_cad:
        check_cad(path)
    try:
        surface = _read_step(path) if is_cad else trimesh.load_mesh(path, process=False)
    except Exception as error:  # readers of seven formats raise what they like
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PartError(f"{path}: cannot be read ({reason}); export it anew") from error
    if not isinstance(surface, trimesh.Trimesh):
        raise PartError(f"{path}: expected a triangle surface (got {type(surface).__name__})")
    if path.suffix.lower() == ".3mf" and surface.units is not None:
        surface.apply_scale(unit_conversion(surface.units, "millimeter"))
    surface.metadata["file_path"] = str(path)
    if np.isfinite(surface.vertices).all():
        surface.merge_vertices(merge_tex=True, merge_norm=True)
    return surface


def check_cad(path: Path) -> None:
    """Checks that STEP files can be read.

    Raises:
        MissingReaderError: If the extra ``cad`` is not installed.
    """
    try:
        import cascadio  # noqa: F401
    except ImportError as error:
        raise MissingReaderError(
            f"{path}: STEP files need cascadio; pip install 'flare-mesh[cad]'"
        ) from error


def _read_step(path: Path) -> trimesh.Trimesh | trimesh.Scene:
    import cascadio

    content = cascadio.load(path.read_bytes(), "step", tol_linear=0.01, use_parallel=False)
    if not content:
        raise ValueError("not a STEP file, or without a solid")
    surface = trimesh.load_mesh(BytesIO(content), file_type="glb", process=False)
    if isinstance(surface, trimesh.Trimesh):
        # Faces are meshes of their own that share the points of their edges.
        surface.merge_vertices(merge_tex=True, merge_norm=True)
    return surface.apply_scale(1000.0)  # GLB is in metres
