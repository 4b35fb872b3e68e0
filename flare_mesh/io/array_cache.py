"""What is derived from raw files once and kept."""

import glob
import hashlib
import logging
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from flare_mesh.files import atomic_path
from flare_mesh.io.arrays import open_npy, read_npz

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_TEMPORARY: dict[Path, tempfile.TemporaryDirectory[str]] = {}


def cached_npy(
    target: Path, sources: Sequence[Path], make: Callable[[], NDArray[Any]]
) -> NDArray[Any]:
    """The array that ``make`` derives from ``sources``; memory-mapped, and made only once.

    It stands at ``target`` with a tag in its name that tells the size and time of each source: if
    one changes, or the kept file is damaged, the array is made anew and the old one removed. Where
    nothing can be written, it is made at each call and a warning is logged.

    Args:
        target: Path that ends in ``.npy``.
        sources: Files that the array depends on.
        make: Makes the array.

    Raises:
        FileNotFoundError: If a source is missing.
    """
    path = _tagged(target, sources)
    kept = _load(path, open_npy)
    if kept is not None:
        return kept
    array = make()
    if not _keep(path, target, lambda file: np.save(file, array, allow_pickle=False)):
        return array
    return open_npy(path)


def cached_npz(
    target: Path,
    sources: Sequence[Path],
    make: Callable[[], dict[str, NDArray[Any]]],
    names: Sequence[str],
) -> dict[str, NDArray[Any]]:
    """As :func:`cached_npy`, for the arrays ``names`` in one ``.npz``, which is not compressed."""
    path = _tagged(target, sources)
    kept = _load(path, lambda file: read_npz(file, names))
    if kept is not None:
        return kept
    arrays = make()
    if not _keep(path, target, lambda file: _savez(file, arrays)):
        return arrays
    return read_npz(path, names)


def cached_npy_file(target: Path, sources: Sequence[Path], save: Callable[[Path], None]) -> Path:
    """As :func:`cached_npy`, for an array too large for memory, which ``save`` writes to a path.

    Where nothing can be written, it goes to a folder for temporary files and a warning is logged.

    Returns:
        The npy file's path.
    """
    path = _tagged(target, sources)
    if _load(path, open_npy) is not None:
        return path
    elsewhere = _TEMPORARY.get(path)
    if elsewhere is None:
        if _keep(path, target, save):
            return path
        # Removed when the process ends.
        elsewhere = tempfile.TemporaryDirectory(prefix="flare-mesh-")
        save(Path(elsewhere.name, path.name))
        _TEMPORARY[path] = elsewhere
    return Path(elsewhere.name, path.name)


def _savez(path: Path, arrays: dict[str, Any]) -> None:
    np.savez(path, **arrays)


def _tagged(target: Path, sources: Sequence[Path]) -> Path:
    return target.with_name(f"{target.stem}-{fingerprint(sources)}{target.suffix}")


def _load(path: Path, load: Callable[[Path], _T]) -> _T | None:
    """What is kept at ``path``; None where nothing is, or it is damaged."""
    try:
        return load(path)
    except FileNotFoundError:
        return None
    except ValueError as error:
        _log.warning("%s; it is made anew", error)
        return None


def _keep(path: Path, target: Path, save: Callable[[Path], None]) -> bool:
    try:
        with atomic_path(path) as temporary:
            save(temporary)
    except OSError as error:
        _log.warning("%s: cannot be kept, so it is made at each access (%s)", path, error)
        return False
    for old in path.parent.glob(f"{glob.escape(target.stem)}-{'[0-9a-f]' * 12}{target.suffix}"):
        if old != path:
            old.unlink(missing_ok=True)
    return True


def fingerprint(sources: Sequence[Path]) -> str:
    """Twelve digits that change with the names, sizes and times of files."""
    states = [(path.name, path.stat()) for path in sources]
    text = "|".join(f"{name}:{state.st_size}:{state.st_mtime_ns}" for name, state in states)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
