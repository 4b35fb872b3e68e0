"""Bands of a run: their calibration on the validation cases, and their coverage in the test."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flare_mesh.surrogate.calibrate import DescribedPrediction
from flare_mesh.surrogate.coverage_report import coverage_report
from flare_mesh.surrogate.load import load_surrogate
from flare_mesh.surrogate.surrogate import Surrogate
from flare_mesh.surrogate.surrogate_file import FILE, checksum
from flare_mesh.uncertainty.conformal_quantile import MIN_CASES

_WIDE = 0.05  # below the nominal coverage
_HOLD_OUT = "hold out a share of the training cases by data.val_split=0.2"


def calibrate_run(surrogate: Surrogate, data: Any, coverage: float | None) -> str:
    """Calibrate a surrogate on the validation cases of a run.

    Args:
        surrogate: The surrogate with the weights that are saved.
        data: The :class:`~flare_mesh.training.FieldDataModule`.
        coverage: Share of the nodes that the bands are to cover; None for no bands.

    Returns:
        Why there are no bands; empty if there are.
    """
    if coverage is None:
        return "coverage is null"
    if not data.has("val"):
        return f"there are no validation cases; {_HOLD_OUT}"
    for other, what in (("test", "test"), ("train", "training")):
        if data.splits["val"] == data.splits[other]:
            return f"the validation cases are the {what} cases; {_HOLD_OUT}"
    cases, training = data.cases("val"), data.cases("train")
    if min(len(cases), len(training)) < MIN_CASES:
        return (
            f"expected at least {MIN_CASES} training and validation cases (got {len(training)} and "
            f"{len(cases)}); {_HOLD_OUT}, or more"
        )
    try:
        surrogate.calibrate(cases, training, coverage=coverage)
    except ValueError as error:  # must not cost the trained run its summary
        return str(error)
    return ""


def saved_bands(folder: Path, checkpoint: str) -> Surrogate | None:
    """The calibrated surrogate of a run, if its weights are those of a checkpoint."""
    if not (folder / FILE).is_file():
        return None
    saved = load_surrogate(folder)
    if saved.calibration is None:
        return None
    tested = load_surrogate(checkpoint)
    return saved if checksum(saved.state_dict()) == checksum(tested.state_dict()) else None


def report_bands(
    surrogate: Surrogate, data: Any, known: Sequence[DescribedPrediction] = ()
) -> dict[str, Any]:
    """Coverage of the bands on the test cases, printed, and returned for ``summary.json``.

    Args:
        surrogate: The calibrated surrogate.
        data: The :class:`~flare_mesh.training.FieldDataModule`.
        known: Its predictions of all test cases, if the test has kept them.
    """
    found = coverage_report(surrogate, data.cases("test"), known)
    print_bands(found)
    return found


def print_bands(found: Mapping[str, Any]) -> None:
    """Print what :func:`~flare_mesh.surrogate.coverage_report.coverage_report` returns."""
    wanted, count = found["coverage"], found["calibration_cases"]
    print(f"{wanted:.0%} bands, from {count} validation cases, on {found['cases']} test cases:")
    for name, covered in found["covered"].items():
        width, error = found["width"][name], found["covered_error"][name]
        relative = "" if width is None else f", half-width {width:.4f} of its root mean square"
        standard = "" if error is None else f" (standard error {error:.1%})"
        print(f"  {name:<16} {covered:.1%} of the nodes covered{standard}{relative}")
        if found["likely"][name] is not None:
            low, high = found["likely"][name]
            expected = f"{low:.0%} to {high:.0%} to be expected from {count} validation cases"
            print(f"  {'':<16} {wanted:.0%} wanted, {expected}")
    if any(likely and likely[0] < wanted - _WIDE for likely in found["likely"].values()):
        print("  more validation cases (data.val_split) narrow the range to be expected")
    print(f"  {found['unlike']:.0%} of the test cases are unlike the training cases", flush=True)
