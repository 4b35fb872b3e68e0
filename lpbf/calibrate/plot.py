"""Picture of a calibration."""

from pathlib import Path

import numpy as np

from flare_mesh.files import atomic_path
from lpbf.calibrate.calibration import Calibration


def write_plot(calibration: Calibration, path: str | Path) -> None:
    """Draw measured values beside computed ones, and the residuals over their uncertainties.

    Args:
        calibration: The calibration.
        path: Picture to write, of a type of Matplotlib (PNG, PDF, SVG).

    Raises:
        ValueError: If the type is unknown.
    """
    from matplotlib.figure import Figure

    path = Path(path)
    check_picture(path)
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    points = calibration.measurement.points
    measured, error = calibration.measurement.values, 1.96 * calibration.measurement.uncertainties
    # With a fitted rigid-body motion, the values that it makes of the computed ones.
    computed = measured - calibration.residual
    for component in dict.fromkeys(point.component_text for point in points):
        of = np.array([point.component_text == component for point in points])
        number = np.flatnonzero(of)
        bars = left.errorbar(
            computed[of], measured[of], error[of], fmt="o", ms=4, capsize=3, label=component
        )
        ratio = calibration.residual[of] / calibration.measurement.uncertainties[of]
        right.plot(number, ratio, "o", ms=4, color=bars[0].get_color())
    low, high = min(measured.min(), computed.min()), max(measured.max(), computed.max())
    left.plot([low, high], [low, high], color="#777777", lw=1, zorder=0)
    left.set(xlabel="computed, mm", ylabel="measured with 95 % interval, mm")
    left.legend(title="component", frameon=False)
    for at in (-1.96, 0.0, 1.96):
        right.axhline(at, color="#777777", lw=1, ls="-" if at == 0 else "--", zorder=0)
    right.set(xlabel="point", ylabel="residual / uncertainty")
    right.xaxis.get_major_locator().set_params(integer=True)
    figure.suptitle(f"{calibration.measurement.name}: {_numbers(calibration)}")
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)


def check_picture(path: Path) -> None:
    """Refuse a path that is not of a type of picture.

    Raises:
        ValueError: If the type is unknown.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    kinds = FigureCanvasAgg(Figure()).get_supported_filetypes()
    if path.suffix[1:].lower() not in kinds:
        raise ValueError(f"{path}: expected a picture of type {sorted(kinds)}")


def _numbers(calibration: Calibration) -> str:
    half = (calibration.interval[:, 1] - calibration.interval[:, 0]) / 2
    return ", ".join(
        f"{name} = {number:.4g} ± {width:.1g}"
        for name, number, width in zip(calibration.names, calibration.numbers, half, strict=True)
    )
