"""Plotters that need no screen, and the files of their pictures."""

import ctypes
import os
import sys
from pathlib import Path
from typing import Any

from flare_mesh.files import atomic_path, check_folder

_SIZES = (16, 16_384)
_VECTOR = (".svg", ".pdf", ".eps", ".ps")
PICTURE_SUFFIXES = (".png", *_VECTOR)
"""Types of files that pictures are written to."""


def new_plotter(path: str | Path | None = None, **options: Any) -> Any:
    """A ``pyvista.Plotter`` with a white background.

    It draws without a window where a picture is to be written, or there is no screen.

    Args:
        path: The picture that is to be written; None for a plotter that users show.
        options: Options of the plotter.

    Raises:
        ImportError: If there is no OpenGL.
        ValueError: If the size is not a number of pixels.
    """
    size = options.get("window_size")
    if size is not None and (len(size) != 2 or not all(_SIZES[0] <= n <= _SIZES[1] for n in size)):
        raise ValueError(
            f"size: expected a width and a height from {_SIZES[0]} to {_SIZES[1]:,} pixels (got "
            f"{tuple(size)})"
        )
    screen = has_screen()
    if not screen:
        _check_opengl()
        # Otherwise VTK first looks for an X server and prints warnings.
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    from flare_mesh.visualize.notebook_plotter import NotebookPlotter

    off_screen = True if path is not None or not screen else None
    plotter = NotebookPlotter(off_screen=off_screen, border=False, **options)
    plotter.set_background("white", all_renderers=True)  # pyright: ignore[reportArgumentType, reportCallIssue]
    return plotter


def has_screen() -> bool:
    """Whether windows can be opened."""
    if sys.platform != "linux":
        return True
    return bool(os.environ.get("DISPLAY"))


def _check_opengl() -> None:
    """Refuse to draw without OpenGL, where VTK would end the process."""
    if os.environ.get("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow") != "vtkEGLRenderWindow":
        return
    try:
        ctypes.CDLL("libEGL.so.1")
    except OSError:
        raise ImportError(
            "pictures without a screen need OpenGL (no libEGL.so.1); install it, for instance by "
            "'apt-get install libegl1 libgl1-mesa-dri', or run where there is a screen"
        ) from None


def check_picture_path(path: str | Path | None) -> None:
    """Refuse a path that no picture can be written to, before the picture is drawn.

    Raises:
        NotADirectoryError: If a parent of the path is a file.
        ValueError: If it is of another type than :data:`PICTURE_SUFFIXES`.
    """
    if path is None:
        return
    if Path(path).suffix.lower() not in PICTURE_SUFFIXES:
        raise ValueError(
            f"{path}: expected the name of a picture that ends in {', '.join(PICTURE_SUFFIXES)}"
        )
    check_folder(path)


def save_picture(plotter: Any, path: str | Path) -> None:
    """Write what a plotter shows to a file, whole or not at all.

    Args:
        plotter: A ``pyvista.Plotter``.
        path: ``.png``, or a vector format, whose texts and bars stay sharp while the mesh is an
            image.

    Raises:
        ValueError: If the file is of another type.
    """
    check_picture_path(path)
    plotter.render()  # a picture that was shown before would be written as it was
    with atomic_path(path) as temporary:
        if Path(path).suffix.lower() in _VECTOR:
            plotter.save_graphic(temporary, title=Path(path).stem, raster=True)
        else:
            plotter.screenshot(temporary)


def finish_view(plotter: Any, path: str | Path | None, own: bool) -> Any:
    """Write the picture if there is a path; the plotter, or None if it was closed.

    Args:
        plotter: A ``pyvista.Plotter``.
        path: The picture; None for a plotter that users go on with.
        own: Whether the plotter is closed after its picture; a user's own one is not.
    """
    if path is None:
        return plotter
    save_picture(plotter, path)
    if not own:
        return plotter
    plotter.close()
    return None
