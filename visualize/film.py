"""Files of moving pictures."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.files import atomic_path, check_folder

FILM_SUFFIXES = (".gif", ".mp4")
"""Types of files that animations are written to."""


def check_film_path(path: str | Path) -> None:
    """Refuse a path that no animation can be written to, before the first picture is drawn.

    Raises:
        ImportError: If ``.mp4`` needs a package that is not installed.
        NotADirectoryError: If a parent of the path is a file.
        ValueError: If it is of another type than :data:`FILM_SUFFIXES`.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FILM_SUFFIXES:
        raise ValueError(f"{path}: expected the name of an animation that ends in .gif or .mp4")
    check_folder(path)
    if suffix == ".mp4":
        try:
            import imageio_ffmpeg  # noqa: F401
        except ImportError:
            raise ImportError(
                f"{path}: .mp4 needs imageio-ffmpeg, which is not installed; install it by 'pip "
                f"install flare-mesh[view]', or write a .gif"
            ) from None


def save_film(path: str | Path, pictures: Iterator[NDArray[np.uint8]], fps: float) -> None:
    """Write pictures as an animation, whole or not at all.

    Args:
        path: ``.gif``, which repeats forever, or ``.mp4``.
        pictures: Pictures [height, width, 3], all of one size.
        fps: Pictures per second.
    """
    with atomic_path(path) as temporary:
        write = _write_gif if Path(path).suffix.lower() == ".gif" else _write_mp4
        write(temporary, pictures, fps)


def _write_gif(path: Path, pictures: Iterator[NDArray[np.uint8]], fps: float) -> None:
    from PIL import Image

    def palettes() -> Iterator[Any]:
        for picture in pictures:
            yield Image.fromarray(picture).quantize(256, kmeans=1, dither=Image.Dither.NONE)

    frames = palettes()
    next(frames).save(
        path, save_all=True, append_images=frames, duration=round(1000 / fps), loop=0, disposal=2
    )


def _write_mp4(path: Path, pictures: Iterator[NDArray[np.uint8]], fps: float) -> None:
    from imageio_ffmpeg import write_frames

    first = next(pictures)
    # The codec needs even sizes.
    height, width = (size - size % 2 for size in first.shape[:2])
    options: Any = {"fps": fps, "quality": 8, "macro_block_size": 2}
    writer = write_frames(str(path), (width, height), **options)
    writer.send(None)
    try:
        writer.send(np.ascontiguousarray(first[:height, :width]))
        for picture in pictures:
            writer.send(np.ascontiguousarray(picture[:height, :width]))
    finally:
        writer.close()
