"""Vector registers of the processor that loops are compiled for."""

import os
from functools import cache

from numba.core import config
from numba.core.codegen import get_host_cpu_features

_VARIABLE = "NUMBA_CPU_FEATURES"


def use_wide_vectors() -> None:
    """Vectorise loops for 512-bit registers where the processor has them.

    LLVM prefers 256-bit vectors on most AVX-512 processors. The choice is a part of Numba's cache
    key, and is left to the user who sets NUMBA_CPU_FEATURES.
    """
    if _VARIABLE in os.environ or config.CPU_FEATURES is not None:  # pyright: ignore
        return
    host = get_host_cpu_features()
    if "+avx512f" in host.split(","):
        os.environ[_VARIABLE] = config.CPU_FEATURES = f"{host},-prefer-256-bit"  # pyright: ignore


def host_features() -> list[str]:
    """LLVM's names of the processor's features, each with + or -."""
    return get_host_cpu_features().split(",")


@cache
def registers() -> tuple[int, int]:
    """Bytes of a vector register, and the number of such registers."""
    chosen = config.CPU_FEATURES  # pyright: ignore[reportAttributeAccessIssue]
    found = (get_host_cpu_features() if chosen is None else chosen).split(",")
    if "+avx512f" in found:
        return 64, 32
    if "+avx" in found:
        return 32, 16
    return (16, 32) if "+neon" in found else (16, 16)


def check_features() -> None:
    """Check that the processor has the instructions that loops are compiled for.

    Raises:
        RuntimeError: If NUMBA_CPU_FEATURES asks for some that it lacks: compiled loops would end
            the process with an illegal instruction.
    """
    asked = config.CPU_FEATURES  # pyright: ignore[reportAttributeAccessIssue]
    if asked is None:
        return
    lacking = {one[1:] for one in host_features() if one.startswith("-")}
    missing = [one[1:] for one in asked.split(",") if one[:1] == "+" and one[1:] in lacking]
    if missing:
        raise RuntimeError(
            f"{_VARIABLE} asks for {', '.join(missing)}, which this processor lacks; unset it"
        )
