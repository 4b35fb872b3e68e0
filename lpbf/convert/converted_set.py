"""Folder of converted cases."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from flare_mesh.files import atomic_path, check_folder


def open_folder(out: Path) -> None:
    """Check that a folder is new or empty.

    Raises:
        ValueError: If it is not.
    """
    check_folder(out / "index.json")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out}: exists and is not an empty folder; choose another --out")


def write_index(
    out: Path, entries: Iterable[Mapping[str, Any]], rejected: Mapping[str, str]
) -> None:
    """Write ``index.json`` and ``rejected.jsonl``, sorted by name.

    Raises:
        ValueError: If no case was accepted; ``rejected.jsonl`` is written all the same.
    """
    lines = [
        json.dumps({"case": name, "reason": reason}) + "\n"
        for name, reason in sorted(rejected.items())
    ]
    with atomic_path(out / "rejected.jsonl") as temporary:
        temporary.write_text("".join(lines))
    ordered = sorted(entries, key=lambda entry: (entry["file"], entry["case_id"]))
    if not ordered:
        first = next(iter(sorted(rejected.items())), ("", "there was none"))[1]
        raise ValueError(f"{out}: every case was rejected, the first because: {first}")
    with atomic_path(out / "index.json") as temporary:
        temporary.write_text(json.dumps(ordered, indent=1))
