"""Errors and warnings about parts and simulations."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class PartError(ValueError):
    """A part cannot be simulated: the message names it, the reason and the remedy."""


class IslandError(PartError):
    """Voxels that nothing supports when their layer is built."""


class SolverError(RuntimeError):
    """A solver did not converge: the message names the layer and the residual."""


class PartWarning(UserWarning):
    """A part is simulated, but not exactly as its file says."""


@contextmanager
def name_file(path: str | Path) -> Iterator[None]:
    """Name the file in an OSError; the system does not, for instance when a disk is full."""
    try:
        yield
    except OSError as error:
        if error.strerror is None:
            raise  # not from the system
        raise OSError(
            f"{path}: cannot be written ({error.strerror}); choose another place"
        ) from error
