"""Rotations along the axes and scale factors, which give further cases of a part."""

from dataclasses import dataclass
from itertools import permutations, product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import trimesh


def _rotations() -> list[NDArray[np.int64]]:
    """The 24 rotations that map axes to axes, the identity first."""
    signed = [
        np.diag(signs) @ np.eye(3, dtype=np.int64)[list(order)]
        for order in permutations(range(3))
        for signs in product((1, -1), repeat=3)
    ]
    return [matrix for matrix in signed if round(np.linalg.det(matrix)) == 1]


ORIENTATIONS: tuple[NDArray[np.int64], ...] = tuple(_rotations())
"""Rotation matrices [3, 3]; the first is the identity."""


@dataclass(frozen=True)
class Placement:
    """Orientation and scale of a part.

    Attributes:
        orientation: Index in :data:`ORIENTATIONS`.
        scale: Factor on all lengths.
    """

    orientation: int = 0
    scale: float = 1.0

    def apply(self, part: "trimesh.Trimesh") -> "trimesh.Trimesh":
        """Rotate and scale a copy of the part."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.scale * ORIENTATIONS[self.orientation]
        return part.copy().apply_transform(matrix)


def draw_placement(
    key: tuple[int, ...], variant: int, scale: tuple[float, float] = (1.0, 1.0)
) -> Placement:
    """Draw the orientation and scale of a case of a part, the same at every call.

    Variant 0 has the given orientation. The first six variants rest on six different sides, and all
    24 orientations are different.

    Args:
        key: Seed and number of the part, none negative.
        variant: Number of the case, from 0 to 23.
        scale: Range of the uniformly distributed factor.
    """
    rng = np.random.default_rng((*key, 0))
    # The last row of a rotation is the direction of the part that points up.
    sides: dict[tuple[int, ...], list[int]] = {}
    for index, matrix in enumerate(ORIENTATIONS):
        sides.setdefault(tuple(matrix[2].tolist()), []).append(index)
    first, *rest = sides.values()
    orders = [[0, *rng.permutation(first[1:]).tolist()]]
    orders += [rng.permutation(rest[i]).tolist() for i in rng.permutation(len(rest))]
    rotation, side = divmod(variant, len(orders))
    low, high = scale
    factor = float(np.random.default_rng((*key, 1, variant)).uniform(low, high))
    return Placement(orders[side][rotation], low if low == high else factor)
