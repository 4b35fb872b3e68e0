"""Cuts that release a part from its plate."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.choices import check_choice
from lpbf.core.checks import check_number
from lpbf.core.mesh import HexMesh

# Share of the voxel's edges by which a point may lie outside a region, for rounding.
_ROUNDING = 1e-6


class Cut(ABC):
    """One step of the release, for instance a cut by wire EDM.

    A subclass is a frozen data class with one field, whose name is the key of the cut in files.
    """

    @abstractmethod
    def removed(self, mesh: HexMesh) -> NDArray[np.bool_]:
        """Voxels that the cut removes from the part, [E]."""

    @abstractmethod
    def separated(self, mesh: HexMesh) -> NDArray[np.bool_]:
        """Voxels whose bottom the cut separates from the plate if they rest on it, [E]."""

    def __str__(self) -> str:
        """The cut as files hold it."""
        return ", ".join(f"{key}: {json.dumps(value)}" for key, value in vars(self).items())


class RegionCut(Cut):
    """Cut of the region in which the part's material ends or is lost.

    A voxel is removed if its centre lies in the region, and separated from the plate if the centre
    of its bottom does.
    """

    @abstractmethod
    def contains(
        self, points: NDArray[np.float64], tolerance: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Which points [n, 3] lie in the region or within the tolerance [3] of it, in mm."""

    def removed(self, mesh: HexMesh) -> NDArray[np.bool_]:
        return self._contains(mesh, 0.5)

    def separated(self, mesh: HexMesh) -> NDArray[np.bool_]:
        return self._contains(mesh, 0.0)

    def _contains(self, mesh: HexMesh, height: float) -> NDArray[np.bool_]:
        """Whether the region contains the middle of each voxel at this share of its height."""
        spacing = np.array(mesh.spacing)
        middle = mesh.cell_index.astype(np.float64) + np.array([0.5, 0.5, height])
        return self.contains(np.array(mesh.origin) + middle * spacing, _ROUNDING * spacing)


@dataclass(frozen=True)
class PlaneCut(RegionCut):
    """Horizontal cut: what lies below the plane is lost, and the rest of the part is free.

    Args:
        below: Height of the plane, mm; 0 cuts the part off at the plate.

    Raises:
        ValueError: If it is not a finite number.
    """

    below: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "below", check_number("release", "below", self.below, unit="mm"))

    def contains(
        self, points: NDArray[np.float64], tolerance: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        return points[:, 2] <= self.below + tolerance[2]


@dataclass(frozen=True)
class BoxCut(RegionCut):
    """Cut of a box: its material is lost, and where it reaches the plate the part is free.

    Args:
        box: Lower and upper corner, (x, y, z) in mm. A box that ends at z = 0 cuts at the plate
            without a loss of material.

    Raises:
        ValueError: If it is not two corners with finite coordinates in rising order.
    """

    box: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "box", _check_box(self.box))

    def contains(
        self, points: NDArray[np.float64], tolerance: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        low, high = np.array(self.box)
        return ((points >= low - tolerance) & (points <= high + tolerance)).all(axis=1)


CUTS: dict[str, type[Cut]] = {"below": PlaneCut, "box": BoxCut}
"""Cuts by their key in files."""


def check_release(value: Any) -> bool | tuple[Cut, ...]:
    """Return True, False or the cuts of a release, given as cuts or as files hold them.

    Raises:
        ValueError: If it is something else, or a value of a cut does not fit.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value):
        return tuple(_read_cut(cut) for cut in value)
    raise ValueError(
        f"Process: expected release as True, False or a list of cuts such as {{below: 0.0}} or "
        f"{{box: [[x0, y0, z0], [x1, y1, z1]]}} (got {value!r})"
    )


def _read_cut(value: Any) -> Cut:
    if isinstance(value, Cut):
        return value
    if not isinstance(value, Mapping) or len(value) != 1:
        raise ValueError(
            f"release: expected a cut with one of the keys {', '.join(CUTS)} (got {value!r})"
        )
    (key, argument), *_ = value.items()
    check_choice("release: unknown cut", key, list(CUTS))
    return CUTS[key](argument)  # pyright: ignore[reportCallIssue]


def _check_box(given: Any) -> tuple[tuple[float, ...], ...]:
    with suppress(TypeError, ValueError):  # the message below says more
        corners = tuple(tuple(check_number("", "", x) for x in corner) for corner in given)
        pairs = list(zip(*corners, strict=True))
        if len(corners) == 2 and len(pairs) == 3 and all(low <= high for low, high in pairs):
            return corners
    raise ValueError(
        f"release: expected a box as its lower and its upper corner, [[x0, y0, z0], [x1, y1, z1]] "
        f"in mm (got {given!r})"
    )
