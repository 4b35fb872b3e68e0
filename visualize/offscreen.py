"""Plots of displacements without a screen."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from flare_mesh.mesh import MeshData
from flare_mesh.visualize.picture import new_plotter, save_picture


@contextmanager
def offscreen_plotter(path: str | Path, **options: Any) -> Iterator[Any]:
    """A ``pyvista.Plotter`` whose picture is written to a file at the end of the block.

    Args:
        path: The file to write.
        options: Options of the plotter.
    """
    plotter = new_plotter(path, **options)
    yield plotter
    save_picture(plotter, path)
    plotter.close()


def check_displacement(name: str, mesh: MeshData, displacement: Tensor) -> None:
    """Refuse an empty mesh, and a displacement of another shape than [N, 3].

    Raises:
        ValueError: If the mesh is empty, or the displacement has another shape.
    """
    if mesh.num_nodes == 0:
        raise ValueError(f"'{name}': expected a mesh with points (got none)")
    if tuple(displacement.shape) != (mesh.num_nodes, 3):
        raise ValueError(
            f"expected the displacement '{name}' of shape [{mesh.num_nodes}, 3] "
            f"(got {list(displacement.shape)})"
        )
