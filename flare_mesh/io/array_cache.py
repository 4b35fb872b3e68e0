"""Cached arrays that are derived from raw files."""

import glob
import hashlib
import logging
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
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
    """A memory-mapped array that ``make`` derives from ``sources`` once.

    The name of the cached file is that of ``target`` with the fingerprint of the sources. If a
    source changes or the cached file is damaged, the array is made again, and an outdated file
    removed. Where no file can be written, the array is made at each call and a warning is logged.

    Args:
        target: Path that ends in ``.npy``.
        sources: Files that the array depends on.
        make: Function that makes the array.

    Raises:
        FileNotFoundError: If a source is missing.
    """
    save, load = partial(np.save, allow_pickle=False), partial(open_npy, records=True)
    return _cached(target, sources, make, save, load)


def cached_npz(
    target: Path,
    sources: Sequence[Path],
    make: Callable[[], dict[str, NDArray[Any]]],
    names: Sequence[str],
) -> dict[str, NDArray[Any]]:
    """Like :func:`cached_npy`, for the arrays ``names`` of an uncompressed ``.npz`` file."""

    def save(path: Path, arrays: dict[str, Any]) -> None:
        np.savez(path, **arrays)

    return _cached(target, sources, make, save, lambda path: read_npz(path, names))


def cached_npy_file(target: Path, sources: Sequence[Path], save: Callable[[Path], None]) -> Path:
    """Like :func:`cached_npy`, for an array too large for memory, which ``save`` writes to a path.

    Where no file can be written, the array is written to a temporary folder, which is removed when
    the process ends, and a warning is logged.

    Returns:
        Path of the npy file.
    """
    path = _cache_path(target, sources)
    if _load(path, open_npy) is not None:
        return path
    folder = _TEMPORARY.get(path)
    if folder is None:
        if _save(path, target, save):
            return path
        folder = tempfile.TemporaryDirectory(prefix="flare-mesh-")
        save(Path(folder.name, path.name))
        _TEMPORARY[path] = folder
    return Path(folder.name, path.name)


def _cached(
    target: Path,
    sources: Sequence[Path],
    make: Callable[[], _T],
    save: Callable[[Path, _T], None],
    load: Callable[[Path], _T],
) -> _T:
    path = _cache_path(target, sources)
    cached = _load(path, load)
    if cached is not None:
        return cached
    made = make()
    return load(path) if _save(path, target, lambda file: save(file, made)) else made


def _cache_path(target: Path, sources: Sequence[Path]) -> Path:
    return target.with_name(f"{target.stem}-{fingerprint(sources)}{target.suffix}")


def _load(path: Path, load: Callable[[Path], _T]) -> _T | None:
    """Content of a cached file; None if it does not exist or is damaged."""
    try:
        return load(path)
    except FileNotFoundError:
        return None
    except ValueError as error:
        _log.warning("%s; it is made again", error)
        return None


def _save(path: Path, target: Path, save: Callable[[Path], None]) -> bool:
    try:
        with atomic_path(path) as temporary:
            save(temporary)
    except OSError as error:
        _log.warning("%s: cannot be cached, so it is made at each access (%s)", path, error)
        return False
    for old in path.parent.glob(f"{glob.escape(target.stem)}-{'[0-9a-f]' * 12}{target.suffix}"):
        if old != path:
            old.unlink(missing_ok=True)
    return True


def fingerprint(sources: Sequence[Path]) -> str:
    """Twelve hexadecimal digits that change with the names, sizes and times of files."""
    states = [(path.name, path.stat()) for path in sources]
    text = "|".join(f"{name}:{state.st_size}:{state.st_mtime_ns}" for name, state in states)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
