"""Which converted cases are kept."""

from dataclasses import dataclass

import numpy as np

from lpbf.convert.converted_case import ConvertedCase


@dataclass(frozen=True)
class Filters:
    """Limits of what is kept; the defaults are those of the published set.

    Args:
        max_nodes: Nodes.
        max_edges: Edges, each in both directions.
        max_aspect_ratio: Longest over shortest edge of any hexahedron.
        max_displacement_z: Largest |z displacement|, mm.
        max_von_mises: Largest von Mises stress, MPa.
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
        """Why a case is left out; None if it is kept."""
        arrays = (case.points, case.displacement, case.von_mises, case.temperature)
        bad = sum(int((~np.isfinite(array)).sum()) for array in arrays)
        if bad:
            return f"{bad} values are NaN or infinite"
        found = case.statistics()
        for key, limit, what in (
            ("num_nodes", self.max_nodes, "nodes"),
            ("num_edges", self.max_edges, "edges"),
            ("max_aspect_ratio", self.max_aspect_ratio, "as the largest aspect ratio"),
            (
                "max_displacement_z_mm",
                self.max_displacement_z,
                "mm as the largest z displacement",
            ),
            ("max_von_mises_mpa", self.max_von_mises, "MPa as the largest von Mises stress"),
        ):
            if found[key] > limit * (1 + 1e-5):  # the files hold float32
                return f"{found[key]:.6g} {what}, over the limit of {limit:g}"
        return None


NO_LIMITS = Filters(*[np.inf] * 5)
"""Keeps all that is finite."""
