"""Lock of a run's folder."""

import errno
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from flare_mesh.files import write_text

_LOCK, _OWNER = ".fit.lock", ".fit.owner"
_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP}


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Lock a run's folder, so that no second process trains in it at the same time.

    The system releases the lock when the process ends, however it ends. Two machines that share
    the folder exclude each other if their file system has locks (NFS has). Of several processes
    that train together, the first one takes the lock. A folder that is made for the lock and has
    no other files in the end is removed.

    Raises:
        ValueError: If another process trains in the folder; names its number and machine.
    """
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    lock, owner = FileLock(folder / _LOCK), folder / _OWNER
    _acquire(lock, folder)
    text = f"process {os.getpid()} on {socket.gethostname()}"
    try:
        write_text(owner, text)
        yield
    finally:
        # The folder may be gone, or another run's by now.
        with suppress(OSError):
            if owner.read_text(encoding="utf-8") == text:
                owner.unlink()
                (folder / _LOCK).unlink(missing_ok=True)
        lock.release()
        with suppress(OSError):
            for place in made:
                place.rmdir()


def is_first_process() -> bool:
    """Whether this is the first of the processes that train together, before they are connected."""
    from lightning.fabric.utilities.rank_zero import rank_zero_only

    node = os.environ.get("NODE_RANK", os.environ.get("GROUP_RANK", "0"))
    return getattr(rank_zero_only, "rank", 0) == 0 and node == "0"


def _acquire(lock: FileLock, folder: Path) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        owner = "another process"
        with suppress(OSError):
            owner = (folder / _OWNER).read_text(encoding="utf-8")
        raise ValueError(
            f"{folder}: {owner} is training in this folder; wait until it ends, or choose another "
            f"--out"
        ) from None
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
            raise
        warnings.warn(
            f"{folder}: its file system has no locks; do not start a second fit in this folder",
            stacklevel=2,
        )
