"""Downloads that resume, are verified, and appear whole or not at all."""

import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.progress import Progress

from flare_mesh.files import check_folder
from flare_mesh.io.hub import import_hub

_BLOCK = 1 << 20


def download_file(
    url: str,
    path: str | Path,
    *,
    size: int | None = None,
    sha256: str | None = None,
    md5: str | None = None,
    timeout: float = 30.0,
) -> Path:
    """Download a file, or resume its download.

    The bytes received so far are stored in ``.<name>.partial`` in the folder of ``path`` until the
    file is complete and verified. A file that exists at ``path`` is not downloaded again.

    Args:
        url: Address, http or https.
        path: Target path.
        size: Expected size in bytes.
        sha256: Expected checksum.
        md5: Expected checksum, where the publisher gives no other.
        timeout: Seconds to wait for an answer.

    Raises:
        ConnectionError: If the server does not answer, or the connection is lost; call again to
            resume.
        ValueError: If the file has another size or checksum; it is removed.
    """
    path = Path(path)
    if path.exists():
        return path
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url}: expected an address that begins with https:// or http://")
    check_folder(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    version = path.with_name(f".{path.name}.version")
    try:
        _transfer(url, partial, version, timeout)
    except (OSError, http.client.HTTPException) as error:
        reason = " ".join(str(error).split())  # it may quote lines that the server sent
        raise ConnectionError(
            f"{url}: could not be downloaded ({reason}); try again, or download it by hand "
            f"to {path}"
        ) from error
    wrong = _difference(partial, size, {"sha256": sha256, "md5": md5})
    version.unlink(missing_ok=True)
    if wrong:
        partial.unlink()
        raise ValueError(f"{url}: {wrong}; the download was removed")
    partial.replace(path)
    return path


def _transfer(url: str, partial: Path, version: Path, timeout: float) -> None:
    """Append the missing bytes to ``partial``; start again if the file on the server changed."""
    have = partial.stat().st_size if partial.exists() and version.exists() else 0
    request = urllib.request.Request(url)
    if have:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", version.read_text())
    try:
        answer = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing is missing
            return
        raise
    with answer, Progress(disable=not os.isatty(1)) as progress:
        resumed = answer.status == 206
        if resumed and not re.match(rf"bytes {have}-", answer.headers.get("Content-Range", "")):
            version.unlink(missing_ok=True)  # the next attempt requests the whole file
            raise ConnectionError(f"expected the file from byte {have:,} on, got another part")
        left = answer.headers.get("Content-Length", "")
        expected = int(left) + (have if resumed else 0) if left.isdecimal() else None
        mark = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
        if mark and not mark.startswith("W/"):
            version.write_text(mark)
        else:
            version.unlink(missing_ok=True)
        task = progress.add_task(partial.name[1:-8], total=expected)
        with partial.open("ab" if resumed else "wb") as file:
            progress.update(task, completed=file.tell())
            while block := answer.read(_BLOCK):
                file.write(block)
                progress.update(task, completed=file.tell())
            got = file.tell()
            if expected is not None and got < expected:
                raise ConnectionError(f"connection lost after {got:,} of {expected:,} bytes")


def _difference(path: Path, size: int | None, sums: dict[str, str | None]) -> str | None:
    """Difference between a downloaded file and its expected size and checksums, in words."""
    found = path.stat().st_size
    if size is not None and found != size:
        return f"expected {size:,} bytes (got {found:,})"
    for kind, expected in sums.items():
        if expected is not None:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, kind).hexdigest()
            if digest != expected.lower():
                return f"expected {kind} {expected} (got {digest})"
    return None


def download_hub(
    repo_id: str,
    folder: str | Path,
    *,
    patterns: Sequence[str] | None = None,
    revision: str | None = None,
    **options: Any,
) -> Path:
    """Download a data set of the Hugging Face hub, or resume its download.

    Args:
        repo_id: ``owner/name``.
        folder: Target folder; the files have the same layout as on the hub.
        patterns: Shell patterns of the files to download; None for all files.
        revision: Branch, tag or commit.
        options: More options of :func:`huggingface_hub.snapshot_download`.

    Raises:
        ImportError: If ``huggingface_hub`` is not installed.
        ConnectionError: If the hub does not answer; call again to resume.
    """
    hub = import_hub()
    check_folder(Path(folder) / "file")
    try:
        hub.snapshot_download(
            repo_id,
            repo_type="dataset",
            local_dir=str(folder),
            allow_patterns=None if patterns is None else list(patterns),
            revision=revision,
            **options,
        )
    except (OSError, hub.errors.HfHubHTTPError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConnectionError(
            f"https://huggingface.co/datasets/{repo_id}: could not be downloaded ({reason}); try "
            f"again, or download it by hand to {folder}"
        ) from error
    return Path(folder)
