"""Several parts on one plate."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lpbf.core.rigid_motion import RigidMotion


@dataclass(frozen=True, eq=False)
class Plate:
    """The parts of a mesh.

    Attributes:
        names: Their names, in order.
        motions: Motion of each part from the coordinates of its file, in mm, to those of the mesh.
        number: Number of the part of each voxel, from 1; 0 where there is none, [nx, ny, nz].
    """

    names: tuple[str, ...]
    motions: tuple[RigidMotion, ...]
    number: NDArray[np.int64]
