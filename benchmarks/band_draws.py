"""Coverage of bands over many random divisions of held-out cases into calibration and test.

    python benchmarks/band_draws.py runs/recipe/plates/base/seed0 [--more data/more/plates]
        [--calibrate 14] [--draws 40]

A single run shows one draw of validation and test cases. Here the validation and test cases of a
finished run, and the new cases of a folder (``--more``) with the layout of the run's own data, are
divided at random into ``--calibrate`` cases for the bands (as many as validation cases) and the
rest for the test. Of a time series, the first step counts.

The table has the mean share of covered nodes over all tested cases, its standard deviation over the
draws, the share of draws between 4 points below and above the nominal coverage, and the share whose
printed likely range held; then the same for as many cases as the run's own test has. The bands of
the run's own division must cover what ``summary.json`` says.
"""

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from recipe_table import table
from torch_geometric.data import Data

from flare_mesh.surrogate import Surrogate
from flare_mesh.surrogate.calibrate import describe_predictions, step_channels
from flare_mesh.training import FieldDataModule
from flare_mesh.uncertainty import FieldBand
from flare_mesh.uncertainty.calibration import case_difficulty
from flare_mesh.uncertainty.fit_band import CaseErrors, case_errors, fit_band


class Run(NamedTuple):
    """A finished run, and the errors of each field on its cases.

    Attributes:
        surrogate: The calibrated surrogate.
        errors: By split (``train``, ``val``, ``test``, ``more``), for each case, by field.
        covered: Coverage on the test cases by field, as in ``summary.json``.
    """

    surrogate: Surrogate
    errors: dict[str, list[dict[str, CaseErrors]]]
    covered: dict[str, float]


def measure(
    surrogate: Surrogate, cases: Iterable[Data], known: bool
) -> Iterator[dict[str, CaseErrors]]:
    """Errors of each field on each case; training cases (``known``) have no difficulty."""
    calibration, channels = surrogate.calibration, step_channels(surrogate)
    if calibration is None:
        raise SystemExit("expected a run with bands; train it with data.val_split")
    for case, predicted, descriptors in describe_predictions(surrogate, cases):
        difficulty, kind = 1.0, calibration.difficulty
        if kind is not None and not known:
            difficulty = case_difficulty(calibration.scores(descriptors)[kind])
        yield {
            name: case_errors(
                predicted[name], target.cpu(), channels[name], difficulty=difficulty, count=200
            )
            for name, target in surrogate.split_fields(case["y"]).items()
        }


def read_run(folder: Path, more: Path | None) -> Run:
    """Read a run, and predict its cases and the new ones."""
    config = yaml.safe_load((folder / "config.yaml").read_text())
    seed = int(config["seed_everything"] or 0)

    def cases(data: Mapping[str, Any], *splits: str) -> list[Data]:
        module = FieldDataModule(**data, seed=seed)
        return [case for split in splits for case in module.cases(split)]

    surrogate = Surrogate.load(folder)
    found = {split: cases(config["data"], split) for split in ("train", "val", "test")}
    found["more"] = []
    if more is not None:
        found["more"] = cases(config["data"] | {"root": str(more)}, "train", "val", "test")
    errors = {split: [*measure(surrogate, part, split == "train")] for split, part in found.items()}
    summary = json.loads((folder / "summary.json").read_text())
    return Run(surrogate, errors, summary["bands"]["covered"])


def covered(band: FieldBand, cases: Sequence[CaseErrors]) -> np.ndarray:
    """Share of the nodes of each case that a band covers."""
    shares = []
    for case in cases:
        scaled = case._replace(difficulty=case.difficulty**band.exponent)
        width = scaled.scale(band.shares, band.magnitude) * band.quantiles[0]
        shares.append(float((case.errors <= width).double().mean()))
    return np.array(shares)


def draw(run: Run, name: str, count: int, draws: int) -> list[str]:
    """Row of the table for a field."""
    calibration = run.surrogate.calibration
    assert calibration is not None
    nominal, old = calibration.coverage, calibration.bands[name]
    own = {split: [case[name] for case in found] for split, found in run.errors.items()}

    def fit(cases: Sequence[CaseErrors]) -> FieldBand:
        return fit_band(cases, old.channels, old.magnitude, nominal, training=own["train"])

    found = covered(fit(own["val"]), own["test"]).mean()
    if abs(found - run.covered[name]) > 0.01:
        raise SystemExit(
            f"{name}: expected a coverage of {run.covered[name]:.3f}, as in summary.json (got "
            f"{found:.3f}); train the run again with this version"
        )
    cases = [*own["val"], *own["test"], *own["more"]]
    generator, rows = np.random.default_rng(0), []
    for _ in range(draws):
        order = generator.permutation(len(cases))
        band = fit([cases[i] for i in order[:count]])
        shares = covered(band, [cases[i] for i in order[count:]])
        assert band.likely is not None
        low, high = band.likely
        held = low <= shares.mean() <= high
        rows.append((shares.mean(), shares[: len(own["test"])].mean(), held))
    every, few, held = np.array(rows).T
    return [
        name,
        str(count),
        str(len(cases) - count),
        _summary(every, nominal),
        f"{held.mean():.0%}",
        str(min(len(own["test"]), len(cases) - count)),
        _summary(few, nominal),
    ]


def _summary(shares: np.ndarray, nominal: float) -> str:
    near = np.abs(shares - nominal) <= 0.04
    return f"{shares.mean():.3f} ± {shares.std():.3f}, {near.mean():.0%}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("--more", type=Path, help="folder with new cases")
    parser.add_argument("--calibrate", type=int, help="cases that bands are calibrated on")
    parser.add_argument("--draws", type=int, default=40)
    given = parser.parse_args()
    run = read_run(given.run, given.more)
    count = given.calibrate or len(run.errors["val"])
    most = sum(len(run.errors[split]) for split in ("val", "test", "more")) - 1
    if not 3 <= count <= most:
        raise SystemExit(f"--calibrate: expected 3 to {most} of the held-out cases (got {count})")
    header = "field | K | all others | coverage | likely range held | own size | coverage"
    print(table(header, [draw(run, name, count, given.draws) for name in run.surrogate.fields]))


if __name__ == "__main__":
    main()
