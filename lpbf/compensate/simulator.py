"""Displacement of a part's voxels: simulated, or given in place of a simulation."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Union, cast

import numpy as np
from numpy.typing import NDArray

from lpbf.compensate.mesh_field import MeshField
from lpbf.compensate.surface_field import Simulator
from lpbf.core.mesh import HexMesh
from lpbf.core.process import Process
from lpbf.simulate import simulate

if TYPE_CHECKING:
    from flare_mesh.mesh import MeshData

Displacement = Callable[[HexMesh], NDArray[np.float64]] | Union["MeshData", str, Path]
OnStep = Callable[[int, int, int, str], None]
"""Called after each layer and each cut with the number of the simulation, from 0, the steps of it
that are done, all of its steps, and the name of the last one."""


def given_field(displacement: Displacement) -> Simulator:
    """The given displacement in place of a simulation.

    Args:
        displacement: A function, mesh or file, see :func:`lpbf.compensate`.
    """
    if isinstance(displacement, str | Path) or hasattr(displacement, "pos"):
        return MeshField(cast("MeshData | str | Path", displacement))
    function = cast("Callable[[HexMesh], NDArray[np.float64]]", displacement)

    def given(mesh: HexMesh) -> tuple[NDArray[np.float64], None]:
        values = np.asarray(function(mesh), dtype=np.float64)
        if values.shape != (mesh.num_nodes, 3) or not np.isfinite(values).all():
            raise ValueError(
                f"displacement: expected finite values of shape [{mesh.num_nodes}, 3] in mm (got "
                f"{list(values.shape)}, {int((~np.isfinite(values)).sum())} not finite)"
            )
        return values, None

    return given


class Simulation:
    """Function from a mesh to its displacement and the voxels that the release removes.

    Args:
        process: The process.
        on_step: Called after each step of the simulations, which are numbered in their order.
    """

    def __init__(self, process: Process, on_step: OnStep | None) -> None:
        self._process, self._on_step = process, on_step
        self._number = -1

    def __call__(self, mesh: HexMesh) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
        self._number += 1
        result = simulate(mesh, self._process, on_step=self._tell)
        return result.displacement, result.removed

    def _tell(self, done: int, total: int, name: str) -> None:
        if self._on_step is not None:
            self._on_step(self._number, done, total, name)
