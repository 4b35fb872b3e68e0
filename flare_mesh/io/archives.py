"""Extraction of archives that are not trusted."""

import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from flare_mesh.files import WriteError, atomic_path
from flare_mesh.io.arrays import ZIP_ERRORS

_BLOCK = 1 << 20
_MAX_UNPACKED = 1 << 40  # on the disk
_ZEROS = bytes(tarfile.BLOCKSIZE)


def extract_tar(path: Path, folder: Path, *, max_bytes: int) -> None:
    """Extract the plain files and folders of a tar archive, which may be compressed.

    Args:
        path: The archive.
        folder: Target folder.
        max_bytes: Limit of the bytes that the archive may declare in total.

    Raises:
        ValueError: If the archive is damaged or too large, or has a link, a device, or a name
            outside ``folder``.
        WriteError: If the disk is full.
    """
    total = 0
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if not (member.isfile() or member.isdir()):
                    raise ValueError(f"{path}: '{member.name}' is neither a file nor a folder")
                total += member.size
                _check_size(path, total, max_bytes)
                archive.extract(member, folder, filter="data")
            _check_end(archive)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the system
            raise WriteError(error.errno, error.strerror, str(folder)) from error
        raise ValueError(f"{path}: cannot be extracted ({error}); download it again") from error


def _check_end(archive: tarfile.TarFile) -> None:
    """Refuse an archive without its final two blocks of zeros; the first has been read."""
    file = archive.fileobj
    assert file is not None
    if file.tell() != archive.offset + len(_ZEROS) or file.read(len(_ZEROS)) != _ZEROS:
        raise tarfile.ReadError("truncated")
    # The checksum of a compressed file is at its end.
    while file.read(_BLOCK):
        pass


def extract_zip(
    path: str | Path, folder: str | Path, *, max_bytes: int = _MAX_UNPACKED
) -> list[Path]:
    """Extract a zip archive, except for files that exist in their full size.

    Args:
        path: The archive.
        folder: Target folder; made if it is missing.
        max_bytes: Limit of the bytes that the archive may declare in all.

    Returns:
        The paths of all files, in the archive's order.

    Raises:
        ValueError: If the archive is damaged; or, before anything is extracted, if it is too large
            or has a link or a name outside ``folder``.
    """
    root = Path(folder).resolve()
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            _check_size(path, sum(info.file_size for info in infos), max_bytes)
            targets = [_target(root, info, path) for info in infos]
            for info, target in zip(infos, targets, strict=True):
                if target.exists() and target.stat().st_size == info.file_size:
                    continue
                # zipfile stops at the declared size and verifies the checksum.
                with (
                    atomic_path(target) as temporary,
                    temporary.open("wb") as file,
                    archive.open(info) as source,
                ):
                    shutil.copyfileobj(source, file, _BLOCK)
            return targets
    except ZIP_ERRORS as error:
        raise ValueError(
            f"{path}: not a whole zip archive ({error}); remove it and download it again"
        ) from error


def _check_size(path: str | Path, declared: int, max_bytes: int) -> None:
    if declared > max_bytes:
        raise ValueError(
            f"{path}: declares more than the limit of {max_bytes:,} bytes; if the archive is to be "
            f"trusted, raise max_bytes"
        )


def _target(root: Path, info: zipfile.ZipInfo, archive: str | Path) -> Path:
    name = PurePosixPath(info.filename.replace("\\", "/"))
    target = (root / name).resolve()
    is_link = (info.external_attr >> 16) & 0o170000 == 0o120000
    if is_link or name.is_absolute() or not target.is_relative_to(root):
        raise ValueError(f"{archive}: has the name '{info.filename}', which is outside {root}")
    return target
