"""IDX files of small grey images, as of MNIST."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flare_mesh.datasets.field_dataset import locate_file
from flare_mesh.io.arrays import MAX_BYTES, check_size

_BYTES = 8  # code of unsigned bytes


def find_idx(root: Path, part: str) -> list[Path]:
    """Images and labels of a part (``"train"`` or ``"t10k"``), if both exist."""
    found = []
    for kind in ("images-idx3", "labels-idx1"):
        stem = f"{part}-{kind}-ubyte"
        names = [
            stem,
            f"{stem}.gz",
            stem.replace("-idx", ".idx"),
            f"{stem}.gz".replace("-idx", ".idx"),
        ]
        files = [file for name in names if (file := locate_file(root, name))]
        found += files[:1]
    return found if len(found) == 2 else []


def read_idx(path: Path, axes: int) -> NDArray[np.uint8]:
    """Read unsigned bytes.

    Args:
        path: The file, which may be compressed (``.gz``).
        axes: Expected number of axes.

    Raises:
        ValueError: If it is truncated or damaged, or holds something else.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(4 + 4 * axes)
            if len(head) < 4 + 4 * axes or head[:4] != bytes([0, 0, _BYTES, axes]):
                raise ValueError(f"{path}: expected an IDX file of bytes with {axes} axes")
            shape = tuple(int(size) for size in np.frombuffer(head, ">u4", offset=4))
            check_size(str(path), shape, np.dtype(np.uint8), MAX_BYTES)
            content = file.read(math.prod(shape) + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: not a whole IDX file ({error}); get it again") from error
    if len(content) != math.prod(shape):
        raise ValueError(
            f"{path}: expected {math.prod(shape):,} bytes for {list(shape)} (got "
            f"{'more' if len(content) > math.prod(shape) else f'{len(content):,}'}); get it again"
        )
    return np.frombuffer(content, np.uint8).reshape(shape)
