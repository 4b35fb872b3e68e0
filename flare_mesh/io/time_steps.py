"""Time steps of mesh files."""

from collections.abc import Sequence
from pathlib import Path

from flare_mesh.io.arrays import MAX_BYTES
from flare_mesh.io.mesh_file_check import check_mesh_file
from flare_mesh.io.mesh_formats import mesh_format

_LISTED = 8


def mesh_times(path: str | Path, *, max_bytes: int = MAX_BYTES) -> list[float]:
    """Time of each step of a mesh file, in the unit of the file; empty for a single mesh.

    Args:
        path: A file of one of ``READABLE_SUFFIXES``.
        max_bytes: Limit of the size that the file may declare.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is damaged.
    """
    path = Path(path)
    times = mesh_format(path).function("times")
    if times is None:
        return []
    check_mesh_file(path, max_bytes=max_bytes)
    try:
        return times(path)
    except (ValueError, OSError) as error:
        text = str(error)
        if text.startswith(str(path)):
            raise
        raise ValueError(f"{path}: {text}") from error


def choose_step(times: Sequence[float], step: int | None) -> int:
    """Index of the time step to read, from 0.

    Args:
        times: Time of each step; empty for a file of a single mesh.
        step: The chosen step, negative from the last; None for the only one.

    Raises:
        ValueError: If there are several steps and none is chosen, or there is no such step.
    """
    count = max(len(times), 1)
    if step is None and count > 1:
        raise ValueError(
            f"has {count} time steps, of which one must be chosen by step (0 to {count - 1}, or "
            f"-1 for the last); their times are {_list(times)}"
        )
    chosen = 0 if step is None else step
    if not -count <= chosen < count:
        has = f"its times are {_list(times)}" if times else "it has a single mesh"
        raise ValueError(f"expected a step from {-count} to {count - 1} (got {chosen}); {has}")
    return chosen % count


def _list(times: Sequence[float]) -> str:
    shown = [f"{time:g}" for time in times]
    if len(shown) > _LISTED:
        shown = [*shown[: _LISTED - 2], "...", shown[-1]]
    return ", ".join(shown)
