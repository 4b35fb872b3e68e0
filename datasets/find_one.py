"""Files found by what their names have in common."""

from collections.abc import Sequence
from pathlib import Path


def find_one(root: str | Path, patterns: Sequence[str], address: str, hint: str) -> Path:
    """The one file below ``root``, at most two folders down, whose name fits a pattern.

    Args:
        root: Folder to look in.
        patterns: As the shell's.
        address: Where a person finds the files.
        hint: How to choose, if there are several.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If there are several.
    """
    root = Path(root)
    found = sorted(
        {
            path
            for pattern in patterns
            for depth in ("", "*/", "*/*/")
            for path in root.glob(depth + pattern)
            if path.is_file() and not path.name.startswith(".")
        }
    )
    if not found:
        raise FileNotFoundError(
            f"{root}: no file {' or '.join(patterns)} there; get it from {address} and put it there"
        )
    if len(found) > 1:
        names = [str(path.relative_to(root)) for path in found]
        raise ValueError(f"{root}: several files fit, {names}; {hint}")
    return found[0]
