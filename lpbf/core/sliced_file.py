"""Reader of sliced files in the Common Layer Interface (CLI, version 2.0)."""

import re
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flare_mesh.choices import clip
from lpbf.core.errors import PartError, PartWarning
from lpbf.core.sliced_part import SlicedPart, describe_gaps, signed_area

SLICED_SUFFIXES = (".cli",)

_HEADER_END = b"$$HEADEREND"
_MAX_HEADER = 1 << 20
_MAX_LENGTH = 1e6
_INNER, _OUTER, _OPEN = 0, 1, 2
# Binary commands: kind, and whether values are 16-bit integers rather than 32-bit numbers.
_COMMANDS = {
    127: ("layer", False),
    128: ("layer", True),
    129: ("polyline", True),
    130: ("polyline", False),
    131: ("hatches", True),
    132: ("hatches", False),
}


def read_sliced(path: Path) -> SlicedPart:
    """Read the closed contours of a CLI file, as text or binary.

    Hatches, which are scan vectors, and open lines are left out; the models of a file are one part.
    A contour whose points run against its direction (inner or outer) is reversed, with a
    :class:`PartWarning`. A layer reaches down to the one below, as the format says; one that is
    over half as thick again as the layers around it, as where layers are missing, gives a
    :class:`PartWarning`.

    Raises:
        FileNotFoundError: If the file does not exist.
        PartError: If it is damaged or cut off, has no closed contour, or a layer has inner contours
            alone.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; give the path of a sliced file")
    try:
        content = path.read_bytes()
        header, end = _read_header(content)
        read = _read_binary if header.binary else _read_text
        layers = read(content, end, header)
        part = _part(str(path), header, layers)
    except (ValueError, OSError) as error:
        raise PartError(f"{path}: {clip(error)}") from error
    return part


@dataclass
class _Header:
    units: float = 0.0
    binary: bool | None = None
    aligned: bool = False
    layers: int | None = None


_Layers = list[tuple[float, list[tuple[int, NDArray[np.float64]]]]]
"""Height and polylines (direction, points [P, 2]) of each layer, in units."""


def _read_header(content: bytes) -> tuple[_Header, int]:
    if not content.lstrip().startswith(b"$$HEADERSTART"):
        raise ValueError("expected '$$HEADERSTART' at its beginning; it is not a CLI file")
    end = content.find(_HEADER_END, 0, _MAX_HEADER)
    if end < 0:
        raise ValueError("expected '$$HEADEREND'; the file is damaged or cut off")
    header = _Header()
    for command in re.split(r"\$\$", _text(content[:end]))[1:]:
        name, _, value = (word.strip() for word in command.partition("/"))
        if name in ("ASCII", "BINARY"):
            header.binary = name == "BINARY"
        elif name == "ALIGN":
            header.aligned = True
        elif name == "UNITS":
            header.units = float(_numbers(value, "$$UNITS", 1)[0])
        elif name == "LAYERS":
            header.layers = int(_numbers(value, "$$LAYERS", 1)[0])
        elif name == "USERDATA":
            raise ValueError("has user data in its header, which is not read; export it without")
    if header.binary is None:
        raise ValueError("expected $$ASCII or $$BINARY in its header; export it again")
    if not 0 < header.units < np.inf:
        raise ValueError(
            f"expected $$UNITS > 0 in its header, the mm of a coordinate 1 (got {header.units:g})"
        )
    return header, end + len(_HEADER_END)


def _text(content: bytes) -> str:
    """Text without comments, which two slashes open and close."""
    return re.sub(r"//.*?//", " ", content.decode("latin-1"), flags=re.DOTALL)


def _shown(text: str) -> str:
    """Beginning of a text, in one line."""
    return "".join(c if c.isprintable() else " " for c in text[:40])


def _numbers(text: str, command: str, count: int | None = None) -> NDArray[np.float64]:
    try:
        values = np.array(text.split(","), dtype=np.float64)
    except ValueError:
        values = np.array([np.nan])
    if not np.isfinite(values).all() or (count is not None and len(values) != count):
        many = "numbers" if count is None else f"{count} number{'s' * (count > 1)}"
        raise ValueError(f"expected {many} after {command} (got '{_shown(text)}'); export it again")
    return values


def _read_text(content: bytes, at: int, header: _Header) -> _Layers:
    text = _text(content[at:])
    if "$$GEOMETRYSTART" not in text or "$$GEOMETRYEND" not in text:
        raise ValueError("expected '$$GEOMETRYSTART' and '$$GEOMETRYEND'; the file is cut off")
    body = text.partition("$$GEOMETRYSTART")[2].partition("$$GEOMETRYEND")[0]
    layers: _Layers = []
    for command in body.split("$$")[1:]:
        name, _, value = (word.strip() for word in command.partition("/"))
        if name == "LAYER":
            layers.append((float(_numbers(value, "$$LAYER", 1)[0]), []))
        elif name == "POLYLINE":
            values = _numbers(value, "$$POLYLINE")
            if len(values) < 3 or len(values) != 3 + 2 * values[2]:
                raise ValueError(
                    f"expected id, direction, number of points and two coordinates of each after "
                    f"$$POLYLINE (got {len(values)} numbers: '{_shown(value)}'); export it again"
                )
            _add(layers, float(values[1]), values[3:])
        elif name != "HATCHES":
            raise ValueError(
                f"expected $$LAYER, $$POLYLINE or $$HATCHES (got '$${_shown(name)}'); export it "
                f"again"
            )
    return layers


def _read_binary(content: bytes, at: int, header: _Header) -> _Layers:
    start, layers = at, []
    while at < len(content):
        try:
            (command,) = struct.unpack_from("<H", content, at)
            if command not in _COMMANDS:
                raise ValueError(
                    f"byte {at:,}: expected a command from 127 to 132 (got {command}); the file is "
                    f"damaged"
                )
            kind, short = _COMMANDS[command]
            at += 4 if header.aligned else 2
            number, size = ("H", 2) if short else ("i", 4)
            if kind == "layer":
                (height,) = struct.unpack_from("<H" if short else "<f", content, at)
                layers.append((float(height), []))
                at += size
            else:
                words = 3 if kind == "polyline" else 2
                head = struct.unpack_from(f"<{words}{number}", content, at)
                at += words * size
                count = (2 if kind == "polyline" else 4) * head[-1]
                if count < 0 or at + count * size > len(content):
                    raise struct.error
                if kind == "polyline":
                    values = np.frombuffer(content, "<u2" if short else "<f4", count, at)
                    _add(layers, head[1], values.astype(np.float64))
                at += count * size
            if header.aligned:
                at += -(at - start) % 4
        except struct.error as error:
            raise ValueError(f"ends within a command at byte {at:,}; it is cut off") from error
    return layers


def _add(layers: _Layers, direction: float, values: NDArray[np.float64]) -> None:
    if not layers:
        raise ValueError("has a polyline before its first layer; export it again")
    if direction not in (_INNER, _OUTER, _OPEN):
        raise ValueError(
            f"expected the direction 0 (inner), 1 (outer) or 2 (open) of a polyline (got "
            f"{direction:g}); export it again"
        )
    layers[-1][1].append((int(direction), values.reshape(-1, 2)))


def _scaled(values: NDArray[np.float64], header: _Header) -> NDArray[np.float64]:
    """Lengths in mm."""
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = header.units * values
        if not (np.abs(lengths) < _MAX_LENGTH).all():
            raise ValueError(
                f"expected coordinates within {_MAX_LENGTH:g} mm (got NaN or larger ones); export "
                f"it again"
            )
    return lengths


def _part(name: str, header: _Header, layers: _Layers) -> SlicedPart:
    if header.layers is not None and header.layers != len(layers):
        raise ValueError(
            f"its header declares {header.layers:,} layers, but it has {len(layers):,}; it is cut "
            f"off or damaged"
        )
    heights = _scaled(np.array([height for height, _ in layers]), header)
    if len(heights) < 2 or (np.diff(heights) < 0).any():
        raise ValueError("expected two layers or more, with rising heights; export it again")
    tops, layer_of = np.unique(heights, return_inverse=True)
    contours: list[list[NDArray[np.float64]]] = [[] for _ in tops]
    outer = np.zeros(len(tops), dtype=bool)
    turned = 0
    for number, (_, lines) in zip(layer_of.tolist(), layers, strict=True):
        for direction, values in lines:
            points = _scaled(values, header)
            area = 0.0 if direction == _OPEN or len(points) < 3 else signed_area(points)
            if area != 0:
                against = (area > 0) != (direction == _OUTER)
                turned += against
                outer[number] |= direction == _OUTER
                contours[number].append(points[::-1] if against else points)
    if not any(contours):
        raise ValueError(
            "expected closed contours (got hatches or open lines alone); export contours"
        )
    if len(tops) < 2:
        raise ValueError("expected layers of two heights or more; export it again")
    for number in np.flatnonzero(~outer & [bool(layer) for layer in contours])[:1].tolist():
        raise ValueError(
            f"expected an outer contour (direction 1) in each layer with contours (got inner ones "
            f"alone, direction 0, at z = {tops[number]:g} mm); export it again"
        )
    if turned:
        text = f"{name}: {turned} contours run against their direction, which is taken"
        warnings.warn(text, PartWarning, stacklevel=3)
    # The first height is that of the plate if its layer is empty.
    below = 2 * tops[0] - tops[1]
    bottoms = np.concatenate([[below], tops[:-1]])
    text = describe_gaps(bottoms, tops, outer)
    if text is not None:
        warnings.warn(f"{name}: {text}", PartWarning, stacklevel=3)
    return SlicedPart(name, bottoms, tops, contours)
