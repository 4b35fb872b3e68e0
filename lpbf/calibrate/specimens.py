"""Specimens to print, cut and measure: shape, release and points to measure."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from flare_mesh.choices import check_choice
from lpbf.core.checks import check_field
from lpbf.core.from_dict import from_dict

if TYPE_CHECKING:
    import trimesh

Position = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Specimen(ABC):
    """A specimen in mm, centred at x = y = 0 unless it says otherwise, and resting on z = 0.

    Raises:
        ValueError: If a length is not positive, or the lengths do not fit each other.
    """

    pitch: ClassVar[float] = 1.0
    """Edge length of voxels that fill the specimen exactly, mm."""

    def __post_init__(self) -> None:
        for field in fields(self):
            check_field(self, field.name, 0, 1e3, "mm", above=True)

    @property
    def kind(self) -> str:
        """The specimen's name in :data:`SPECIMENS`."""
        return next(name for name, kind in SPECIMENS.items() if kind is type(self))

    def to_dict(self) -> dict[str, Any]:
        """Kind and dimensions, as :func:`read_specimen` takes them."""
        return {"kind": self.kind, **asdict(self)}

    @abstractmethod
    def surface(self) -> "trimesh.Trimesh":
        """The surface."""

    @property
    @abstractmethod
    def release(self) -> bool | list[dict[str, Any]]:
        """Release of the specimen before it is measured, as a process file holds it."""

    @abstractmethod
    def points(self) -> list[tuple[Position, str]]:
        """Positions and components that are worth measuring."""


@dataclass(frozen=True, kw_only=True)
class Cantilever(Specimen):
    """A beam on thin teeth beside a block; when the teeth are cut, the beam bends up.

    From the block at -x, gaps and teeth alternate under the beam; a tooth carries its end.

    Args:
        length: Along x, with the block, mm.
        width: Along y, mm.
        height: Along z, mm.
        thickness: Of the beam, mm.
        block: Length of the block that stays on the plate, mm.
        tooth: Length of a tooth, mm.
        gap: Length of a gap, mm.
    """

    length: float = 60.0
    width: float = 10.0
    height: float = 9.0
    thickness: float = 3.0
    block: float = 10.0
    tooth: float = 1.0
    gap: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        count = self._arm() / (self.tooth + self.gap)
        if not self.thickness < self.height or count < 0.5 or abs(count - round(count)) > 1e-6:
            raise ValueError(
                f"{type(self).__name__}: expected thickness < height, and arms of whole pairs of "
                f"tooth and gap (got thickness {self.thickness:g}, height {self.height:g}, and "
                f"{count:.4g} pairs in an arm of {self._arm():g} mm); change length, block, tooth "
                f"or gap"
            )

    def _arm(self) -> float:
        return self.length - self.block

    def _arms(self) -> list[tuple[float, float]]:
        """Position of the block's face and direction, for each arm."""
        return [(self.block - self.length / 2, 1.0)]

    def surface(self) -> "trimesh.Trimesh":
        from lpbf.core.part_shapes import box, combine

        x, y = self.length / 2, self.width / 2
        step = self.tooth + self.gap
        top = self.height - self.thickness
        gaps = []
        for face, side in self._arms():
            for number in range(round(self._arm() / step)):
                ends = sorted(face + side * (number * step + d) for d in (0.0, self.gap))
                gaps.append(box((ends[0], ends[1]), (-y - 1, y + 1), (-1.0, top)))
        return combine([box((-x, x), (-y, y), (0.0, self.height))], gaps)

    @property
    def release(self) -> bool | list[dict[str, Any]]:
        """The teeth are cut from the plate, the block stays on it."""
        y, end = self.width / 2, self.length / 2
        spans = [sorted((face, side * end)) for face, side in self._arms()]
        return [{"box": [[low, -y, 0.0], [high, y, 0.0]]} for low, high in spans]

    def points(self) -> list[tuple[Position, str]]:
        """Deflection of the upper face along the middle of each arm."""
        return [
            ((round(face + side * fraction * self._arm(), 6), 0.0, self.height), "z")
            for face, side in self._arms()
            for fraction in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
        ]


@dataclass(frozen=True, kw_only=True)
class TwinCantilever(Cantilever):
    """Two beams on teeth, one on each side of a block in the middle; as :class:`Cantilever`."""

    length: float = 110.0

    def _arm(self) -> float:
        return (self.length - self.block) / 2

    def _arms(self) -> list[tuple[float, float]]:
        return [(-self.block / 2, -1.0), (self.block / 2, 1.0)]


@dataclass(frozen=True, kw_only=True)
class Bridge(Specimen):
    """Two pillars under a deck, with an opening that closes by a roof of 45 degrees.

    When it is cut from the plate, the pillars incline. The opening is straight up to the eaves.

    Args:
        length: Along x, mm.
        width: Along y, mm.
        height: Along z, mm.
        pillar: Length of each pillar along x, mm.
        eaves: Height at which the roof begins, mm.
    """

    length: float = 24.0
    width: float = 8.0
    height: float = 10.0
    pillar: float = 6.0
    eaves: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self._half() <= 0 or self._half() + self.eaves >= self.height:
            raise ValueError(
                f"Bridge: expected an opening length - 2 pillar > 0 whose roof ends below the "
                f"height (got an opening of {2 * self._half():g} mm, whose roof ends at "
                f"{self._half() + self.eaves:g} of {self.height:g} mm)"
            )

    def _half(self) -> float:
        return self.length / 2 - self.pillar

    def surface(self) -> "trimesh.Trimesh":
        from lpbf.core.part_shapes import box, combine, cycle_axes, prism

        x, y, half = self.length / 2, self.width / 2, self._half()
        roof = self.eaves + half
        # (z, x), counter-clockwise about y.
        section = np.array([[-1, -half], [self.eaves, -half], [roof, 0], [self.eaves, half]])
        section = np.vstack([section, [-1, half]])
        opening = cycle_axes(prism(section, (-y - 1, y + 1)), 2)
        return combine([box((-x, x), (-y, y), (0.0, self.height))], [opening])

    @property
    def release(self) -> bool | list[dict[str, Any]]:
        """The bridge is cut off at the plate."""
        return True

    def points(self) -> list[tuple[Position, str]]:
        """Heights of the bottom at both ends of the pillars, and along the upper face."""
        x, inner = self.length / 2, self._half()
        bottom = [((at, 0.0, 0.0), "z") for at in (-x, -inner, inner, x)]
        return bottom + [((at, 0.0, self.height), "z") for at in (-x, -x / 2, 0.0, x / 2, x)]


@dataclass(frozen=True, kw_only=True)
class AmbenchBridge(Specimen):
    """The bridge of the benchmark AMB2018-01 of NIST, from x = y = 0.

    See :func:`lpbf.core.specimens.ambench_bridge`.
    """

    pitch: ClassVar[float] = 0.5

    def surface(self) -> "trimesh.Trimesh":
        from lpbf.core.specimens import ambench_bridge

        return ambench_bridge()

    @property
    def release(self) -> bool | list[dict[str, Any]]:
        """The legs are cut from the plate, the end block stays on it.

        The box has the coordinates of the voxels, which are centred.
        """
        return [{"box": [[-37.5, -2.5, 0.0], [18.5, 2.5, 0.0]]}]

    def points(self) -> list[tuple[Position, str]]:
        """Deflection of the tops of the eleven ridges."""
        return [((7.0 * n + 0.5, 2.5, 12.5), "z") for n in range(11)]


SPECIMENS: dict[str, type[Specimen]] = {
    "cantilever": Cantilever,
    "twin_cantilever": TwinCantilever,
    "bridge": Bridge,
    "ambench_bridge": AmbenchBridge,
}
"""Built-in specimens by name."""


def read_specimen(values: Any) -> Specimen:
    """Make a specimen from its kind and dimensions; missing dimensions take their defaults.

    Raises:
        ValueError: If the kind or a dimension is unknown, or the dimensions do not fit.
    """
    if not isinstance(values, Mapping) or "kind" not in values:
        raise ValueError(
            f"specimen: expected a kind, one of {list(SPECIMENS)} (got {values!r:.80})"
        )
    check_choice("unknown specimen", values["kind"], SPECIMENS)
    others = {name: value for name, value in values.items() if name != "kind"}
    return from_dict(SPECIMENS[values["kind"]], others)
