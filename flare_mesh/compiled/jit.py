"""How our loops are compiled for the CPU."""

from numba import njit

# NaN must pass through to the result. Only sums over latents need to be reassociated, and only
# maxima, which decide on nothing but references, may take NaN as they like.
FAST = {"nsz", "arcp", "contract"}
FAST_SUM = FAST | {"reassoc"}
FAST_MAX = FAST | {"nnan", "ninf"}


def jit(function=None, *, fastmath=FAST):
    """njit without the interpreter lock, kept on disk where the place allows it."""
    if function is None:
        return lambda f: jit(f, fastmath=fastmath)
    # NumPy's divisions: a check for zero would keep a loop out of vector registers.
    options = {"nogil": True, "fastmath": fastmath, "error_model": "numpy"}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # no writable folder for the cache
        return njit(**options)(function)
