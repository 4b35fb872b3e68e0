"""Scan strategies and their effect on the inherent strain of a layer."""

from dataclasses import dataclass

from flare_mesh.choices import check_choice
from lpbf.core.checks import check_bool, check_field

Strain = tuple[float, float, float]


@dataclass(frozen=True)
class Scan:
    """A scan strategy: the direction of the scan vectors in each powder layer.

    A layer shrinks by the (along, across, build) components of :attr:`lpbf.Process.inherent_strain`
    along its scan vectors, across them, and in the build direction, whether a vector is scanned
    forwards or backwards. The length of the vectors is neglected: short vectors, in stripes and
    islands, shrink more evenly.

    Args:
        rotation: Rotation about z from one powder layer to the next, degrees.
        angle: Angle from x to the vectors of the first layer, degrees.
        mixed: Whether each layer is a chessboard of both directions in equal parts. Averaged over
            islands that are small against the part, both in-plane strains are their mean, and a
            rotation has no effect.

    Raises:
        ValueError: If an angle is not finite.
    """

    rotation: float = 0.0
    angle: float = 0.0
    mixed: bool = False

    def __post_init__(self) -> None:
        for name in ("rotation", "angle"):
            check_field(self, name)
        check_bool("Scan", "mixed", self.mixed)

    def strain(self, strain: Strain) -> Strain:
        """Inherent strain (exx, eyy, ezz) of a layer at angle 0, from (along, across, build)."""
        along, across, build = strain
        if not self.mixed:
            return strain
        return ((along + across) / 2, (along + across) / 2, build)


SCANS = {
    "unidirectional": Scan(),
    "cross": Scan(rotation=90.0),
    "67": Scan(rotation=67.0),
    # The vectors are perpendicular to the stripes, which lie along x in the first layer.
    "stripes": Scan(rotation=67.0, angle=90.0),
    "chessboard": Scan(mixed=True),
}


def get_scan(scan: str | float | Scan) -> Scan:
    """Return the strategy of a name of :data:`lpbf.SCANS` or a rotation in degrees per layer.

    Raises:
        ValueError: If the name is unknown or the rotation is not finite.
    """
    if isinstance(scan, Scan):
        return scan
    if not isinstance(scan, str):
        return Scan(rotation=scan)
    check_choice("expected a rotation in degrees per layer or a known scan, got", scan, SCANS)
    return SCANS[scan]
