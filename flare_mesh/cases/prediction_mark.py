"""Recognition of the files that predictions were written to."""

import mmap
import os
import re
from collections.abc import Iterable
from pathlib import Path

PREDICTION_MARK = "flare_mesh_prediction"
"""Field of the whole case in the predictions of the formats that have such fields."""

MARKED_SUFFIXES = (".vtu", ".vtk")
_PREDICTED, _ERROR = "predicted_", "error_"
_HEAD = 1 << 13
_VTK_NAMES = re.compile(rb"""<DataArray[^>]*\bName\s*=\s*["']([^"'<>]+)""")
_XDMF_NAMES = re.compile(rb"""<Attribute[^>]*\bName\s*=\s*["']([^"'<>]+)""")
_PLY_NAMES = re.compile(rb"^property (?:list \w+ \w+|\w+) (\S+)", re.MULTILINE)
_NO_FIELDS = {
    *("Points", "connectivity", "offsets", "types", "Connectivity", "Offsets", "field_units"),
    *("x", "y", "z", "vertex_indices", "vertex_index"),
}


def predicted_name(name: str) -> str:
    """Name of a predicted field in a file."""
    return _PREDICTED + name


def predicted_field(name: str) -> str:
    """The field whose prediction has this name in a file; empty for other names."""
    return name.removeprefix(_PREDICTED) if name.startswith(_PREDICTED) else ""


def error_name(name: str) -> str:
    """Name of the error of a field in a file: the prediction minus the truth."""
    return _ERROR + name


def band_name(name: str) -> str:
    """Name of the half-width of the band of a predicted field in a file."""
    return f"{name}_band"


def asks_for_predictions(names: Iterable[str]) -> bool:
    """Whether some fields are those that only files of predictions have."""
    return any(name.startswith((_PREDICTED, _ERROR)) for name in names)


def is_prediction(file: str | Path) -> bool:
    """Whether a mesh file was written by :meth:`flare_mesh.prediction.Prediction.save`.

    It has the field :data:`PREDICTION_MARK`, or its fields are ``predicted_<name>``, ``<name>``,
    ``error_<name>`` and ``<name>_band`` alone. A copy or a renamed file is recognised too, but no
    file of a format other than those that predictions are written to.
    """
    suffix = os.path.splitext(file)[1].lower()
    if suffix not in (".vtu", ".vtk", ".vtp", ".ply", ".xdmf"):
        return False
    try:
        # Without Python's buffers, since a folder may have very many files.
        raw = os.open(file, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            head = os.read(raw, _HEAD)
            if PREDICTION_MARK.encode() in head:
                return True
            if suffix == ".ply":
                found = _PLY_NAMES.findall(head.partition(b"end_header")[0])
            elif suffix == ".vtk" or (suffix != ".xdmf" and not _may_be_prediction(head)):
                return False
            else:
                names = _XDMF_NAMES if suffix == ".xdmf" else _VTK_NAMES
                with mmap.mmap(raw, 0, access=mmap.ACCESS_READ) as text:
                    found = names.findall(text)
        finally:
            os.close(raw)
    except (OSError, ValueError):  # not readable, which its reader reports
        return False
    names = {name.decode(errors="replace") for name in found} - _NO_FIELDS
    predicted = {name.removeprefix(_PREDICTED) for name in names if name.startswith(_PREDICTED)}
    ours = {f(name) for name in predicted for f in (str, predicted_name, error_name, band_name)}
    return bool(predicted) and names <= ours


def _may_be_prediction(head: bytes) -> bool:
    """Whether the first field of a VTK XML file is a prediction, as it is in our files."""
    names = (name.decode(errors="replace") for name in _VTK_NAMES.findall(head))
    first = next((name for name in names if name not in _NO_FIELDS), "")
    return first.startswith(_PREDICTED)
