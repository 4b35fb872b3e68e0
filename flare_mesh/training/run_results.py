"""Results in the folder of a run, read as plain values."""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as attribute
from pathlib import Path
from typing import Any, Self

from flare_mesh.datasets.lra import SEQUENCE_DATASETS
from flare_mesh.documents import load_json, load_yaml, read_yaml_text
from flare_mesh.surrogate.checkpoint import BEST, LAST

MAX_BYTES = 256 * 2**20
"""Largest size of a file with results."""


@dataclass(frozen=True)
class RunResults:
    """Configuration, learning curves and test errors of a run that has ended.

    Attributes:
        folder: The run's folder.
        config: ``config.yaml``.
        summary: ``summary.json``, with the errors of ``test.json`` if ``test_cases.csv`` is from
            a later ``flare-mesh test``.
        epochs: Rows of ``metrics.csv``; a value that was not computed in an epoch is left out.
        test_cases: Rows of ``test_cases.csv`` by the name of the case: the relative L2 error of
            each field, NaN where the field is zero everywhere; empty if the run had no test.
        splits: ``splits.json``; empty if it is missing.
        environment: ``environment.json``; empty if it is missing.
    """

    folder: Path
    config: dict[str, Any]
    summary: dict[str, Any]
    epochs: list[dict[str, float]]
    test_cases: dict[str, dict[str, float]] = attribute(default_factory=dict)
    splits: dict[str, Any] = attribute(default_factory=dict)
    environment: dict[str, Any] = attribute(default_factory=dict)

    @classmethod
    def read(cls, folder: str | Path) -> Self:
        """Read the results of a run.

        Raises:
            FileNotFoundError: If the folder has no run, or its run has not ended.
            ValueError: If a file is damaged, or the run is of a classifier of sequences.
        """
        folder = Path(folder)
        if not (folder / "config.yaml").is_file():
            raise FileNotFoundError(
                f"{folder}: expected the folder of a run (got no config.yaml in it); give the "
                f"folder that 'flare-mesh fit --out' wrote"
            )
        if not (folder / "summary.json").is_file():
            known = any((folder / name).is_file() for name in (BEST, LAST))
            advice = f"continue it by 'flare-mesh fit --resume {folder}'" if known else "train it"
            raise FileNotFoundError(f"{folder}: the run has not ended (no summary.json); {advice}")
        config = folder / "config.yaml"
        try:
            options = load_yaml(read_yaml_text(config))
        except ValueError as error:
            raise _damaged(config, error) from error
        if not isinstance(options, dict):
            raise _damaged(config, "not a mapping of options")
        if str(cls._mapping(options, "data").get("name")) in SEQUENCE_DATASETS:
            raise ValueError(
                f"{folder}: expected a run that predicts fields (got a classifier of sequences); "
                f"read its accuracy in summary.json, its learning curve in metrics.csv and its "
                f"predicted classes in test_cases.csv"
            )
        rows = _read_table(folder / "metrics.csv")
        cases: dict[str, dict[str, float]] = {}
        for row in _read_table(folder / "test_cases.csv"):
            name = row.pop("case", "")
            cases[name] = {
                key: _number(folder / "test_cases.csv", key, text) for key, text in row.items()
            }
        return cls(
            folder,
            options,
            _with_test(folder, cases),
            [
                {key: _number(folder / "metrics.csv", key, v) for key, v in row.items() if v != ""}
                for row in rows
            ],
            cases,
            _read_object(folder / "splits.json"),
            _read_object(folder / "environment.json"),
        )

    @property
    def errors(self) -> dict[str, float]:
        """Mean relative L2 error of each field over the test cases; empty without a test."""
        return self._numbers(self.summary.get("test_relative_l2"))

    @property
    def averaged_errors(self) -> dict[str, float]:
        """As :attr:`errors`, of the averaged weights; empty without any."""
        return self._numbers(self.summary.get("test_ema_relative_l2"))

    @property
    def baselines(self) -> dict[str, dict[str, float]]:
        """Mean relative L2 error of each field, by the name of the baseline.

        A field that a baseline cannot predict is left out.
        """
        given = self.summary.get("baselines")
        found = given if isinstance(given, Mapping) else {}
        errors = {str(name): self._numbers(values) for name, values in found.items()}
        return {name: values for name, values in errors.items() if values}

    @property
    def bands(self) -> dict[str, Any] | None:
        """Coverage of the bands on the test cases; None if there are no bands."""
        found = self.summary.get("bands")
        return found if isinstance(found, dict) else None

    def case_errors(self, field: str) -> list[float]:
        """Relative L2 errors of a field, without the cases where it is zero everywhere."""
        errors = (row.get(field, math.nan) for row in self.test_cases.values())
        return [error for error in errors if math.isfinite(error)]

    def case_means(self) -> dict[str, float]:
        """Mean over the fields of the relative L2 error of each test case, the smallest first."""
        means = {}
        for name, errors in self.test_cases.items():
            known = [error for error in errors.values() if math.isfinite(error)]
            if known:
                means[name] = sum(known) / len(known)
        return dict(sorted(means.items(), key=lambda item: item[1]))

    def units(self) -> dict[str, str]:
        """Units that the configuration gives to fields."""
        options = self._mapping(self._mapping(self.config, "data"), "options")
        return {str(name): str(unit) for name, unit in self._mapping(options, "units").items()}

    def _numbers(self, given: object) -> dict[str, float]:
        found = given if isinstance(given, Mapping) else {}
        return {
            str(name): float(value)
            for name, value in found.items()
            if isinstance(value, int | float) and math.isfinite(value)
        }

    @staticmethod
    def _mapping(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        found = values.get(key)
        return found if isinstance(found, Mapping) else {}


def _damaged(path: Path, reason: object) -> ValueError:
    return ValueError(f"{path}: damaged ({reason}); restore it, or train the run again")


def _with_test(folder: Path, cases: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """The summary, with the errors of a later test if those are the errors of the cases."""
    summary, test = (_read_object(folder / name) for name in ("summary.json", "test.json"))
    fits = [_is_mean(one.get("test_relative_l2"), cases) for one in (summary, test)]
    return {**summary, **test} if fits == [False, True] else summary


def _is_mean(errors: object, cases: Mapping[str, Mapping[str, float]]) -> bool:
    """Whether errors by field are the means of the errors of the cases."""
    if not isinstance(errors, Mapping) or not errors:
        return False
    for name, mean in errors.items():
        known = [row[name] for row in cases.values() if math.isfinite(row.get(name, math.nan))]
        if not known or not isinstance(mean, int | float):
            return False
        if not math.isclose(sum(known) / len(known), mean, rel_tol=1e-3):
            return False
    return True


def _check_size(path: Path) -> None:
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise _damaged(path, f"its {size:,} bytes are more than {MAX_BYTES:,}")


def _read_object(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    _check_size(path)
    try:
        found = load_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _damaged(path, error) from error
    if not isinstance(found, dict):
        raise _damaged(path, "not a JSON object")
    return found


def _read_table(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    _check_size(path)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (ValueError, csv.Error) as error:
        raise _damaged(path, error) from error
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise _damaged(path, f"row {number} has another number of columns than the first")
    return rows


def _number(path: Path, name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise _damaged(path, f"'{name}' is '{text[:50]}', not a number") from None
