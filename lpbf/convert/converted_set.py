"""Folder of converted cases."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flare_mesh.files import check_folder, write_text


def open_folder(out: Path) -> None:
    """Check that a folder is new or empty.

    Raises:
        ValueError: If it is not.
    """
    check_folder(out / "index.json")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out}: exists and is not an empty folder; choose another --out")


def write_index(
    out: Path, results: Mapping[str, dict[str, Any] | str]
) -> tuple[int, dict[str, str]]:
    """Write ``index.json`` and ``rejected.jsonl``, sorted by name.

    Args:
        out: Folder of the data set.
        results: By name, the entry of an accepted case or the reason to reject it.

    Returns:
        Number of accepted cases, and the reasons of the rejected ones by name.

    Raises:
        ValueError: If no case was accepted; ``rejected.jsonl`` is written all the same.
    """
    entries = [result for result in results.values() if not isinstance(result, str)]
    rejected = {name: result for name, result in results.items() if isinstance(result, str)}
    lines = [{"case": name, "reason": rejected[name]} for name in sorted(rejected)]
    write_text(out / "rejected.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    if not entries:
        reason = lines[0]["reason"] if lines else "there was none"
        raise ValueError(f"{out}: every case was rejected, the first because: {reason}")
    entries.sort(key=lambda entry: (entry["file"], entry["case_id"]))
    write_text(out / "index.json", json.dumps(entries, indent=1))
    return len(entries), rejected
