"""Atomic files."""

import errno
import json
import math
import os
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_DISK_ERRORS = {errno.ENOSPC, errno.EFBIG, errno.EIO, errno.EROFS, getattr(errno, "EDQUOT", None)}
_PROBE = 1 << 20  # bytes that a disk must take not to be the reason of a failure


class WriteError(OSError):
    """The system refused a file, whose name and the reason are in the message."""

    def __str__(self) -> str:
        return f"{self.filename}: cannot be written ({self.strerror}); choose another place"


def error_text(error: BaseException) -> str:
    """The message of an error; one of the system begins with the file, as all others do."""
    if not isinstance(error, OSError) or type(error).__str__ is not OSError.__str__:
        return str(error)
    known = error.filename is not None and error.strerror is not None
    return f"{error.filename}: {error.strerror}" if known else str(error)


def check_readable(folder: str | Path) -> None:
    """Refuse a folder that this user may not list, in which patterns of pathlib find nothing.

    Raises:
        PermissionError: If the folder is there, and cannot be listed.
    """
    with suppress(FileNotFoundError, NotADirectoryError):
        os.scandir(folder).close()


def check_folder(path: str | Path) -> None:
    """Refuse a path in a folder that cannot be made, before its content is computed.

    Raises:
        NotADirectoryError: If a parent of the path is a file, or the path or a parent is a symbolic
            link that leads nowhere, such as to itself.
    """
    try:
        Path(path).resolve()
    except (RuntimeError, OSError):
        raise NotADirectoryError(
            f"{path}: has a symbolic link to itself in its folders; choose another path"
        ) from None
    for place in (Path(path), *Path(path).parents):
        if place.exists():
            if place != Path(path) and not place.is_dir():
                raise NotADirectoryError(f"{path}: {place} is a file, not a folder")
            return
        if place.is_symlink():
            raise NotADirectoryError(
                f"{path}: {place} is a symbolic link that leads nowhere; remove it, or choose "
                f"another path"
            )


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
        ValueError: If the file is damaged, has more than 10 MiB, or has a number that is not
            finite, such as ``1e400``.
    """
    file = Path(path)
    if not file.is_file():
        return {}
    try:
        size = file.stat().st_size
        if size > 10 * 2**20:
            raise ValueError(f"its {size:,} bytes are more than 10 MiB")
        text = file.read_text(encoding="utf-8")
        found = json.loads(text, parse_float=_finite, parse_constant=_finite)
        if not isinstance(found, dict):
            raise ValueError("not a JSON object")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file}: damaged ({error}); restore it or get it again") from error
    return found


def _finite(text: str) -> float:
    """The number that JSON writes as ``text``; later code may round it to a size."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text} is not finite")
    return value


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
    ``path`` is unchanged. Missing folders are made. The file gets the mode of the umask, whatever
    its writer chose.

    Raises:
        WriteError: If the folder or the disk refuses the file, also where its writer raised an
            exception of another kind.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.stem}.{os.getpid()}.partial{target.suffix}")
    try:
        with _named_errors(target, temporary):
            target.parent.mkdir(parents=True, exist_ok=True)
            mode = _new_file_mode(temporary)
            yield temporary
            if not temporary.is_file():
                raise OSError(f"{target}: cannot be written (its writer left no file)")
            if temporary.stat().st_mode != mode:
                temporary.chmod(stat.S_IMODE(mode))
            with temporary.open("r+b") as file:
                os.fsync(file.fileno())
            temporary.replace(target)
    finally:
        with suppress(OSError):  # the folder may be gone
            temporary.unlink(missing_ok=True)


def _new_file_mode(path: Path) -> int:
    """Mode of new files in a folder: that of the umask, or of the folder's access list."""
    path.unlink(missing_ok=True)  # of a killed process with the same id
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        return os.fstat(descriptor).st_mode
    finally:
        os.close(descriptor)
        path.unlink()


@contextmanager
def _named_errors(target: Path, temporary: Path) -> Iterator[None]:
    """Raise an OSError that names ``target`` where the folder or the disk refused the file."""
    try:
        yield
    except Exception as error:
        cause = _refusal(error, target, temporary)
        if cause is None:
            raise
        raise WriteError(cause.errno, os.strerror(cause.errno or 0), str(target)) from error


def _refusal(error: Exception, target: Path, temporary: Path) -> OSError | None:
    """The system's error because of which a file was not written; None for another reason."""
    if isinstance(error, OSError) and error.errno is not None:
        place = None if error.filename is None else Path(os.fsdecode(error.filename))
        if error.errno in _DISK_ERRORS or place in (None, temporary, target, *target.parents):
            return error
    # Many writers have exceptions of their own.
    return _disk_error(temporary)


def _disk_error(temporary: Path) -> OSError | None:
    """The error of writing more to a temporary file, if the disk is full."""
    try:
        with temporary.open("ab") as file:
            file.write(bytes(_PROBE))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error if error.errno in _DISK_ERRORS else None
    return None
