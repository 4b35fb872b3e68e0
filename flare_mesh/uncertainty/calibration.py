"""What a surrogate knows of its own errors, from held-out cases."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from torch import Tensor

from flare_mesh.uncertainty.field_band import FieldBand
from flare_mesh.uncertainty.unlikeness import Unlikeness

THRESHOLD = 1.5
"""Score above which a case is said to be unlike the training cases."""

DIFFICULTY = "features"
"""Kind of the distance to the training cases with which the errors of cases grow."""

_LEAST_DIFFICULTY = 0.25


@dataclass(frozen=True)
class Calibration:
    """Bands of the predicted fields, and distances to the training cases.

    The difficulty of a case, with which the half-widths of its bands grow, is its unlikeness in the
    model's hidden features, at least 0.25: on all sets that were tried, the errors of cases grow
    with this distance.

    Attributes:
        coverage: Share of the nodes that the bands are to cover.
        num_cases: Number of held-out cases.
        bands: Band of each field.
        unlikeness: Distance to the training cases in ``"shape"``, ``"inputs"`` and ``"features"``.
        difficulty: Kind of the distance that is the difficulty; None for a difficulty of 1.
    """

    coverage: float
    num_cases: int
    bands: dict[str, FieldBand]
    unlikeness: dict[str, Unlikeness] = field(default_factory=dict)
    difficulty: str | None = None

    def half_widths(
        self, predicted: Mapping[str, Tensor], scores: Mapping[str, float]
    ) -> dict[str, Tensor]:
        """Half-width of the band of each field, [N, steps].

        Args:
            predicted: Predicted fields of a case.
            scores: Its :meth:`scores`.
        """
        kind = self.difficulty
        factor = 1.0 if kind is None else case_difficulty(scores[kind])
        return {
            name: self.bands[name].half_width(values, factor) for name, values in predicted.items()
        }

    def scores(self, descriptors: Mapping[str, Tensor]) -> dict[str, float]:
        """Unlikeness of a case to the training cases, by the kind of its descriptor.

        Raises:
            ValueError: If the descriptors do not fit.
        """
        missing = [kind for kind in self.unlikeness if kind not in descriptors]
        if missing:
            raise ValueError(
                f"expected descriptors {[*self.unlikeness]} (got {[*descriptors]}); calibrate the "
                f"surrogate again"
            )
        return {kind: one.score(descriptors[kind]) for kind, one in self.unlikeness.items()}

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name."""
        return {
            f"{kind}.{name}": values
            for kind, one in self.unlikeness.items()
            for name, values in one.tensors().items()
        }

    def header(self) -> dict[str, Any]:
        """Everything except the tensors, in types of JSON."""
        return {
            "coverage": self.coverage,
            "num_cases": self.num_cases,
            "bands": {name: band.to_dict() for name, band in self.bands.items()},
            "unlikeness": {kind: one.to_dict() for kind, one in self.unlikeness.items()},
            "difficulty": self.difficulty,
        }

    @classmethod
    def from_header(cls, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        """Restore a calibration from its :meth:`header` and :meth:`tensors`.

        Raises:
            KeyError, TypeError, ValueError: If they are damaged.
        """
        unlikeness = {}
        for kind, numbers in header["unlikeness"].items():
            own = {
                name.removeprefix(f"{kind}."): values
                for name, values in tensors.items()
                if name.startswith(f"{kind}.")
            }
            unlikeness[kind] = Unlikeness.from_dict(numbers, own)
        coverage, count = float(header["coverage"]), int(header["num_cases"])
        difficulty = header.get("difficulty")  # files of older versions have none
        known = difficulty is None or difficulty in unlikeness
        if not (0 < coverage < 1 and count > 0 and unlikeness and known):
            raise ValueError(
                f"its calibration is damaged (coverage {coverage}, {count} cases, distances "
                f"{[*unlikeness]}, difficulty {difficulty!r})"
            )
        return cls(
            coverage,
            count,
            {name: FieldBand.from_dict(values) for name, values in header["bands"].items()},
            unlikeness,
            difficulty,
        )


def case_difficulty(score: float) -> float:
    """Factor of a case in the half-widths of its bands, from its unlikeness in some kind."""
    return max(score, _LEAST_DIFFICULTY)
