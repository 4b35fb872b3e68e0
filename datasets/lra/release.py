"""The archive of the Long Range Arena's release."""

from pathlib import Path

from flare_mesh.io.archives import extract_tar
from flare_mesh.io.download import download_file

RELEASE = "https://storage.googleapis.com/long-range-arena/lra_release.gz"
"""Address of the release, 7.7 GB."""


def missing_release(path: str, recipe: str | None = None) -> str:
    """That a file of the release is missing, and how to get it."""
    make = f", or make it by 'python -m flare_mesh.datasets.generate {recipe}'" if recipe else ""
    return f"no {path} there; unpack {RELEASE} there{make}"


def download_release(root: str | Path, *, max_bytes: int) -> None:
    """Download the release and unpack it to ``root/lra_release``, unless that is complete.

    Args:
        root: Folder of the data sets.
        max_bytes: Limit of the unpacked size.
    """
    archive, folder = Path(root, "lra_release.tar.gz"), Path(root, "lra_release")
    # The archive is removed last: without it the release is complete.
    if folder.is_dir() and not archive.exists():
        return
    download_file(RELEASE, archive)
    extract_tar(archive, Path(root), max_bytes=max_bytes)
    archive.unlink()
