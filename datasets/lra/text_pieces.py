"""Pieces of the text files of a folder, divided by file."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flare_mesh.data.splits import split_names
from flare_mesh.files import check_readable

FRACTIONS = {"train": 0.8, "val": 0.1, "test": 0.1}
"""Shares of the files."""
_SUFFIXES = (".txt", ".text", ".md", ".rst", ".py", ".c", ".h", ".tex", ".csv", ".html", ".xml")


class Piece(NamedTuple):
    """Consecutive bytes of a file.

    Attributes:
        content: The bytes, uint8.
        file: Number of the file.
        label: Class of the file.
    """

    content: NDArray[np.uint8]
    file: int
    label: int


def class_folders(root: Path) -> tuple[str, ...]:
    """Names of the sub-folders that hold text files, in order.

    Raises:
        ValueError: If there are fewer than two.
    """
    check_readable(root)
    folders = sorted(p.name for p in root.iterdir() if p.is_dir() and not _hidden(p))
    found = tuple(name for name in folders if any(_text_files(root / name)))
    if len(found) < 2:
        raise ValueError(
            f"{root}: expected a sub-folder with text files ({' '.join(_SUFFIXES)}) for each of at "
            f"least two classes (got {[*found]})"
        )
    return found


def files_of_split(root: Path, classes: Sequence[str], split: str) -> list[Path]:
    """Text files of a split, chosen by their names alone in each class.

    Raises:
        ValueError: If a class has none.
    """
    found = []
    for name in classes:
        files = {str(p.relative_to(root)): p for p in _text_files(root / name)}
        chosen = split_names([*files], split, FRACTIONS)
        if not chosen:
            raise ValueError(
                f"{root / name}: none of its {len(files)} files is in the split '{split}'; add "
                f"files, or cut long ones"
            )
        found += [files[one] for one in sorted(chosen)]
    return found


def read_pieces(
    root: Path, files: Sequence[Path], classes: Sequence[str], length: int
) -> list[Piece]:
    """Cut files into pieces of ``length`` bytes.

    A rest of less than half of it is left out, unless it is the whole file.
    """
    pieces = []
    for number, file in enumerate(files):
        content = np.frombuffer(file.read_bytes(), np.uint8)
        label = classes.index(file.relative_to(root).parts[0])
        for start in range(0, max(1, len(content)), length):
            part = content[start : start + length]
            if start == 0 or 2 * len(part) >= length:
                pieces.append(Piece(part, number, label))
    return pieces


def _text_files(folder: Path) -> list[Path]:
    return sorted(
        p for p in folder.rglob("*") if p.suffix in _SUFFIXES and p.is_file() and not _hidden(p)
    )


def _hidden(path: Path) -> bool:
    return path.name.startswith(".") or path.name == "processed"
