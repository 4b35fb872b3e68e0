"""What is derived from raw files once and kept."""

import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.data import atomic_path
from flare_mesh.data.arrays import open_npy, read_npz

_log = logging.getLogger(__name__)


def keep_npy(
    target: Path, sources: Sequence[Path], make: Callable[[], NDArray[Any]]
) -> NDArray[Any]:
    """The array that ``make`` derives from ``sources``; memory-mapped, and made only once.

    It stands at ``target`` with a tag in its name that tells the size and time of each source: if
    one changes, the array is made anew and the old one removed. Where nothing can be written, it
    is made at each call and a warning is logged.

    Args:
        target: Path that ends in ``.npy``.
        sources: Files that the array depends on.
        make: Makes the array.

    Raises:
        FileNotFoundError: If a source is missing.
    """
    path = _tagged(target, sources)
    if not path.exists():
        array = make()
        if not _keep(path, target, lambda file: np.save(file, array, allow_pickle=False)):
            return array
    return open_npy(path)


def keep_npz(
    target: Path,
    sources: Sequence[Path],
    make: Callable[[], dict[str, NDArray[Any]]],
    names: Sequence[str],
) -> dict[str, NDArray[Any]]:
    """As :func:`keep_npy`, for the arrays ``names`` in one ``.npz``, which is not compressed."""
    path = _tagged(target, sources)
    if not path.exists():
        arrays = make()
        if not _keep(path, target, lambda file: _savez(file, arrays)):
            return arrays
    return read_npz(path, names)


def _savez(path: Path, arrays: dict[str, Any]) -> None:
    np.savez(path, **arrays)


def _tagged(target: Path, sources: Sequence[Path]) -> Path:
    return target.with_name(f"{target.stem}-{source_tag(sources)}{target.suffix}")


def _keep(path: Path, target: Path, save: Callable[[Path], None]) -> bool:
    try:
        with atomic_path(path) as temporary:
            save(temporary)
    except OSError as error:
        _log.warning("%s: cannot be kept, so it is made at each access (%s)", path, error)
        return False
    for old in path.parent.glob(f"{target.stem}-{'[0-9a-f]' * 12}{target.suffix}"):
        if old != path:
            old.unlink(missing_ok=True)
    return True


def source_tag(sources: Sequence[Path]) -> str:
    """Twelve digits that change with the names, sizes and times of files."""
    states = [(path.name, path.stat()) for path in sources]
    text = "|".join(f"{name}:{state.st_size}:{state.st_mtime_ns}" for name, state in states)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
