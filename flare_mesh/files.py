"""Atomic files."""

import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def check_folder(path: str | Path) -> None:
    """Refuse a path in a folder that cannot be made, before its content is computed.

    Raises:
        NotADirectoryError: If a parent of the path is a file.
    """
    for parent in Path(path).parents:
        if parent.exists():
            if not parent.is_dir():
                raise NotADirectoryError(f"{path}: {parent} is a file, not a folder")
            return


def existing_file(path: str | Path) -> Path:
    """The path of a file that must exist.

    Raises:
        FileNotFoundError: If it does not.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    return path


def read_json_object(path: str | Path) -> dict[str, Any]:
    """The JSON object in a file; empty if there is no such file.

    Raises:
        ValueError: If the file is damaged or has more than 10 MiB.
    """
    file = Path(path)
    if not file.is_file():
        return {}
    try:
        size = file.stat().st_size
        if size > 10 * 2**20:
            raise ValueError(f"its {size:,} bytes are more than 10 MiB")
        found = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("not a JSON object")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file}: damaged ({error}); restore it or get it again") from error
    return found


def is_whole(path: str | Path) -> bool:
    """Whether a zip archive, such as ``.npz`` and ``.ckpt``, exists and has the right checksums."""
    try:
        with Path(path).open("rb") as file, zipfile.ZipFile(file) as archive:
            # The number of members is at the end; a damaged directory may list fewer.
            file.seek(-12, os.SEEK_END)
            count = int.from_bytes(file.read(2), "little")
            return len(archive.namelist()) == count > 0 and archive.testzip() is None
    except Exception:  # damage raises errors of a dozen types
        return False


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path in the folder of ``path``, which replaces ``path`` if the block succeeds.

    The temporary name starts with a dot and has the suffix of ``path``, since many writers choose
    the format by it. If the block raises, the temporary file is removed, and an older file at
    ``path`` is unchanged. Missing folders are made.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.stem}.{os.getpid()}.partial{target.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
