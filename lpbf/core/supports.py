"""Supports under the overhangs of a part."""

from dataclasses import dataclass

from flare_mesh.choices import check_choice
from lpbf.core.checks import check_bool, check_field

REMOVALS = ("plate first", "supports first")
"""Orders of the release: cut from the plate, then take off the supports; or the reverse."""

_MAX_FRACTION = 0.5  # the walls are thin


@dataclass(frozen=True)
class Supports:
    """Block supports: square grids of thin vertical walls along x and y, as homogeneous voxels.

    A voxel of supports has the stiffness of :func:`lpbf.core.wall_grid.wall_grid_elasticity`. Its
    walls shrink by the inherent strain of their layer, like the part: a grid of equal walls that
    could shrink freely has the strain of its walls. They conduct and store heat
    (:func:`lpbf.core.wall_grid.wall_grid_conduction`). With plasticity a column of supports yields
    at ``volume_fraction`` of the part's yield stress.

    Args:
        generate: Whether columns are generated under overhangs and islands, down to the plate or
            to the part. Otherwise the only supports are the bodies given to
            :func:`lpbf.voxelize`.
        angle: Overhangs that rise less steeply than this angle from the horizontal are supported,
            degrees. See :func:`lpbf.core.support_cells.find_overhangs`.
        offset: Gap between generated columns and walls of the part beside them, mm: overhangs whose
            column would come closer are not supported. Columns under islands ignore it.
        volume_fraction: Share of the walls in the volume of the supports, at most 0.5.
        order: ``"plate first"`` cuts part and supports from the plate, and then takes off the
            supports; ``"supports first"`` is the reverse.

    Raises:
        ValueError: If a value is outside its range.
    """

    generate: bool = True
    angle: float = 45.0
    offset: float = 0.0
    volume_fraction: float = 0.2
    order: str = "plate first"

    def __post_init__(self) -> None:
        check_bool("Supports", "generate", self.generate)
        check_field(self, "angle", 1, 89, "degrees")
        check_field(self, "offset", 0, 1e3, "mm")
        check_field(self, "volume_fraction", 0, _MAX_FRACTION, above=True)
        check_choice("unknown order of the supports' removal", self.order, REMOVALS)
