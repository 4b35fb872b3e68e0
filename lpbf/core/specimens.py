"""Specimens whose distortion is measured."""

from typing import TYPE_CHECKING

import numpy as np

from lpbf.core.part_shapes import box, combine, cycle_axes, prism

if TYPE_CHECKING:
    from trimesh import Trimesh

# Left and right edges of the gaps between the legs of the bridge in a group of 14 mm.
_GAPS = ((5.0, 7.0), (7.5, 9.5), (12.0, 14.0))


def ambench_bridge() -> "Trimesh":
    """The bridge of the benchmark AMB2018-01 of NIST: 75 x 5 x 12.5 mm, 3732.5 mm^3.

    Twelve legs of 5, 0.5 and 2.5 mm in four groups, an end block from x = 56 mm with a point of 90
    degrees, and eleven ridges of 1 mm at x = 0, 7, ..., 70 mm, on whose tops the deflection is
    measured after the legs have been cut from the plate (Phan et al. 2019,
    doi 10.1007/s40192-019-00149-0). The gaps close from z = 5 to 7 mm by a slope of 45 degrees on
    one side, which is inferred from the volume.

    Returns:
        The surface in mm, from x = y = z = 0, which keeps the experiment's coordinates.
    """
    tools = []
    for group in range(4):
        for left, right in 14.0 * group + np.array(_GAPS):
            section = np.array([[-1.0, left], [7.0, left], [5.0, right], [-1.0, right]])  # z, x
            tools.append(cycle_axes(prism(section, (-1.0, 6.0)), 2))
    for tip, side in ((0.0, -1.0), (5.0, 6.0)):
        corner = np.array([[72.5, tip], [76.0, side], [76.0, 2.5], [75.0, 2.5]])
        tools.append(prism(corner if tip == 0.0 else corner[::-1], (-1.0, 13.0)))
    ridges = [box((7.0 * n, 7.0 * n + 1), (0.0, 5.0), (11.0, 12.5)) for n in range(11)]
    return combine([box((0.0, 75.0), (0.0, 5.0), (0.0, 12.0)), *ridges], tools)
