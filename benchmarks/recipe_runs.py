"""One training by ``flare-mesh init`` and ``flare-mesh fit``, and the baselines beside it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import yaml
from bench import cores, processor

from flare_mesh.baselines import BASELINES, compare_baselines
from flare_mesh.surrogate import Surrogate
from flare_mesh.training import FieldDataModule


def flare_mesh(*arguments: str, log: Path) -> None:
    """Run the command in a process of its own, with its output in a file.

    Raises:
        RuntimeError: With the last line of the output, if it fails.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as file:
        command = [sys.executable, "-m", "flare_mesh", *arguments]
        code = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT).returncode
    if code:
        lines = log.read_text(errors="replace").strip().splitlines()
        raise RuntimeError(f"flare-mesh {arguments[0]}: {lines[-1] if lines else code} ({log})")


def changed(config: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a configuration with other values, by names such as ``model.options.queries``."""
    found = json.loads(json.dumps(config))
    for name, value in overrides.items():
        *folders, last = name.split(".")
        place = found
        for folder in folders:
            place[folder] = dict(place.get(folder) or {})
            place = place[folder]
        place[last] = value
    return found


def train(config: Mapping[str, Any], out: Path, seed: int, *options: str) -> dict[str, Any]:
    """Train by a configuration, or read the run if it was made by the same one.

    Args:
        config: Content of the YAML file.
        out: Folder of the run; beside it are its configuration, log and record.
        seed: Seed of the run.
        options: More options of ``fit``.

    Returns:
        ``summary``, the content of ``summary.json``; ``wall_seconds`` and ``cpu_seconds`` of the
        command; ``failed``, the reason if it failed.
    """
    record, file = out.with_suffix(".json"), out.with_suffix(".yaml")
    text = yaml.safe_dump(dict(config), sort_keys=False)
    if record.exists() and file.exists() and file.read_text() == text:
        known = json.loads(record.read_text())
        if not known["failed"] and "cpu_seconds" in known:
            return known
    out.parent.mkdir(parents=True, exist_ok=True)
    record.unlink(missing_ok=True)
    file.write_text(text)
    start, found = time.perf_counter(), {"failed": "", "summary": {}}
    used = _cpu_seconds()
    arguments = ["--config", str(file), "--out", str(out), "--seed_everything", str(seed)]
    try:
        flare_mesh("fit", *arguments, *options, "--overwrite", log=out.with_suffix(".log"))
        found["summary"] = json.loads((out / "summary.json").read_text())
    except RuntimeError as error:
        found["failed"] = str(error)
    found["wall_seconds"] = round(time.perf_counter() - start, 1)
    found["cpu_seconds"] = round(_cpu_seconds() - used, 1)
    record.write_text(json.dumps(found, indent=1) + "\n")
    return found


def _cpu_seconds() -> float:
    """Seconds of the processor in finished processes that this one has started."""
    times = os.times()
    return times.children_user + times.children_system


def measure_baselines(run: Path, seeds: int) -> dict[str, Any]:
    """Errors of all baselines on the cases of a run, with its inputs and features.

    Args:
        run: A finished run. If its targets have scales, the baselines are also measured on targets
            over these scales, which they are not given otherwise.
        seeds: Number of trainings of the network of each node, of which the mean error counts.

    Returns:
        ``plain`` and, with scales, ``scaled``: for each baseline its ``errors`` by field,
        ``seconds``, and why it is ``unsuitable``.
    """
    record = run.with_name("baselines.json")
    checksum = json.loads((run / "splits.json").read_text())["train"]["sha256"]
    if record.exists():
        known = json.loads(record.read_text())
        if known["seeds"] >= seeds and known["train_sha256"] == checksum:
            return known
    config = yaml.safe_load((run / "config.yaml").read_text())
    module = FieldDataModule(**config["data"], seed=int(config["seed_everything"] or 0))
    surrogate = Surrogate.load(run)
    train, test = ([*module.cases(split)] for split in ("train", "test"))
    found: dict[str, Any] = {"seeds": seeds, "train_sha256": checksum}
    found["plain"] = _errors(train, test, surrogate.fields, seeds)
    if surrogate.scale is not None:
        for case in (*train, *test):
            case.y = case.y / surrogate.scale(case.x)
        found["scaled"] = _errors(train, test, surrogate.fields, seeds)
    record.write_text(json.dumps(found, indent=1) + "\n")
    return found


def _errors(train: Any, test: Any, fields: Mapping[str, int], seeds: int) -> dict[str, Any]:
    found = {}
    for name in BASELINES:
        runs = [
            asdict(compare_baselines(train, test, fields, [name], seed=seed)[name])
            for seed in range(seeds if name == "node_mlp" else 1)
        ]
        first = runs[0]
        first["errors"] = {
            field: sum(run["errors"][field] for run in runs) / len(runs)
            for field in first["errors"]
        }
        found[name] = first
    return found


def machine() -> dict[str, Any]:
    """Processor and versions."""
    return {
        "processor": processor(),
        "cores": cores(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
