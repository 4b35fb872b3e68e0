"""Objects and build items of a model part of a 3MF file."""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.surfaces.threemf_package import Package, part_name

_CORE = "http://schemas.microsoft.com/3dmanufacturing/core/2015/02"
_VERTEX = f"{_CORE} vertex"
_TRIANGLE = f"{_CORE} triangle"
_PRODUCTION = "http://schemas.microsoft.com/3dmanufacturing/production/2015/06"
_SLICE = "http://schemas.microsoft.com/3dmanufacturing/slice/2015/07"
_READ = (
    _CORE,
    _PRODUCTION,
    "http://schemas.microsoft.com/3dmanufacturing/material/2015/02",  # colours only
    "http://schemas.microsoft.com/3dmanufacturing/trianglesets/2021/07",  # selections only
)
_OTHER_GEOMETRY = {
    "http://schemas.microsoft.com/3dmanufacturing/beamlattice/2017/02": "a beam lattice",
    "http://schemas.microsoft.com/3dmanufacturing/beamlattice/balls/2020/07": "a beam lattice",
    "http://schemas.3mf.io/3dmanufacturing/booleanoperations/2023/07": "a Boolean operation",
    "http://schemas.3mf.io/3dmanufacturing/displacement/2023/10": "a displaced surface",
    "http://schemas.microsoft.com/3dmanufacturing/displacement/2022/07": "a displaced surface",
    "http://schemas.3mf.io/3dmanufacturing/volumetric/2022/01": "a volumetric shape",
    "http://schemas.microsoft.com/3dmanufacturing/volumetric/2022/01": "a volumetric shape",
}
UNITS = {
    **{"micron": 1e-3, "millimeter": 1.0, "centimeter": 10.0, "meter": 1000.0},
    **{"inch": 25.4, "foot": 304.8},
}
"""Millimetres of each unit."""


class Reference(NamedTuple):
    """A placed object, as a build item or a component.

    Attributes:
        part: Model part of the object.
        id: Its number there.
        matrix: Rows of the affine map, [4, 3]: a point p becomes [p, 1] @ matrix.
        printable: Whether the item is switched on.
    """

    part: str
    id: str
    matrix: NDArray[np.float64]
    printable: bool = True


@dataclass
class ModelObject:
    """An object: its own triangles, or components."""

    id: str
    kind: str
    name: str
    coordinates: array = field(default_factory=lambda: array("d"))
    corners: array = field(default_factory=lambda: array("q"))
    components: list[Reference] = field(default_factory=list)
    unread: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        return f"object {self.id}" + (f" ('{self.name[:60]}')" if self.name else "")


class ModelPart:
    """A model part: unit, objects by number, and build items.

    Raises:
        ValueError: If it is damaged, or requires an extension that is not read.
    """

    def __init__(self, package: Package, part: str) -> None:
        self.unit = "millimeter"
        self.objects: dict[str, ModelObject] = {}
        self.items: list[Reference] = []
        self._part = part
        self._prefixes: dict[str, str] = {}
        self._object: ModelObject | None = None
        package.parse(part, self._start, self._declare)

    def _declare(self, prefix: str | None, namespace: str | None) -> None:
        self._prefixes.setdefault(prefix or "", namespace or "")

    def _start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag in (_TRIANGLE, _VERTEX):  # the most frequent ones
            if self._object is not None:
                self._add_numbers(tag, attributes)
            return
        namespace, _, name = tag.rpartition(" ")
        if namespace != _CORE:
            if self._object is not None and namespace in _OTHER_GEOMETRY:
                self._object.unread.add(_OTHER_GEOMETRY[namespace])
        elif name == "model":
            self._check_model(attributes)
        elif name == "object":
            self._add_object(attributes)
        elif name == "build":
            self._object = None
        elif name == "component" and self._object is not None:
            self._object.components.append(self._reference(attributes))
        elif name == "item":
            self.items.append(self._reference(attributes))

    def _add_numbers(self, tag: str, attributes: Mapping[str, str]) -> None:
        assert self._object is not None
        try:
            if tag == _VERTEX:
                x, y, z = attributes["x"], attributes["y"], attributes["z"]
                self._object.coordinates.extend((float(x), float(y), float(z)))
            else:
                v1, v2, v3 = attributes["v1"], attributes["v2"], attributes["v3"]
                self._object.corners.extend((int(v1), int(v2), int(v3)))
        except (KeyError, ValueError, OverflowError) as error:
            kind = (
                "numbers x, y and z of a vertex" if tag == _VERTEX else "v1, v2, v3 of a triangle"
            )
            got = ", ".join(f"{name}={value[:40]}" for name, value in attributes.items())
            raise ValueError(f"expected the {kind} (got {got[:200]}); export it again") from error

    def _check_model(self, attributes: Mapping[str, str]) -> None:
        self.unit = attributes.get("unit", "millimeter")
        if self.unit not in UNITS:
            raise ValueError(f"expected a unit of {', '.join(UNITS)} (got '{self.unit[:40]}')")
        for prefix in attributes.get("requiredextensions", "").split():
            namespace = self._prefixes.get(prefix, "undeclared")
            if namespace not in _READ:
                what = _OTHER_GEOMETRY.get(namespace)
                raise ValueError(
                    f"requires the extension '{prefix}' ({what or namespace}), which is not read; "
                    f"export it without"
                )

    def _add_object(self, attributes: Mapping[str, str]) -> None:
        number = attributes.get("id", "")
        if not number or number in self.objects:
            raise ValueError(f"expected a number of its own for each object (got '{number[:40]}')")
        kind, name = attributes.get("type", "model"), attributes.get("name", "")
        self._object = self.objects[number] = ModelObject(number, kind, name)
        if attributes.get(f"{_SLICE} meshresolution") == "lowres":
            self._object.unread.add("slices in place of its coarse triangles")

    def _reference(self, attributes: Mapping[str, str]) -> Reference:
        number = attributes.get("objectid", "")
        path = attributes.get(f"{_PRODUCTION} path")
        part = self._part if path is None else part_name("/", path)
        printable = attributes.get("printable", "1") not in ("0", "false")
        return Reference(part, number, _matrix(attributes.get("transform")), printable)


def _matrix(text: str | None) -> NDArray[np.float64]:
    if text is None:
        return np.eye(4, 3)
    try:
        matrix = np.array([float(word) for word in text.split()]).reshape(4, 3)
    except ValueError:
        matrix = np.zeros((4, 3))
    if not np.isfinite(matrix).all() or np.linalg.det(matrix[:3]) == 0:
        raise ValueError(
            f"expected a transform of 12 numbers that keeps a volume (got '{text[:80]}')"
        )
    return matrix
