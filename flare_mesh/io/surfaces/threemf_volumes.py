"""Volumes that slicers declare beside the model of a 3MF file: modifiers, negative volumes."""

from collections.abc import Mapping
from typing import NamedTuple

from flare_mesh.io.surfaces.threemf_package import Package

_FILES = (
    "/metadata/slic3r_pe_model.config",  # PrusaSlicer
    "/metadata/slic3r_model.config",
    "/metadata/model_settings.config",  # Bambu Studio, OrcaSlicer
)
_PRINTED = ("", "ModelPart", "normal_part")
_NEGATIVE = ("NegativeVolume", "negative_part")
_MODIFIERS = (
    *("ParameterModifier", "SupportBlocker", "SupportEnforcer"),
    *("modifier_part", "support_blocker", "support_enforcer"),
)


class Modifier(NamedTuple):
    """A volume that is not printed: triangles of an object, or a component of it.

    Attributes:
        first: First triangle of the object.
        last: Last triangle.
        component: Number of the component in place of the triangles.
        kind: The slicer's name of its kind.
    """

    first: int
    last: int
    component: str | None
    kind: str


def read_modifiers(package: Package) -> dict[str, list[Modifier]]:
    """Volumes of each object of the root model that are not printed.

    Raises:
        ValueError: If there is a negative volume, or one of an unknown kind.
    """
    found: dict[str, list[Modifier]] = {}
    current = ""
    ranges = (0, -1, None)

    def add(kind: str) -> None:
        if kind in _NEGATIVE:
            raise ValueError(
                f"object {current} has a negative volume ('{kind}'), which is not subtracted; "
                f"subtract it in the slicer or CAD program and export it again"
            )
        if kind in _MODIFIERS:
            found.setdefault(current, []).append(Modifier(*ranges, kind))
        elif kind not in _PRINTED:
            raise ValueError(f"object {current} has a volume of the unknown kind '{kind[:40]}'")

    def start(tag: str, attributes: Mapping[str, str]) -> None:
        nonlocal current, ranges
        key, value = attributes.get("key"), attributes.get("value", "")
        if tag == "object":
            current = attributes.get("id", "")
        elif tag == "volume":
            first, last = attributes.get("firstid", ""), attributes.get("lastid", "")
            if not (first.isdecimal() and last.isdecimal()):
                raise ValueError("expected 'firstid' and 'lastid' of a volume; export it again")
            ranges = int(first), int(last), None
        elif tag == "part":
            ranges = 0, -1, attributes.get("id", "")
            add(attributes.get("subtype", ""))
        elif tag == "metadata" and attributes.get("type") == "volume":
            if key == "volume_type":
                add(value)
            elif key == "modifier" and value == "1":  # of older versions
                add("ParameterModifier")

    for name in _FILES:
        if name in package:
            package.parse(name, start)
    return found
