"""Files that appear whole or not at all."""

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def check_folder(path: str | Path) -> None:
    """Refuses a path below something that is not a folder, before any work is spent on it.

    Raises:
        NotADirectoryError: If a file stands where a folder should.
    """
    for parent in Path(path).parents:
        if parent.exists():
            if not parent.is_dir():
                raise NotADirectoryError(f"{path}: {parent} is a file, not a folder")
            return


def is_whole(path: str | Path) -> bool:
    """Whether a zip archive, as ``.npz`` and ``.ckpt`` are, is there and passes its checksums."""
    try:
        with Path(path).open("rb") as file, zipfile.ZipFile(file) as archive:
            # The number of arrays stands at the end: a damaged list of them may be shorter.
            file.seek(-12, os.SEEK_END)
            count = int.from_bytes(file.read(2), "little")
            return len(archive.namelist()) == count > 0 and archive.testzip() is None
    except Exception:  # damaged lengths, flags and names end in errors of a dozen types
        return False


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary name beside ``path`` to write to; renamed to ``path`` when the block succeeds.

    The temporary name starts with a dot and keeps the suffix, which many writers look at. If the
    block raises, it is removed and an older file at ``path`` stays as it was. Missing folders are
    made.
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
