"""A measurement as a least-squares problem: computed values as a function of the unknowns."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from lpbf.calibrate.least_squares import Residuals
from lpbf.calibrate.measurement import Measurement
from lpbf.calibrate.parameters import make_parameters
from lpbf.calibrate.probe import Probe
from lpbf.core.cut import check_release
from lpbf.core.errors import PartError, PartWarning
from lpbf.core.mesh import HexMesh
from lpbf.core.part import load_part
from lpbf.core.process import Process
from lpbf.core.voxelize import voxelize
from lpbf.simulate import simulate

Array = NDArray[np.float64]

LARGEST_STRAIN = 0.1
"""Largest component of an inherent strain that a process accepts."""


@dataclass(frozen=True)
class Simulation:
    """One simulation of a calibration.

    Attributes:
        number: From 1.
        inherent_strain: The strain that was simulated.
        seconds: Wall time; None if unknown.
    """

    number: int
    inherent_strain: tuple[float, float, float]
    seconds: float | None


class Problem:
    """The simulation of a measured part with an inherent strain that is to be identified.

    Args:
        measurement: The measured part.
        on_simulation: Function to call after each simulation.
        device: Device of the simulations.

    Attributes:
        parameters: The unknowns, p.
        mesh: Voxels of the part.
        residuals: Uncertainties of the values, and the rigid-body motions that are fitted beside.
        freedom: Degrees of freedom of the residuals.
        simulations: Number of simulations.

    Raises:
        FileNotFoundError: If the part's file does not exist.
        PartError: If the part is unusable at this pitch.
        ValueError: If a point lies outside the part, or there are too few values.
    """

    def __init__(
        self,
        measurement: Measurement,
        on_simulation: Callable[[Simulation], None] | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        process = replace(measurement.process, strain_source=None)
        self.parameters = make_parameters(measurement.parameters, process)
        specimen = measurement.specimen
        if specimen is not None:
            surface = specimen.surface()
        else:
            assert measurement.part is not None
            surface = load_part(measurement.part, unit=measurement.unit)
        islands = process.choose_islands()
        place = measurement.place
        self.mesh = voxelize(surface, measurement.pitch, islands=islands, place=place)
        assert self.mesh.placement is not None
        left = _left(self.mesh, process)
        self._probe = Probe(self.mesh, left, self.mesh.placement, measurement.points)
        motions = self._probe.rigid_motions()
        if measurement.alignment == "given":
            motions = motions[:, :0]
        self.residuals = Residuals(measurement.uncertainties, motions)
        count = len(self.parameters.names)
        self.freedom = len(measurement.points) - count - self.residuals.rank
        _check_count(measurement, count, self.residuals.rank)
        heat = process.heat
        if heat is not None and not process.plasticity and not heat.thermal_strain:
            # The temperature has no effect on the displacement of an elastic part.
            process = replace(process, heat=None)
        self._process, self._on_simulation, self._device = process, on_simulation, device
        self.simulations = 0

    @property
    def is_linear(self) -> bool:
        """Whether the computed values are linear in the unknowns."""
        return not self._process.plasticity

    @property
    def has_offset(self) -> bool:
        """Whether a linear problem has computed values other than zero if the unknowns are."""
        return self._process.heat is not None or bool(self.parameters.offset.any())

    def is_small(self, numbers: Array) -> bool:
        """Whether the numbers give a strain that a process accepts."""
        return bool(np.abs(self.parameters.strain(numbers)).max() <= LARGEST_STRAIN)

    def values(self, numbers: Array) -> Array:
        """Simulate the part: the computed values [n] for numbers [p], mm."""
        exx, eyy, ezz = self.parameters.strain(numbers).tolist()
        process = replace(self._process, inherent_strain=(exx, eyy, ezz))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PartWarning)  # about a strain that is not the result
            result = simulate(self.mesh, process, device=self._device)
        self.simulations += 1
        if self._on_simulation is not None:
            self._on_simulation(Simulation(self.simulations, (exx, eyy, ezz), result.seconds))
        return self._probe.values(result.displacement)


def _left(mesh: HexMesh, process: Process) -> NDArray[np.bool_]:
    """Voxels of the part that the cuts of the release leave, [E]."""
    left = np.ones(mesh.num_cells, dtype=bool)
    release = check_release(process.release)
    if not isinstance(release, bool):
        for cut in release:
            left &= ~cut.removed(mesh)
    if not left.any():
        raise PartError("release: the cuts leave nothing of the part; move them")
    return left


def _check_count(measurement: Measurement, count: int, motions: int) -> None:
    from_residuals = measurement.intervals == "residuals"
    needed = count + motions + from_residuals
    if len(measurement.points) < needed:
        beside = f", {motions} rigid-body motions" if motions else ""
        beside += " and the size of the residuals" if from_residuals else ""
        raise ValueError(
            f"expected at least {needed} measured values for {count} "
            f"strain{'s' * (count > 1)}{beside} (got "
            f"{len(measurement.points)}); measure more points, or identify fewer strains "
            f"(parameters)"
        )
