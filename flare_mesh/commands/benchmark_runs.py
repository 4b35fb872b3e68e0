"""Runs of a benchmark, each in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from flare_mesh.files import write_text
from flare_mesh.surrogate.checkpoint import LAST


def finish_run(
    folder: Path,
    config: dict[str, Any],
    overwrite: bool = False,
    *,
    trust_config: bool = False,
    trust_code: bool = False,
) -> str:
    """Start or resume a run by ``flare-mesh fit``, unless it is finished.

    The configuration is written to ``<folder>.yaml``, and the output of the process to
    ``<folder>.log``.

    Args:
        folder: Folder of the run.
        config: Configuration of the run, without ``out``.
        overwrite: Replace a run with another configuration.
        trust_config: Accept any class that the configuration names.
        trust_code: Accept models and data sets of classes outside this package.

    Returns:
        Reason why the run failed; empty if it did not.

    Raises:
        ValueError: If the folder has a run with another configuration, and ``overwrite`` is not
            set.
        KeyboardInterrupt: If Ctrl-C stopped the run.
    """
    import yaml

    file = folder.with_name(f"{folder.name}.yaml")
    text = yaml.safe_dump({**config, "out": str(folder)}, sort_keys=False)
    same = file.is_file() and file.read_text(encoding="utf-8") == text
    if not same and folder.exists() and not overwrite:
        raise ValueError(
            f"{folder}: has a run with another configuration; choose another --out, or replace "
            f"such runs by --overwrite"
        )
    if same and (folder / "summary.json").is_file():
        return ""
    trust = ["--trust-config"] * trust_config + ["--trust-code"] * trust_code
    if same and (folder / LAST).is_file() and (folder / "config.yaml").is_file():
        return _fit(folder, ["--resume", str(folder), *trust])
    (folder / "summary.json").unlink(missing_ok=True)
    write_text(file, text)
    return _fit(folder, ["--config", str(file), "--overwrite", *trust])


def _fit(folder: Path, options: list[str]) -> str:
    command = [sys.executable, "-m", "flare_mesh", "fit", *options]
    log = folder.with_name(f"{folder.name}.log")
    with log.open("a", encoding="utf-8") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )
        try:
            code = process.wait()
        except KeyboardInterrupt:
            process.wait()  # Ctrl-C reaches it too, and it saves its state
            raise
    if code == 130:
        raise KeyboardInterrupt
    if code == 0:
        return ""
    return _reason(log, code)


def _reason(log: Path, code: int) -> str:
    if code < 0:
        return f"stopped by signal {-code}{' (out of memory?)' if code == -9 else ''}"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    lines = [line.strip() for line in lines if line.strip()]
    errors = [line for line in lines if line.startswith("error: ")]
    last = (errors or lines or [f"exit code {code}, nothing printed"])[-1]
    return last.removeprefix("error: ")


def result_of(folder: Path, failed: str) -> dict[str, Any]:
    """Columns of the table of results from a run's ``summary.json``; empty if it failed."""
    if failed:
        return {}
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    row: dict[str, Any] = {}
    for key, title in (("", "relative_l2"), ("ema_", "ema_relative_l2")):
        errors = summary.get(f"test_{key}relative_l2")
        if errors:
            row[title] = sum(errors.values()) / len(errors)
            if len(errors) > 1:
                row |= {f"{title}_{field}": error for field, error in errors.items()}
    return row | {
        "parameters": summary["parameters"],
        "ms_per_step": round(1e3 * summary["seconds_per_step"], 3),
        "peak_memory_mb": round(summary["peak_memory_bytes"] / 1e6, 1),
        "epochs": summary["epochs"],
        "steps": summary["steps"],
        "train_seconds": summary["train_seconds"],
        "kept": summary["kept"],
    }
