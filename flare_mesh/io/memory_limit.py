"""Memory that this process may use."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import psutil


def memory_limit(root: str | Path = "/") -> int:
    """Physical memory, or the smaller limit of the control groups of this process, in bytes.

    Control groups are how containers and schedulers limit memory on Linux.

    Args:
        root: Folder of ``proc`` and ``sys``.
    """
    return min([psutil.virtual_memory().total, *_group_limits(Path(root))])


def _group_limits(root: Path) -> Iterator[int]:
    """Limits of the groups of this process and of the groups that these are in."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "":
            folder, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            folder, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        # In a container the path may begin outside of what is mounted.
        inside = PurePosixPath(path.lstrip("/"))
        for place in (inside, *inside.parents):
            try:
                text = (folder / place / name).read_text().strip()
            except OSError:
                continue
            if text.isdecimal():  # not "max"
                yield int(text)
