"""Surface and CAD files of parts: reading and checking."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flare_mesh.choices import check_choice, clip
from flare_mesh.io.reader_process import read_in_child
from flare_mesh.io.surfaces.read_surface import (
    STEP_SUFFIXES,
    SURFACE_SUFFIXES,
    read_surface,
    surface_of_arrays,
)
from flare_mesh.io.surfaces.surface import Surface
from lpbf.core.errors import PartError, PartWarning
from lpbf.core.units import UNITS, has_unit, other_units, size_text, unit_name, unit_scale

if TYPE_CHECKING:
    import trimesh

CAD_SUFFIXES = STEP_SUFFIXES
PART_SUFFIXES = SURFACE_SUFFIXES

_READ_SECONDS = 300.0
_READ_MEMORY = 8 << 30


class MissingReaderError(PartError, ImportError):
    """The reader of a part file is not installed."""


def part_name(part: "trimesh.Trimesh") -> str:
    """Name of a part in messages: its file, its family, or 'part'."""
    return str(part.metadata.get("file_path") or part.metadata.get("family") or "part")


def load_part(
    part: "trimesh.Trimesh | str | Path", *, unit: str | None = None
) -> "trimesh.Trimesh":
    """Read and check a surface in mm; a surface in memory is only checked.

    A surface that is not watertight, has several bodies, or is smaller than 1 mm (in a file without
    unit, 10 mm, if no unit is given) gives a :class:`PartWarning`.

    Args:
        part: A surface, or the path of a file.
        unit: Unit of the file, one of :data:`lpbf.core.units.UNITS`; None takes its own, or mm.

    Raises:
        FileNotFoundError: If the file does not exist.
        PartError: If the file is of an unknown type or unreadable, its reader is not installed, or
            the surface is empty, flat, or has NaN coordinates.
        ValueError: If the unit is unknown or does not apply.
    """
    import trimesh

    if isinstance(part, trimesh.Trimesh):
        if unit is not None:
            raise ValueError(
                f"{part_name(part)}: expected a file with the unit '{unit}' (got a surface in "
                f"memory, which is in mm); scale it to mm, and leave out the unit"
            )
        surface = part
    else:
        surface = read_part(Path(part), unit=unit)
    name = part_name(surface)
    if len(surface.faces) == 0:
        raise PartError(f"{name}: expected a surface with triangles (got none); export it again")
    used = surface.vertices[np.unique(surface.faces)]
    if not np.isfinite(used).all():
        bad = int((~np.isfinite(used)).any(axis=1).sum())
        raise PartError(f"{name}: {bad} vertices have NaN or infinite coordinates; export it again")
    extents = np.ptp(used, axis=0)
    if extents.min() <= 1e-6 * extents.max():
        raise PartError(
            f"{name}: expected the surface of a solid (got a flat one of {size_text(extents)} mm)"
        )
    _check_size(surface, extents)
    stray = len(surface.vertices) - len(np.unique(surface.faces))
    bodies = surface.body_count - stray  # trimesh counts a vertex without triangles as a body
    checks = {
        "is not watertight": not surface.is_watertight,
        "has neighbouring triangles of opposite winding": not surface.is_winding_consistent,
        f"has {bodies} bodies": bodies > 1,
    }
    defects = " and ".join(text for text, found in checks.items() if found)
    if defects:
        text = f"{name}: {defects}; check the voxels that fill it"
        warnings.warn(text, PartWarning, stacklevel=3)
    elif abs(_volume(surface)) <= 1e-9 * float(extents.prod()):
        raise PartError(f"{name}: expected the surface of a solid (it encloses no volume)")
    return surface


def describe_part(surface: "trimesh.Trimesh") -> str:
    """One line about the size of a part, and the unit of its file."""
    unit = surface.metadata.get("unit", "mm")
    source = "its file has no unit" if surface.metadata.get("unit_assumed") else f"file in {unit}"
    return f"{part_name(surface)}: {size_text(surface.extents)} mm ({source})"


def part_unit(
    part: "trimesh.Trimesh | str | Path", supports: Sequence[object], unit: str | None
) -> str | None:
    """The unit, or None for a part in memory, if the unit is that of its supports' files."""
    return unit if isinstance(part, str | Path) or not supports else None


def unit_if_none(part: "trimesh.Trimesh | str | Path", unit: str | None) -> str | None:
    """The unit, if the part is a file that has none of its own; otherwise None."""
    return unit if isinstance(part, str | Path) and not has_unit(part) else None


def plate_units(
    parts: "Sequence[trimesh.Trimesh | str | Path]", unit: str | None, supports: Sequence[object]
) -> list[str | None]:
    """The unit of each of several parts: the given one for files that have none of their own.

    If it applies to no file, and not to those of supports either, :func:`load_part` gets it for all
    parts, and refuses what does not fit.
    """
    units = [unit_if_none(part, unit) for part in parts]
    return units if len(supports) or any(units) else [unit] * len(units)


def _check_size(surface: "trimesh.Trimesh", extents: NDArray[np.float64]) -> None:
    """Warn of a part that is too small in mm."""
    name, sizes = part_name(surface), size_text(extents)
    if surface.metadata.get("unit_assumed"):
        if extents.max() < 10.0:
            advice = other_units(extents) or "if it is in another unit, give --unit"
            text = (
                f"{name}: is only {sizes} mm, as its file has no unit and is taken as mm; "
                f"{advice}; --unit mm confirms millimetres"
            )
            warnings.warn(text, PartWarning, stacklevel=4)
    elif extents.max() < 1.0:
        text = f"{name}: is only {sizes} mm; if it is in metres or inches, scale it to mm"
        warnings.warn(text, PartWarning, stacklevel=4)


def _volume(surface: "trimesh.Trimesh") -> float:
    """Enclosed volume, mm^3; trimesh's own divides by it, which warns if it is zero."""
    a, b, c = np.moveaxis(np.asarray(surface.triangles) - surface.bounds[0], 1, 0)
    return float(np.einsum("ni,ni->", a, np.cross(b, c)) / 6)


def read_part(path: Path, *, in_child: bool = False, unit: str | None = None) -> "trimesh.Trimesh":
    """Read a surface in mm without checking it.

    STEP files are triangulated by Open CASCADE with a tolerance of 0.01 mm. STEP and 3MF files are
    scaled from their unit to mm; the other formats have no unit. What is not read of a file is a
    :class:`PartWarning`.

    Args:
        path: The file.
        in_child: Whether to read in a child process with limits of time and memory. STEP files are
            always read there, as Open CASCADE can end its process.
        unit: See :func:`load_part`.

    Raises:
        FileNotFoundError: If the file does not exist.
        MissingReaderError: If it is a STEP file and the extra ``cad`` is not installed.
        PartError: If it is of an unknown type or unreadable, or has another unit of its own.
        ValueError: If the unit is unknown.
    """
    import trimesh

    if path.suffix.lower() not in PART_SUFFIXES:
        raise PartError(
            f"{path}: expected a surface file of type {', '.join(PART_SUFFIXES)} "
            f"(got '{path.suffix}'); convert it"
        )
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; give the path of a surface file")
    if unit is not None:
        check_choice("unknown unit", unit, UNITS)
    is_cad = path.suffix.lower() in CAD_SUFFIXES
    if is_cad:
        check_cad(path)
    try:
        surface = _read_in_child(path) if is_cad or in_child else read_surface(path)
    except (ValueError, OSError) as error:
        raise PartError(f"{path}: {clip(error)}") from error
    for note in surface.notes:
        warnings.warn(f"{path}: {note}", PartWarning, stacklevel=3)
    points = unit_scale(path, unit, surface.unit) * surface.points
    part = trimesh.Trimesh(points, surface.triangles, process=False)
    part.metadata["file_path"] = str(path)
    part.metadata["unit"] = unit or unit_name(surface.unit or 1.0)
    part.metadata["unit_assumed"] = unit is None and not has_unit(path)
    if surface.bodies:
        names = [(body.name, body.item) for body in surface.bodies]
        part.metadata["bodies"] = names
        counts = [body.triangles for body in surface.bodies]
        part.metadata["face_body"] = np.repeat(np.arange(len(names)), counts)
    if np.isfinite(part.vertices).all():
        part.merge_vertices(merge_tex=True, merge_norm=True)
    return part


def _read_in_child(path: Path) -> Surface:
    arrays = read_in_child("surface", path, seconds=_READ_SECONDS, max_memory=_READ_MEMORY)
    return surface_of_arrays(arrays)


def check_cad(path: Path) -> None:
    """Raise a MissingReaderError if the extra ``cad``, which reads STEP files, is not installed."""
    try:
        import cascadio  # noqa: F401
    except ImportError as error:
        raise MissingReaderError(
            f"{path}: STEP files need cascadio; pip install 'flare-mesh[cad]'"
        ) from error
