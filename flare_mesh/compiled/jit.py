"""Compilation of loops for the CPU by Numba."""

from numba import njit

from flare_mesh.compiled.processor import use_wide_vectors

use_wide_vectors()

# NaN must reach the results. Sums that are vectorised need "reassoc"; only the maxima that are
# subtracted in a softmax may ignore NaN and infinity.
FAST = {"nsz", "arcp", "contract"}
FAST_SUM = FAST | {"reassoc"}
FAST_MAX = FAST | {"nnan", "ninf"}


def jit(function=None, *, fastmath=FAST):
    """njit without the interpreter lock, cached on disk if the folder is writable."""
    if function is None:
        return lambda f: jit(f, fastmath=fastmath)
    # Division as in NumPy: a check for zero would prevent vectorisation.
    options = {"nogil": True, "fastmath": fastmath, "error_model": "numpy"}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # Numba found no writable folder
        return njit(**options)(function)
