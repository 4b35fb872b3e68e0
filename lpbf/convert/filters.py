"""Filters of converted cases."""

from dataclasses import dataclass

import numpy as np

from lpbf.convert.converted_case import ConvertedCase


@dataclass(frozen=True)
class Filters:
    """Limits beyond which a case is rejected; the published set has the default ones.

    Args:
        max_nodes: Number of nodes.
        max_edges: Number of edges, each counted in both directions.
        max_aspect_ratio: Longest over shortest edge of a hexahedron.
        max_displacement_z: Largest |z displacement|, mm.
        max_von_mises: Largest von Mises stress, MPa.

    Raises:
        ValueError: If a limit is not positive.
    """

    max_nodes: float = 50_000
    max_edges: float = 250_000
    max_aspect_ratio: float = 3.0
    max_displacement_z: float = 1.0
    max_von_mises: float = 2000.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"expected {name} > 0 (got {value}); use inf for no limit")

    def reason(self, case: ConvertedCase) -> str | None:
        """Reason to reject a case; None if it passes."""
        arrays = (case.points, case.displacement, case.von_mises, case.temperature)
        bad = sum(int((~np.isfinite(array)).sum()) for array in arrays)
        if bad:
            return f"{bad} values are NaN or infinite"
        found = case.statistics()
        for key, limit, what in (
            ("num_nodes", self.max_nodes, "nodes"),
            ("num_edges", self.max_edges, "edges"),
            ("max_aspect_ratio", self.max_aspect_ratio, "as the largest aspect ratio"),
            ("max_displacement_z_mm", self.max_displacement_z, "mm as the largest z displacement"),
            ("max_von_mises_mpa", self.max_von_mises, "MPa as the largest von Mises stress"),
        ):
            if found[key] > limit * (1 + 1e-5):  # the files hold float32
                return f"{found[key]:.6g} {what}, over the limit of {limit:g}"
        return None


NO_LIMITS = Filters(*[np.inf] * 5)
"""Accepts all cases with finite values."""
