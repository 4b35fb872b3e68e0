"""Search for the file of a data set by a pattern of its name."""

from collections.abc import Sequence
from pathlib import Path, PurePath

from flare_mesh.files import check_readable


def find_one(root: str | Path, patterns: Sequence[str], address: str, hint: str) -> Path:
    """The only file below ``root``, at most four folders deep, whose name matches a pattern.

    Args:
        root: Folder to search.
        patterns: Patterns of the shell.
        address: Where a person finds the files, for messages.
        hint: How to choose among several files, for messages.

    Raises:
        FileNotFoundError: If no file matches.
        ValueError: If several files match, or a pattern leads out of ``root``.
    """
    root = Path(root)
    for pattern in patterns:
        parts = PurePath(pattern).parts
        if PurePath(pattern).is_absolute() or {"..", "**"} & {*parts} or not pattern:
            raise ValueError(f"{root}: expected the name of a file below it (got '{pattern}')")
    check_readable(root)
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
        raise ValueError(f"{root}: several files match, {names}; {hint}")
    return found[0]
