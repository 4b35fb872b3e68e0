"""A folder of converted cases."""

import json
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from flare_mesh.files import atomic_path, check_folder


def open_folder(out: Path) -> None:
    """Refuses a folder that holds something.

    Raises:
        ValueError: If it does, or is a file.
    """
    check_folder(out / "index.json")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out}: exists and is not an empty folder; choose another --out")


def split_of(name: str, test_fraction: float) -> str:
    """``"train"`` or ``"test"``, by the case's name alone."""
    return "test" if zlib.crc32(name.encode()) / 2**32 < test_fraction else "train"


def write_index(
    out: Path, entries: Iterable[Mapping[str, Any]], rejected: Mapping[str, str]
) -> None:
    """Writes ``index.json`` and ``rejected.jsonl``, cases by name.

    Raises:
        ValueError: If no case was kept; the reasons are written.
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
        raise ValueError(f"{out}: no case was kept, the first because: {first}")
    with atomic_path(out / "index.json") as temporary:
        temporary.write_text(json.dumps(ordered, indent=1))
