"""Cases of a split among the files of a folder."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from flare_mesh.data.splits import split_names


def find_cases(
    root: str | Path,
    split: str,
    *,
    suffixes: Sequence[str] = (),
    folders: bool = False,
    fractions: Mapping[str, float] | None = None,
    seed: int = 0,
) -> tuple[Path, dict[str, str]]:
    """The folder of a split's cases, and its files by the names of the cases, in sorted order.

    The folder is ``root/split`` where the splits have folders, and otherwise ``root``, whose cases
    are divided by :func:`~flare_mesh.data.splits.split_names`. No file is opened, and names
    that begin with a dot are passed over.

    Args:
        root: Folder of the cases, or of a folder for each split: at least one that is called
            ``split``, ``"train"`` or ``"test"``.
        split: Which split.
        suffixes: Ends of the names of files that are cases.
        folders: Whether each folder is a case.
        fractions: Share of each split, where they have no folders.
        seed: Of the split, likewise.

    Raises:
        FileNotFoundError: If there is no such folder, or no case in it.
        ValueError: If two cases have the same name, ``fractions`` are given and the splits have
            folders, or there are too few cases.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder")
    divided = any((root / name).is_dir() for name in (split, "train", "test"))
    folder = root / split if divided else root
    if divided and fractions is not None:
        raise ValueError(
            f"{root}: its splits have folders already; leave out 'fractions', or give the path of "
            f"a folder with cases alone"
        )
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder, while other splits have one")
    files = _list_cases(folder, suffixes, folders)
    if not files:
        kinds = [f"files <case>{suffix}" for suffix in suffixes] + folders * ["folders <case>"]
        raise FileNotFoundError(f"{folder}: no cases there; expected {' or '.join(kinds)}")
    if divided:
        return folder, dict(sorted(files.items()))
    try:
        names = split_names([*files], split, fractions, seed=seed)
    except ValueError as error:
        raise ValueError(f"{root}: {error}") from error
    if not names:
        raise ValueError(f"{root}: {len(files)} cases are too few to have one in split '{split}'")
    return folder, {name: files[name] for name in names}


def _list_cases(folder: Path, suffixes: Sequence[str], folders: bool) -> dict[str, str]:
    files: dict[str, str] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            name, suffix = os.path.splitext(entry.name)
            if folders and entry.is_dir():
                name = entry.name
            elif suffix not in suffixes or entry.is_dir():
                continue
            if entry.name.startswith("."):
                continue
            if name in files:
                both = sorted([files[name], entry.name])
                raise ValueError(f"{folder}: {both} are cases of the same name; rename one")
            files[name] = entry.name
    return files
