"""Archives of data sets."""

import lzma
import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from flare_mesh.io.arrays import MAX_BYTES

_BLOCK = 1 << 20
# RuntimeError: encrypted, or compressed in an unknown way.
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError)
_ZEROS = bytes(tarfile.BLOCKSIZE)


def extract_tar(path: Path, folder: Path, *, max_bytes: int) -> None:
    """Unpacks the plain files and folders of a tar archive, which may be compressed.

    Members that would land outside ``folder``, links and devices are refused.

    Args:
        path: The archive.
        folder: Where to unpack it.
        max_bytes: Bytes that the members may declare in all.

    Raises:
        ValueError: If the archive is damaged, too large, or holds a member that is refused.
    """
    total = 0
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if not (member.isfile() or member.isdir()):
                    raise ValueError(f"{path}: '{member.name}' is neither a file nor a folder")
                total += member.size
                if total > max_bytes:
                    raise ValueError(
                        f"{path}: unpacks to more than {max_bytes:,} bytes; if it is to be "
                        f"trusted, raise max_bytes"
                    )
                archive.extract(member, folder, filter="data")
            _check_end(archive)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path}: cannot be unpacked ({error}); download it anew") from error


def _check_end(archive: tarfile.TarFile) -> None:
    """Refuses an archive without its two blocks of zeros, of which the first has been read."""
    file = archive.fileobj
    assert file is not None
    if file.tell() != archive.offset + len(_ZEROS) or file.read(len(_ZEROS)) != _ZEROS:
        raise tarfile.ReadError("truncated")
    # A compressed file has its checksum at the end.
    while file.read(_BLOCK):
        pass


def extract_zip(
    path: str | Path, folder: str | Path, *, max_bytes: int = 64 * MAX_BYTES
) -> list[Path]:
    """Extracts a zip archive; files that are already there in their full size stay.

    Args:
        path: The archive.
        folder: Where to; made if missing.
        max_bytes: Limit of what the archive may declare in all.

    Returns:
        The files, in the archive's order.

    Raises:
        ValueError: If it is not a whole zip archive, declares more than ``max_bytes``, or names
            files outside of ``folder``; then nothing has been extracted.
    """
    root = Path(folder).resolve()
    targets: list[Path] = []
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            declared = sum(info.file_size for info in infos)
            if declared > max_bytes:
                raise ValueError(
                    f"{path}: declares {declared:,} bytes, more than the limit of {max_bytes:,}"
                )
            targets = [_target(root, info, path) for info in infos]
            for info, target in zip(infos, targets, strict=True):
                if target.exists() and target.stat().st_size == info.file_size:
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                partial = target.with_name(f".{target.name}.partial")
                # zipfile stops at the declared size and verifies the checksum.
                with archive.open(info) as source, partial.open("wb") as file:
                    shutil.copyfileobj(source, file, _BLOCK)
                partial.replace(target)
    except _ZIP_ERRORS as error:
        raise ValueError(
            f"{path}: not a whole zip archive ({error}); remove it and get it anew"
        ) from error
    return targets


def _target(root: Path, info: zipfile.ZipInfo, archive: str | Path) -> Path:
    name = PurePosixPath(info.filename.replace("\\", "/"))
    target = (root / name).resolve()
    is_link = (info.external_attr >> 16) & 0o170000 == 0o120000
    if is_link or name.is_absolute() or not target.is_relative_to(root):
        raise ValueError(f"{archive}: names '{info.filename}', which is outside of {root}")
    return target
