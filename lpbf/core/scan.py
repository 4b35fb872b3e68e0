"""Scan strategies, as what they do to the inherent strain of a layer."""

from dataclasses import dataclass

from lpbf.core.checks import check_bool, check_choice, check_number

Strain = tuple[float, float, float]


@dataclass(frozen=True)
class Scan:
    """The directions of a strategy's scan vectors.

    A layer shrinks differently along its scan vectors and across them: with the inherent strain
    (along, across, build) of :class:`lpbf.Process`, a strategy is the angle of the vectors in each
    powder layer. Forwards and backwards are the same strain. The vectors' length is left out:
    short ones, in stripes and islands, shrink more evenly than this says.

    Args:
        rotation: Degrees about z from one powder layer to the next.
        angle: Degrees from x to the vectors of the first layer.
        mixed: Whether each layer has islands of this direction and of the one across, in equal
            parts: averaged over islands small against the part, both in-plane strains are their
            mean, and no rotation shows.

    Raises:
        ValueError: If an angle is not finite.
    """

    rotation: float = 0.0
    angle: float = 0.0
    mixed: bool = False

    def __post_init__(self) -> None:
        for name in ("rotation", "angle"):
            object.__setattr__(self, name, check_number("Scan", name, getattr(self, name)))
        check_bool("Scan", "mixed", self.mixed)

    def strain(self, strain: Strain) -> Strain:
        """The (exx, eyy, ezz) at angle 0 of a layer whose vectors have (along, across, build)."""
        along, across, build = strain
        if not self.mixed:
            return strain
        return ((along + across) / 2, (along + across) / 2, build)


SCANS = {
    "unidirectional": Scan(),
    "cross": Scan(rotation=90.0),
    "67": Scan(rotation=67.0),
    # Vectors run across the stripes, which lie along x in the first layer.
    "stripes": Scan(rotation=67.0, angle=90.0),
    "chessboard": Scan(mixed=True),
}


def get_scan(scan: str | float | Scan) -> Scan:
    """The strategy of a name of :data:`lpbf.SCANS`, or of a rotation in degrees a powder layer.

    Raises:
        ValueError: If the name is unknown; lists those that exist.
    """
    if isinstance(scan, Scan):
        return scan
    if not isinstance(scan, str):
        return Scan(rotation=scan)
    return SCANS[check_choice("scan", scan, SCANS, ", or give a rotation in degrees a layer")]
