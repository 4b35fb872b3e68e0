"""Files found by what their names have in common."""

from collections.abc import Sequence
from pathlib import Path, PurePath


def find_one(root: str | Path, patterns: Sequence[str], address: str, hint: str) -> Path:
    """The one file below ``root``, at most four folders down, whose name fits a pattern.

    Args:
        root: Folder to look in.
        patterns: As the shell's.
        address: Where a person finds the files.
        hint: How to choose, if there are several.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If there are several, or a pattern leads out of ``root``.
    """
    root = Path(root)
    for pattern in patterns:
        if PurePath(pattern).is_absolute() or ".." in PurePath(pattern).parts or not pattern:
            raise ValueError(f"{root}: expected the name of a file below it (got '{pattern}')")
    found = sorted(
        {
            path
            for pattern in patterns
            for depth in ("", "*/", "*/*/", "*/*/*/", "*/*/*/*/")
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
