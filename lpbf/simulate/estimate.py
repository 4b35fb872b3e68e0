"""Time and memory of a build, estimated before it begins."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import psutil
from numpy.typing import NDArray

from flare_mesh.io.memory_limit import memory_limit
from lpbf.core.errors import PartError, PartWarning
from lpbf.core.mesh import HexMesh
from lpbf.core.process import Process
from lpbf.mechanics.build import make_build
from lpbf.solve.preconditioner import nodes_per_plane, prefers_elimination

# Fitted to builds on one core of an AMD Zen 3 (benchmarks/lpbf_estimate.py): seconds of a layer, of
# a cell in each layer that it is active in, of a cell in a cut, ...
_LAYER, _CELL, _CUT = 0.012, 5e-6, 15e-6
_PLASTIC = 60e-6  # ... of an active cell in a plastic increment,
_HEAT = 0.75e-6  # and in a time step of the heat conduction.
# Bytes of the process, and those of each cell: elastic, with cuts, plastic.
_PROCESS, _BYTES, _CUT_BYTES, _PLASTIC_BYTES = 20e6, 2700, 1000, 6900
_INVERSE = 12  # bytes of each number in the direct solution's inverses
_STATE = 24  # bytes of an active cell in each state of the history


@dataclass(frozen=True, eq=False)
class Estimate:
    """Time and memory of a build.

    Attributes:
        heat: Seconds of the heat conduction, which comes first.
        steps: Seconds of each layer and each cut on one core, [S].
        memory: Bytes in addition to those in use.
        num_cells: Voxels of part, supports, plate and powder.
    """

    heat: float
    steps: NDArray[np.float64]
    memory: float
    num_cells: int

    @property
    def seconds(self) -> float:
        """Seconds of the whole build on one core."""
        return self.heat + float(self.steps.sum())

    def done(self, number: int) -> float:
        """Share of the work that is done after so many layers and cuts."""
        return (self.heat + float(self.steps[:number].sum())) / self.seconds

    def __str__(self) -> str:
        time = timedelta(seconds=math.ceil(self.seconds))
        return f"about {time} h on one core, {self.memory / 1e9:.2g} GB of memory"


def estimate_build(mesh: HexMesh, process: Process, *, history: bool = False) -> Estimate:
    """Estimate the time and the memory of :func:`lpbf.simulate` on a CPU.

    Builds of solid parts and walls take a third to three times as long, and half to twice the
    memory (benchmarks/lpbf_estimate.py). Plastic parts are estimated as if all of them flowed.
    Lattices, and powder or supports with their many iterations, take longer.

    Raises:
        IslandError: If the mesh has unsupported voxels and the process refuses them.
        PartError: If given supports touch nothing.
        ValueError: If the process does not fit the mesh.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PartWarning)  # the simulation gives them
        build = make_build(mesh, process)
    layers = np.arange(build.num_layers)
    active = np.searchsorted(build.cell_layer, layers, side="right").astype(float)
    increments = process.plastic_increments if process.strain == "inherent" else 1
    stages = 1
    if process.strain == "thermal" and process.heat is not None:
        stages = process.heat.time_steps
    seconds = stages * (_LAYER + _CELL * active)
    if process.plasticity:
        seconds = seconds + stages * increments * (_LAYER + _PLASTIC * active)
    num_cells = build.mesh.num_cells
    cuts = 0
    if process.release:
        cuts = 1 if process.release is True else len(process.release)
    heat = 0.0
    if process.heat is not None:
        heat = _HEAT * process.heat.time_steps * float(active.sum())
    memory = _PROCESS + _BYTES * num_cells + _CUT_BYTES * num_cells * bool(cuts)
    if process.plasticity:
        memory += _PLASTIC_BYTES * num_cells
    if history:
        memory += _STATE * float(active.sum())
    index = build.mesh.cell_index
    tops = index[active.astype(int) - 1, 2] + 1
    if prefers_elimination(index, tops):
        memory += _INVERSE * float(((3.0 * nodes_per_plane(index)) ** 2).sum())
    cut = _CUT * num_cells * (20.0 if process.plasticity else 1.0)
    return Estimate(heat, np.append(seconds, np.full(cuts, cut)), memory, num_cells)


def free_memory() -> int:
    """Bytes that this process may still take."""
    rest = memory_limit() - psutil.Process().memory_info().rss
    return max(min(psutil.virtual_memory().available, rest), 0)


def check_memory(
    estimate: Estimate,
    mesh: HexMesh,
    voxel_size: Callable[[float], tuple[float, float, float]],
    name: str,
) -> None:
    """Refuse a build that needs more memory than there is.

    Args:
        estimate: The estimate of the build.
        mesh: The part.
        voxel_size: Edge lengths of a voxel of a pitch, see :meth:`Process.voxel_size`.
        name: The part, in the message.

    Raises:
        PartError: If the memory does not hold the build; names a pitch that would.
    """
    free = free_memory()
    if estimate.memory <= free:
        return
    volume = float(np.prod(mesh.spacing))
    remedy = "use a machine with more memory"
    for step in range(1, 100):
        pitch = float(f"{max(mesh.spacing[:2]) * 1.05**step:.2g}")
        share = volume / float(np.prod(voxel_size(pitch)))
        if _PROCESS + (estimate.memory - _PROCESS) * share <= free:
            remedy = f"a pitch of {pitch:g} mm would fit"
            break
    raise PartError(
        f"{name}: the build of {estimate.num_cells:,} voxels needs about "
        f"{estimate.memory / 1e9:.3g} GB of memory (got {free / 1e9:.3g} GB free); {remedy}"
    )
