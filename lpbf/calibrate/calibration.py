"""Result of a calibration."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lpbf.calibrate.measurement import Measurement
from lpbf.core.process import Process

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Calibration:
    """An identified inherent strain, with its uncertainty and the residuals.

    Attributes:
        measurement: What was measured.
        process: The process with the identified strain and its source. The cuts of the measured
            part do not belong to other parts: in place of them, ``release`` is True.
        names: Names of the identified numbers, p.
        numbers: The numbers, [p].
        standard_error: [p].
        interval: 95 % confidence intervals, [p, 2].
        distribution: Of the intervals, in words.
        correlation: Of the numbers, [p, p].
        condition: Largest over smallest singular value of the scaled derivatives of the values.
        computed: Computed values at the measured points, [n], mm.
        residual: Measured minus computed values, [n], mm; after the rigid-body motion if that was
            fitted.
        chi_square: Sum of the squared residuals over their variances.
        degrees_of_freedom: Values minus identified numbers.
        simulations: Number of simulations.
        warnings: What to know before the strain is used.
    """

    measurement: Measurement
    process: Process
    names: tuple[str, ...]
    numbers: Array
    standard_error: Array
    interval: Array
    distribution: str
    correlation: Array
    condition: float
    computed: Array
    residual: Array
    chi_square: float
    degrees_of_freedom: int
    simulations: int
    warnings: tuple[str, ...] = ()

    @property
    def p_value(self) -> float | None:
        """Probability of a larger chi-square if model and uncertainties were right.

        None without degrees of freedom.
        """
        from scipy.special import chdtrc

        if self.degrees_of_freedom == 0:
            return None
        return float(chdtrc(self.degrees_of_freedom, self.chi_square))

    def numbers_table(self) -> str:
        """Table of the identified numbers as text."""
        rows = [("", "estimate", "standard error", "95 % interval")]
        for name, value, error, (low, high) in zip(
            self.names, self.numbers, self.standard_error, self.interval, strict=True
        ):
            rows.append((name, f"{value:.6g}", f"{error:.2g}", f"{low:.6g} to {high:.6g}"))
        return _table(rows)

    def points_table(self) -> str:
        """Table of the measured points as text; the ratio is the residual over its uncertainty."""
        rows = [("point", "position, mm", "component", "measured", "computed", "residual", "ratio")]
        for number, point in enumerate(self.measurement.points):
            residual = self.residual[number]
            rows.append(
                (
                    f"{number}",
                    " ".join(f"{x:.4g}" for x in point.position),
                    point.component_text,
                    f"{point.value:.4f}",
                    f"{self.computed[number]:.4f}",
                    f"{residual:.4f}",
                    f"{residual / self.measurement.uncertainties[number]:.2f}",
                )
            )
        return _table(rows)

    def __str__(self) -> str:
        dof, p = self.degrees_of_freedom, self.p_value
        fit = f"chi-square {self.chi_square:.4g} for {dof} degrees of freedom"
        if p is not None:
            fit += f" (a larger one by chance: {100 * p:.2g} %)"
        lines = [self.numbers_table(), f"intervals: {self.distribution}"]
        if len(self.names) > 1:
            pairs = [
                f"{self.names[i]}, {self.names[j]}: {self.correlation[i, j]:.3f}"
                for i in range(len(self.names))
                for j in range(i)
            ]
            lines.append(f"correlation {'; '.join(pairs)}; condition number {self.condition:.3g}")
        return "\n".join([*lines, "", self.points_table(), fit])


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.rjust, row, widths)).rstrip() for row in rows)
