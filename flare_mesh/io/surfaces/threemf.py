"""Reader of 3MF files (core specification 1.3 and production extension 1.1)."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.surfaces.surface import Body, Surface, check_indices
from flare_mesh.io.surfaces.threemf_model import UNITS, ModelObject, ModelPart, Reference
from flare_mesh.io.surfaces.threemf_package import Package
from flare_mesh.io.surfaces.threemf_volumes import Modifier, read_modifiers

_MAX_DEPTH = 100
_MAX_INSTANCES = 1_000_000
# Triangles that components may add to those in the file.
_MAX_TRIANGLES = 10_000_000
_SOLID = ("model", "solidsupport")


def read_3mf(path: Path) -> Surface:
    """Read the objects that the build items of a 3MF file place, in mm.

    An object is known by its number and its model part. Items that are switched off, objects that
    are no solids, and modifiers of slicers are left out with a note. Mirrored triangles keep their
    outside.

    Raises:
        ValueError: If the file is damaged, or has geometry that is not read.
    """
    with Package(path) as package:
        build = _Build(package)
        pieces = list(build.pieces())
    if not pieces:
        text = f" ({'; '.join(build.notes)})" if build.notes else ""
        raise ValueError(f"its build has no triangles{text}; export it again")
    all_points, all_triangles, bodies = zip(*pieces, strict=True)
    offsets = np.cumsum([0, *(len(points) for points in all_points)])[:-1]
    return Surface(
        np.concatenate(all_points),
        np.concatenate([n + first for n, first in zip(all_triangles, offsets, strict=True)]),
        tuple(build.notes),
        build.scale,
        bodies,
    )


Piece = tuple[NDArray[np.float64], NDArray[np.int64], Body]
"""Points, triangles, and what they are in the file."""


class _Build:
    """Placed objects of the root model."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self._parts: dict[str, ModelPart] = {}
        self._root = package.root_model()
        self.scale = UNITS[self._part(self._root).unit]
        self._modifiers = read_modifiers(package)
        self._checked: dict[tuple[str, str], tuple[int, int]] = {}
        self.notes: dict[str, None] = {}  # in order, each once

    def pieces(self) -> Iterator[Piece]:
        """Points and triangles of each placed object with triangles."""
        items = []
        for item in self._part(self._root).items:
            if item.printable:
                items.append(item)
            else:
                self._note(f"leaves out {self._object(item)}, which is not to be printed")
        sizes = [self._size(item, 0) for item in items]
        stored = sum(
            len(obj.corners) // 3 for p in self._parts.values() for obj in p.objects.values()
        )
        if sum(n for n, _ in sizes) > _MAX_INSTANCES or (
            sum(n for _, n in sizes) > stored + _MAX_TRIANGLES
        ):
            raise ValueError(
                f"its components repeat {stored:,} triangles to {sum(n for _, n in sizes):,}; "
                f"export the parts one by one"
            )
        for number, item in enumerate(items):
            whole = Body(self._object(item).name, number, 0)
            yield from self._place(item, np.eye(4, 3) * self.scale, whole)

    def _note(self, text: str) -> None:
        self.notes[text] = None

    def _part(self, name: str) -> ModelPart:
        if name not in self._parts:
            part = self._parts[name] = ModelPart(self._package, name)
            unit = self._parts[self._root].unit
            if part.unit != unit:
                raise ValueError(f"'{name}' is in {part.unit}, but '{self._root}' in {unit}")
        return self._parts[name]

    def _object(self, reference: Reference) -> ModelObject:
        found = self._part(reference.part).objects.get(reference.id)
        if found is None:
            raise ValueError(
                f"refers to the object '{reference.id[:40]}', which '{reference.part}' has not; "
                f"export it again"
            )
        return found

    def _size(self, reference: Reference, depth: int) -> tuple[int, int]:
        """Number of objects and triangles below a reference, after a check of its objects."""
        key = reference.part, reference.id
        if key in self._checked:
            return self._checked[key]
        obj = self._object(reference)
        if depth > _MAX_DEPTH:
            raise ValueError(f"{obj} is a component of itself, or nested too deeply")
        if obj.unread:
            raise ValueError(
                f"{obj} has {' and '.join(sorted(obj.unread))}, which is not read; export it as "
                f"triangles"
            )
        corners = np.frombuffer(obj.corners, np.int64)
        try:
            check_indices(
                corners, np.full(len(corners) // 3, 3), num_points=len(obj.coordinates) // 3
            )
        except ValueError as error:
            raise ValueError(f"{obj}: {error}") from error
        below = [self._size(component, depth + 1) for component in obj.components]
        size = 1 + sum(n for n, _ in below), len(corners) // 3 + sum(n for _, n in below)
        self._checked[key] = size
        return size

    def _place(
        self, reference: Reference, outer: NDArray[np.float64], whole: Body
    ) -> Iterator[Piece]:
        obj = self._object(reference)
        if obj.kind not in _SOLID:
            self._note(f"leaves out {obj}, which is of the type '{obj.kind[:40]}'")
            return
        matrix = _affine(reference.matrix) @ outer
        root = reference.part == self._root
        modifiers = self._modifiers.get(obj.id, []) if root else []
        points = np.frombuffer(obj.coordinates).reshape(-1, 3)
        triangles = np.frombuffer(obj.corners, np.int64).reshape(-1, 3)
        triangles = triangles[self._printed(obj, modifiers, len(triangles))]
        if len(triangles):
            if np.linalg.det(matrix[:3]) < 0:
                triangles = triangles[:, ::-1]
            if not (matrix == np.eye(4, 3)).all():
                points = points @ matrix[:3] + matrix[3]
            yield points, triangles, Body(obj.name or whole.name, whole.item, len(triangles))
        for component in obj.components:
            kinds = [m.kind for m in modifiers if m.component == component.id]
            if kinds:
                self._note(f"leaves out a volume of {obj} of the kind '{kinds[0]}'")
            else:
                yield from self._place(component, matrix, whole)

    def _printed(
        self, obj: ModelObject, modifiers: list[Modifier], num_triangles: int
    ) -> NDArray[np.bool_]:
        """Which triangles of an object belong to no modifier."""
        printed = np.ones(num_triangles, dtype=bool)
        for modifier in modifiers:
            if modifier.component is None:
                if modifier.last >= num_triangles:
                    raise ValueError(f"{obj} has a volume of triangles that it has not")
                printed[modifier.first : modifier.last + 1] = False
                self._note(f"leaves out a volume of {obj} of the kind '{modifier.kind}'")
        return printed


def _affine(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """A map [4, 3] as [4, 4], so that it can be followed by another one."""
    return np.hstack([matrix, [[0.0], [0.0], [0.0], [1.0]]])
