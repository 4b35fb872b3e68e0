"""Archives of data sets."""

import tarfile
import zlib
from pathlib import Path

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
    while file.read(1 << 20):
        pass
