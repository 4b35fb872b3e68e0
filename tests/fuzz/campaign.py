"""A campaign of mutated files against the readers."""

import json
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import psutil

from tests.fuzz.mutators import mutate
from tests.fuzz.targets import TARGETS

MAX_SECONDS = 20.0
MAX_BYTES = 2 * 2**30
KINDS = (
    *("refused", "unchanged", "changed"),
    *("fewer fields", "cut, warned", "cut accepted"),
    *("unclear", "traceback", "crashed", "slow", "large", "ran code"),
)
"""Outcomes; those from "unclear" on are faults.

"fewer fields" is a file cut where the rest is a whole file of its format with the same mesh, and
the same values in the fields that are left; "cut accepted" is any other cut file that is read with
other content, "cut, warned" with a warning.
"""
FAULTS = KINDS[KINDS.index("unclear") :]


@dataclass
class Campaign:
    """Outcomes of a campaign.

    Attributes:
        counts: Number of files by target and outcome.
        faults: Target, mutation, outcome, text and kept file of each fault and accepted cut.
    """

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    faults: list[dict[str, Any]] = field(default_factory=list)

    def total(self) -> Counter[str]:
        """Number of files by outcome."""
        return sum(self.counts.values(), Counter())

    def table(self) -> str:
        """Outcomes of each target as a table in Markdown."""
        rows = [["files", "tried", *KINDS], ["---"] * (len(KINDS) + 2)]
        for name, counts in [*sorted(self.counts.items()), ("all", self.total())]:
            rows.append([name, str(sum(counts.values())), *(str(counts[kind]) for kind in KINDS)])
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)


class Worker:
    """A process that reads files, with its memory watched."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.process.stdout.readline()  # the libraries are imported
        self.peak = 0
        threading.Thread(target=self._measure, daemon=True).start()

    def read(self, target: str, path: Path) -> dict[str, Any]:
        """Outcome of a file; the worker must not be used again after "crashed" or "slow"."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.peak, start = 0, time.monotonic()
        self.process.stdin.write(json.dumps({"target": target, "path": str(path)}) + "\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], MAX_SECONDS + 5)
        if not ready:
            return {
                "kind": "slow",
                "text": f"no answer after {MAX_SECONDS + 5:.0f} s",
                "events": [],
            }
        line = self.process.stdout.readline()
        if not line:
            return {"kind": "crashed", "text": f"exit code {self.process.wait()}", "events": []}
        outcome = json.loads(line)
        seconds = time.monotonic() - start
        if outcome["events"]:
            outcome |= {"kind": "ran code", "text": "; ".join(outcome["events"])}
        elif seconds > MAX_SECONDS:
            outcome |= {"kind": "slow", "text": f"{seconds:.1f} s"}
        elif self.peak > MAX_BYTES:
            outcome |= {"kind": "large", "text": f"{self.peak / 2**30:.1f} GiB"}
        return outcome

    def close(self) -> None:
        """End the process and its children."""
        try:
            family = [*psutil.Process(self.process.pid).children(recursive=True)]
        except psutil.Error:
            family = []
        self.process.kill()
        self.process.wait()
        for child in family:
            if child.is_running():
                child.kill()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()

    def _measure(self) -> None:
        try:
            main = psutil.Process(self.process.pid)
            while self.process.poll() is None:
                family = [main, *main.children()]
                self.peak = max(self.peak, sum(one.memory_info().rss for one in family))
                time.sleep(0.02)
        except psutil.Error:  # the process ended
            return


def run_campaign(
    names: Sequence[str] = (),
    *,
    files: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    keep: Path | None = None,
) -> Campaign:
    """Read mutated files until ``files`` or ``minutes`` are spent.

    Args:
        names: Targets; all by default.
        files: Number of files.
        minutes: Wall time.
        seed: Seed of the mutations; the same seed gives the same files.
        keep: Folder for the files of faults.

    Raises:
        ValueError: If a target is unknown, or an unchanged seed file is refused.
    """
    unknown = sorted(set(names) - set(TARGETS))
    if unknown:
        raise ValueError(f"expected targets of {', '.join(TARGETS)} (got {unknown})")
    campaign, end = Campaign(), time.monotonic() + 60 * (minutes or 1e9)
    with tempfile.TemporaryDirectory() as temporary:
        root, worker = Path(temporary), Worker()
        try:
            digests = _seed_files(root, worker, names or tuple(TARGETS))
            for count, name in enumerate(_turns(digests)):
                if count == files or time.monotonic() > end:
                    break
                random = Random(f"{seed} {name} {count}")
                outcome = _try(root, worker, name, digests[name], random)
                campaign.counts.setdefault(name, Counter())[outcome["kind"]] += 1
                if outcome["kind"] in (*FAULTS, "cut accepted"):
                    if keep is not None:
                        outcome["kept"] = str(keep / f"{seed}-{count}-{name.replace(' ', '_')}")
                        shutil.copytree(root / "case", outcome["kept"], dirs_exist_ok=True)
                    campaign.faults.append({"target": name, **outcome})
                if outcome["kind"] in ("crashed", "slow", "large"):
                    worker.close()
                    worker = Worker()
        finally:
            worker.close()
    return campaign


def _turns(names: Iterable[str]) -> Iterator[str]:
    while True:
        yield from names


def _kind(outcome: dict[str, Any], seed: dict[str, str], cut: bool) -> str:
    found = outcome["digest"]
    if found == seed:
        return "unchanged"
    if not cut:
        return "changed"
    mesh = {"pos", "cell_index", "cell_type"}
    fewer = mesh <= found.keys() and found.items() <= seed.items()
    return "fewer fields" if fewer else "cut, warned" if outcome["warned"] else "cut accepted"


def _seed_files(root: Path, worker: Worker, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Write the seed files of each target; digests of what its reader makes of them."""
    digests = {}
    for name in names:
        folder = root / "seeds" / name
        folder.mkdir(parents=True)
        TARGETS[name].write(folder)
        outcome = worker.read(name, folder / TARGETS[name].entry)
        # The first use of a library may take long.
        if outcome["kind"] not in ("accepted", "slow"):
            raise ValueError(f"the seed of '{name}' was not accepted: {outcome}")
        digests[name] = outcome["digest"]
    return digests


def _try(
    root: Path, worker: Worker, name: str, digest: dict[str, str], random: Random
) -> dict[str, Any]:
    """Outcome of one mutated file among the seed files of a target."""
    case, seeds = root / "case", root / "seeds" / name
    shutil.rmtree(case, ignore_errors=True)
    shutil.copytree(seeds, case)
    victims = sorted(path for path in case.rglob("*") if path.is_file())
    victim = random.choice(victims)
    mutation, changed = "", victim.read_bytes()
    for _ in range(1 if random.random() < 0.7 else random.randint(2, 4)):
        one, changed = mutate(changed, random)
        mutation = f"{mutation}, {one}" if mutation else one
    victim.write_bytes(changed)
    outcome = worker.read(name, case / TARGETS[name].entry)
    if outcome["kind"] == "accepted":
        outcome["kind"] = _kind(outcome, digest, mutation == "truncate" and TARGETS[name].has_end)
    return outcome | {"mutation": f"{victim.relative_to(case)}: {mutation}"}
