"""Check of the coordinates of a mesh."""

import numpy as np
from numpy.typing import NDArray


def check_finite(points: NDArray[np.floating], owner: str = "") -> None:
    """Refuse coordinates that are NaN or infinite.

    Args:
        points: Coordinates of the nodes, [N, d].
        owner: Name of the mesh, for the message.

    Raises:
        ValueError: If there are some.
    """
    bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(bad):
        raise ValueError(
            f"{owner}{': ' if owner else ''}expected finite coordinates (got NaN or infinite ones "
            f"at {len(bad):,} of {len(points):,} nodes, the first is node {bad[0]}); remove these "
            f"nodes and their cells"
        )
