"""Outcomes of a data set's cases, written to disk as the cases finish."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from flare_mesh.documents import load_json
from flare_mesh.files import write_text
from lpbf.dataset.outcome import Outcome, Rejection

_FILES = ("index.json", "rejected.jsonl", "timing.json")


class Catalog:
    """Outcomes of the cases, in ``index.json``, ``rejected.jsonl`` and ``timing.json``.

    During a run, ``progress.jsonl`` gets a line for each finished case, so that a killed run loses
    only the cases that were running.

    Args:
        out: Folder of the data set.

    Raises:
        ValueError: If one of the files is damaged. Truncated lines are ignored.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.outcomes: dict[str, Outcome] = {}
        self._progress = out / "progress.jsonl"
        self._file: TextIO | None = None
        self._read()

    def __enter__(self) -> "Catalog":
        self._file = self._progress.open("a")
        self._file.write("\n")  # ends a truncated line
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, outcome: Outcome) -> None:
        """Store an outcome, also on disk."""
        assert self._file is not None, "add() needs the catalog's context"
        self.outcomes[outcome.case] = outcome
        self._file.write(json.dumps(asdict(outcome)) + "\n")
        self._file.flush()

    @contextmanager
    def finished(self, names: Iterable[str]) -> Iterator[None]:
        """Write the three files at the end, however it comes, with the cases in this order.

        Cases of an earlier run with other parts are still in the folder and follow.
        """
        try:
            yield
        finally:
            self._finish(dict.fromkeys([*names, *self.outcomes]))

    def _finish(self, order: Iterable[str]) -> None:
        """Write the three files, and remove ``progress.jsonl``."""
        known = [self.outcomes[name] for name in order if name in self.outcomes]
        entries = [outcome.entry for outcome in known if outcome.entry is not None]
        lines = [
            {"case": o.case, "attempt": attempt, **asdict(rejection), "given_up": o.entry is None}
            for o in known
            for attempt, rejection in enumerate(o.rejected)
        ]
        seconds = {outcome.case: outcome.seconds for outcome in known}
        index, rejected, timing = _FILES
        write_text(self.out / timing, json.dumps(seconds, indent=1))
        write_text(self.out / rejected, "".join(json.dumps(line) + "\n" for line in lines))
        write_text(self.out / index, json.dumps(entries, indent=1))
        self._progress.unlink(missing_ok=True)

    def _read(self) -> None:
        index, rejected, timing = (self.out / name for name in _FILES)
        with _damage(index):
            for entry in load_json(index.read_text()) if index.is_file() else []:
                self.outcomes[entry["case_id"]] = Outcome(entry["case_id"], entry=dict(entry))
        with _damage(rejected):
            for line in _lines(rejected):
                if line["given_up"]:
                    self.outcomes.setdefault(line["case"], Outcome(line["case"]))
                if line["case"] in self.outcomes:  # otherwise its entry is lost and it is run again
                    rejection = Rejection(line["kind"], line["reason"])
                    self.outcomes[line["case"]].rejected.append(rejection)
        with _damage(timing):
            seconds = load_json(timing.read_text()) if timing.is_file() else {}
            for name in seconds.keys() & self.outcomes.keys():
                self.outcomes[name].seconds = float(seconds[name])
        with _damage(self._progress):
            for line in _lines(self._progress):
                outcome = Outcome.from_dict(line)
                self.outcomes[outcome.case] = outcome


def count_rejections(out: Path) -> Counter[str]:
    """Number of rejected parts by kind of reason."""
    return Counter(line["kind"] for line in _lines(out / "rejected.jsonl"))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Objects of a file of JSON lines, without a line that a killed run truncated."""
    for line in path.read_text().splitlines() if path.is_file() else []:
        with suppress(json.JSONDecodeError):
            yield load_json(line)


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path}: damaged ({type(error).__name__}: {error}); restore it, or remove it to run "
            f"its cases again"
        ) from error
