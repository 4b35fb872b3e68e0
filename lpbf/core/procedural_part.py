"""Random, reproducible CAD-like parts."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator

from flare_mesh.choices import check_choice
from lpbf.core.part_families import FAMILIES
from lpbf.core.part_shapes import pick, rotate_z

if TYPE_CHECKING:
    from trimesh import Trimesh


def procedural_part(
    seed: int | Sequence[int] | Generator,
    family: str | None = None,
    *,
    size: tuple[float, float] = (24.0, 50.0),
) -> "Trimesh":
    """Make a random part, the same for the same seed.

    The part is one watertight body with axis-aligned features, centred at x = y = 0 and resting on
    z = 0. Walls are 3.5 mm or thicker (in proportion thinner for parts below 24 mm), and no layer
    starts an island when the part is built upwards along z.

    Args:
        seed: Seed or generator for :func:`numpy.random.default_rng`.
        family: A key of :data:`~lpbf.core.part_families.FAMILIES`; None draws one uniformly.
        size: Bounds between which the largest extent is drawn uniformly, mm.

    Returns:
        The surface in mm, with the name of its family in ``metadata["family"]``.

    Raises:
        ValueError: If ``family`` is unknown, or ``size`` is not positive, finite and ordered.
    """
    from trimesh import Trimesh

    low, high = size
    if not 0.0 < low <= high < math.inf:
        raise ValueError(f"expected a size (low, high) with 0 < low <= high mm (got {size})")
    rng = np.random.default_rng(seed)
    if family is None:
        family = list(FAMILIES)[rng.integers(len(FAMILIES))]
    check_choice("unknown family", family, FAMILIES)
    length = float(rng.uniform(low, high))
    mesh = FAMILIES[family](rng, length)
    mesh = rotate_z(mesh, pick(rng, 0, 0, 0, 1, 2, 3))
    origin = np.array([*mesh.bounds.mean(axis=0)[:2], mesh.bounds[0, 2]])
    vertices = (mesh.vertices - origin) * (length / mesh.extents.max())
    return Trimesh(vertices, mesh.faces, process=False, metadata={"family": family})
