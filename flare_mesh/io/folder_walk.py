"""Files of a folder and its sub-folders, links included."""

import os
import re
from collections.abc import Iterable
from fnmatch import translate
from pathlib import Path
from typing import NamedTuple


class FolderFiles(NamedTuple):
    """What is in a folder and its sub-folders.

    Attributes:
        files: Paths of the files, links to files included; of several paths of one file the first.
        outside: Links to files and folders outside of the folder, which are not followed.
        unreadable: Sub-folders that cannot be read.
        openfoam: Folders of OpenFOAM cases.
    """

    files: list[str]
    outside: list[str]
    unreadable: list[str]
    openfoam: list[str]


def walk_folder(
    root: Path, *, leave_out: Iterable[Path] = (), within: Path | None = None, follow: bool = False
) -> FolderFiles:
    """List the files below ``root``; names that begin with a dot are skipped.

    A link to a folder is followed if the folder is below ``within``. Each folder is listed once,
    so links in a circle end.

    Args:
        root: The folder.
        leave_out: Folders to skip.
        within: Folder that links must not leave, by default ``root``.
        follow: Follow the links that leave it too.

    Raises:
        OSError: If ``root`` cannot be read.
    """
    skipped = {os.path.abspath(folder) for folder in leave_out}
    inside = os.path.join(os.path.realpath(within or root), "")
    found = FolderFiles([], [], [], [])
    seen: set[tuple[int, int]] = set()
    # Links wait until all other folders are listed, so that a folder keeps its own path.
    folders, linked, file_links = [str(root)], list[str](), dict[str, str]()
    while folders or linked:
        if not folders:
            linked.sort(reverse=True)
            folders.append(linked.pop())
        folder = folders.pop()
        try:
            status = os.stat(folder)
            entries = [] if (status.st_dev, status.st_ino) in seen else [*os.scandir(folder)]
        except OSError:
            if folder == str(root):
                raise
            found.unreadable.append(folder)
            continue
        seen.add((status.st_dev, status.st_ino))
        # As pathlib writes paths below ".".
        below = "" if folder == "." else folder.removeprefix("./")
        for entry in entries:
            name, path = entry.name, os.path.join(below, entry.name)
            if name.startswith("."):
                continue
            is_link = entry.is_symlink()
            target = os.path.realpath(path) if is_link else ""
            if is_link and not follow and not os.path.join(target, "").startswith(inside):
                found.outside.append(path)
            elif not entry.is_dir():
                found.files.append(path)
                if is_link:
                    file_links[path] = target
            elif os.path.abspath(path) not in skipped:
                (linked if is_link else folders).append(path)
            if name == "polyMesh" or name.lower().endswith((".foam", ".openfoam")):
                found.openfoam.append(_openfoam_case(folder))
    return found._replace(
        files=_without_copies(found.files, file_links),
        openfoam=sorted({*found.openfoam}),
    )


def matching(root: Path, files: Iterable[str], pattern: str) -> list[str]:
    """The files below ``root`` that match a glob pattern as in :meth:`pathlib.Path.glob`.

    ``**`` also goes through links, unlike pathlib's.

    Raises:
        ValueError: If the pattern is invalid.
    """
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    if not parts or pattern.startswith("/") or any("**" in one and one != "**" for one in parts):
        raise ValueError(
            f"{root}: invalid pattern '{pattern}'; give a path below the folder, such as '**/*.vtu'"
        )
    expressions = [None if one == "**" else re.compile(translate(one)) for one in parts]
    return [f for f in files if _matches(os.path.relpath(f, root).split(os.sep), expressions)]


def _matches(names: list[str], expressions: list[re.Pattern[str] | None]) -> bool:
    """Whether the parts of a path match; None stands for any number of folders."""
    # Numbers of leading parts that the expressions up to now can match.
    ends = {0}
    for expression in expressions:
        if expression is None:
            ends = {*range(min(ends, default=len(names)), len(names))}
        else:
            ends = {n + 1 for n in ends if n < len(names) and expression.match(names[n])}
    return len(names) in ends


def _openfoam_case(folder: str) -> str:
    """The case of a folder with ``polyMesh`` or a ``.foam`` file, such as ``case/constant``."""
    path = Path(folder)
    if path.name == "constant":
        path = path.parent
    return str(path.parent if re.fullmatch(r"processors?\d*(_\d+-\d+)?", path.name) else path)


def _without_copies(files: list[str], links: dict[str, str]) -> list[str]:
    """The files without links to others of them."""
    if not links:
        return files
    seen = {os.path.realpath(file) for file in files if file not in links}
    kept = set()
    for link, target in sorted(links.items()):
        if target not in seen:
            kept.add(link)
            seen.add(target)
    return [file for file in files if file not in links or file in kept]
