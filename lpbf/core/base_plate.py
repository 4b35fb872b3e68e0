"""The plate on which a part is built."""

from dataclasses import dataclass

from lpbf.core.checks import check_field


@dataclass(frozen=True)
class BasePlate:
    """An elastic plate under the part, clamped at its bottom and meshed with the part's voxels.

    Its Poisson's ratio is the part's.

    Args:
        thickness: mm.
        margin: Overhang beyond the part's bounding box on each side, mm.
        youngs_modulus: MPa; None takes the part's.

    Raises:
        ValueError: If a value is outside its range.
    """

    thickness: float = 20.0
    margin: float = 10.0
    youngs_modulus: float | None = None

    def __post_init__(self) -> None:
        check_field(self, "thickness", 0, 1e3, "mm", above=True)
        check_field(self, "margin", 0, 1e3, "mm")
        check_field(self, "youngs_modulus", 0, 1e7, "MPa", above=True)
