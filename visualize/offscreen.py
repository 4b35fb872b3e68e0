"""Plots of displacements without a screen."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from flare_mesh.files import atomic_path
from flare_mesh.mesh import MeshData


@contextmanager
def offscreen_plotter(path: str | Path, **options: Any) -> Iterator[Any]:
    """A ``pyvista.Plotter`` whose picture is written to a PNG file at the end of the block.

    Args:
        path: The file to write.
        options: Options of the plotter.
    """
    if sys.platform == "linux" and not os.environ.get("DISPLAY"):
        # Otherwise VTK first looks for an X server and prints warnings.
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    import pyvista

    plotter: Any = pyvista.Plotter(off_screen=True, border=False, **options)
    yield plotter
    plotter.set_background("white", all_renderers=True)  # pyright: ignore[reportArgumentType, reportCallIssue]
    with atomic_path(path) as temporary:
        plotter.screenshot(temporary)
    plotter.close()


def check_displacement(name: str, mesh: MeshData, displacement: Tensor) -> None:
    """Refuse a displacement of another shape than [N, 3].

    Raises:
        ValueError: If it has another shape.
    """
    if tuple(displacement.shape) != (mesh.num_nodes, 3):
        raise ValueError(
            f"expected the displacement '{name}' of shape [{mesh.num_nodes}, 3] "
            f"(got {list(displacement.shape)})"
        )
