"""What can be wrong with a part or a simulation, as the user's input."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class PartError(ValueError):
    """A part that cannot be simulated: the message names it, the reason and the remedy."""


class IslandError(PartError):
    """Voxels that nothing supports when their layer is built."""


class SolverError(RuntimeError):
    """A solver that did not converge: the message names the layer and the residual."""


class PartWarning(UserWarning):
    """A part that is simulated, but not exactly as its file says."""


@contextmanager
def name_file(path: str | Path) -> Iterator[None]:
    """Names the file in an error of the system, which tells of a full disk without it."""
    try:
        yield
    except OSError as error:
        if error.strerror is None:
            raise  # an error of ours
        raise OSError(
            f"{path}: cannot be written ({error.strerror}); choose another place"
        ) from error
