"""Compilation of loops for the CPU by Numba."""

import logging
from typing import Any

from numba import njit

from flare_mesh.compiled.processor import use_wide_vectors
from flare_mesh.compiled.sources import source_checksum

use_wide_vectors()

# NaN must reach the results. Sums that are vectorised need "reassoc"; only the maxima that are
# subtracted in a softmax may ignore NaN and infinity.
FAST = {"nsz", "arcp", "contract"}
FAST_SUM = FAST | {"reassoc"}
FAST_MAX = FAST | {"nnan", "ninf"}

_log = logging.getLogger(__name__)


class _TolerantCache:
    """A function's cache on disk, which costs the time of a compilation where it is no use.

    That is where it fails, and where the function's file or one that it imports has changed. Numba
    looks at the date of the function's own file alone, although the functions that it calls are
    compiled into it.
    """

    def __init__(self, cache: Any, checksum: str) -> None:
        self._cache = cache
        cache._cache_file._source_stamp = checksum

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def load_overload(self, *arguments: Any) -> Any:
        try:
            return self._cache.load_overload(*arguments)
        except Exception as error:  # a damaged file raises errors of any kind
            self._report("read", error)
            return None

    def save_overload(self, *arguments: Any) -> None:
        try:
            self._cache.save_overload(*arguments)
        except Exception as error:
            self._report("write", error)

    def _report(self, action: str, error: Exception) -> None:
        _log.warning(
            "cannot %s compiled code in %s (%s: %s); it is compiled in each process: delete the "
            "folder, or set NUMBA_CACHE_DIR to a writable one",
            action, self._cache.cache_path, type(error).__name__, error,
        )  # fmt: skip


def jit(function=None, *, fastmath=FAST):
    """njit without the interpreter lock, cached on disk if the folder is writable.

    Modules with such functions import others of the package at their beginning, since the cache
    depends on these imports.
    """
    if function is None:
        return lambda f: jit(f, fastmath=fastmath)
    # Division as in NumPy: a check for zero would prevent vectorisation.
    options = {"nogil": True, "fastmath": fastmath, "error_model": "numpy"}
    try:
        compiled: Any = njit(cache=True, **options)(function)
    except RuntimeError:  # Numba found no writable folder
        return njit(**options)(function)
    packages = {"flare_mesh", function.__module__.partition(".")[0]}
    checksum = source_checksum(function.__code__.co_filename, packages)
    compiled._cache = _TolerantCache(compiled._cache, checksum)
    return compiled
