"""Reading of a surface file of any format."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.surfaces.obj import read_obj
from flare_mesh.io.surfaces.off import read_off
from flare_mesh.io.surfaces.ply import read_ply
from flare_mesh.io.surfaces.stl import read_stl
from flare_mesh.io.surfaces.surface import Body, Surface
from flare_mesh.io.surfaces.threemf import read_3mf

_TEXT = {".stl": read_stl, ".ply": read_ply, ".obj": read_obj, ".off": read_off}
STEP_SUFFIXES = (".step", ".stp")
SURFACE_SUFFIXES = (*_TEXT, ".3mf", *STEP_SUFFIXES)
"""Formats of surfaces; 3MF and STEP files have a unit and are scaled to mm."""


def read_surface(path: Path) -> Surface:
    """Read a surface in this process.

    Raises:
        OSError: If the file cannot be opened.
        ValueError: If it is damaged, cut off, or has geometry that is not read.
    """
    suffix = path.suffix.lower()
    if suffix in STEP_SUFFIXES:
        from flare_mesh.io.surfaces.step import read_step

        return read_step(path)
    return read_3mf(path) if suffix == ".3mf" else _TEXT[suffix](path.read_bytes())


def read_surface_arrays(path: Path) -> dict[str, NDArray]:
    """Read a surface as arrays, for the reader process.

    ``text`` is JSON as bytes: the notes, the unit and the bodies; see :func:`surface_of_arrays`.
    """
    points, triangles, *others = read_surface(path)
    text = np.frombuffer(json.dumps(others).encode(), np.uint8)
    return {"points": points, "triangles": triangles, "text": text}


def surface_of_arrays(arrays: dict[str, NDArray]) -> Surface:
    """The surface of the arrays of :func:`read_surface_arrays`."""
    notes, unit, bodies = json.loads(arrays["text"].tobytes())
    bodies = tuple(Body(*body) for body in bodies)
    return Surface(arrays["points"], arrays["triangles"], tuple(notes), unit, bodies)
