"""Identification of the inherent strain from a measured part."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lpbf.calibrate.calibration import Calibration
from lpbf.calibrate.confidence import make_confidence
from lpbf.calibrate.gauss_newton import Optimum, fit_linear, fit_nonlinear
from lpbf.calibrate.identifiability import check_identifiable, weak_directions
from lpbf.calibrate.least_squares import Fit
from lpbf.calibrate.measurement import Measurement
from lpbf.calibrate.problem import LARGEST_STRAIN, Problem, Simulation
from lpbf.core.materials import get_material
from lpbf.core.process import Process
from lpbf.core.strain_source import StrainSource

Array = NDArray[np.float64]

# Probability of the chi-square below which the model or the uncertainties are called wrong.
_UNLIKELY = 0.01


def calibrate(
    measurement: Measurement | str | Path,
    *,
    on_simulation: Callable[[Simulation], None] | None = None,
    device: str | torch.device = "cpu",
) -> Calibration:
    """Identify the inherent strain with which the simulation agrees best with a measured part.

    Weighted least squares: the strain minimises the sum of squared residuals over their variances.
    An elastic part is linear in the strain, so one simulation for each unknown gives the exact
    solution; a plastic one is solved by Gauss and Newton's method with finite differences.

    Args:
        measurement: The measured part, or a YAML file of it.
        on_simulation: Function to call after each simulation.
        device: Device of the simulations.

    Raises:
        FileNotFoundError: If a file does not exist.
        PartError: If the part is unusable at this pitch.
        SolverError: If a simulation or the identification does not converge.
        ValueError: If the measurement does not fit the part, or does not determine the strain.
    """
    if not isinstance(measurement, Measurement):
        measurement = Measurement.from_yaml(measurement)
    problem = Problem(measurement, on_simulation, device)
    optimum = _solve(problem, measurement.values)
    fit, numbers, parameters = optimum.fit, optimum.numbers, problem.parameters
    strain = parameters.strain(numbers)
    if not problem.is_small(numbers):
        raise ValueError(
            f"expected a strain within {LARGEST_STRAIN} of zero (the values give "
            f"{', '.join(f'{value:.3g}' for value in strain)}); check their unit and sign, and the "
            f"part"
        )
    residuals, freedom = problem.residuals, problem.freedom
    residual = measurement.values - optimum.computed
    chi_square = residuals.chi_square(residual)
    confidence = make_confidence(measurement.intervals, chi_square, freedom)
    bounds = confidence.interval(strain, parameters.matrix @ fit.covariance @ parameters.matrix.T)
    process, mesh = measurement.process, problem.mesh
    exx, eyy, ezz = strain.tolist()
    source = StrainSource(
        measurement=measurement.name,
        sha256=measurement.sha256,
        num_values=len(residual),
        inherent_strain=(exx, eyy, ezz),
        intervals=tuple(
            (low, high) if row.any() else None  # the component is given
            for row, (low, high) in zip(parameters.matrix, bounds.tolist(), strict=True)
        ),
        reduced_chi_square=chi_square / freedom if freedom else None,
        material=get_material(process.material).name,
        plasticity=process.plasticity,
        pitch=mesh.spacing,
        layer_height=process.voxels_per_layer(mesh.spacing[2]) * mesh.spacing[2],
    )
    deviation = np.sqrt(np.diag(fit.covariance))
    calibration = Calibration(
        measurement=measurement,
        process=_calibrated(process, source),
        names=parameters.names,
        numbers=numbers,
        standard_error=confidence.standard_error(fit.covariance),
        interval=confidence.interval(numbers, fit.covariance),
        distribution=confidence.distribution,
        correlation=fit.covariance / np.outer(deviation, deviation),
        condition=fit.condition,
        computed=optimum.computed,
        residual=residuals.scaled(residual) * residuals.uncertainty,
        chi_square=chi_square,
        degrees_of_freedom=freedom,
        simulations=problem.simulations,
    )
    factor = confidence.scale * confidence.quantile
    weak = weak_directions(fit, numbers, factor, parameters.names)
    return replace(calibration, warnings=(*weak, *_cautions(calibration)))


def _solve(problem: Problem, measured: Array) -> Optimum:
    def check(fit: Fit) -> None:
        check_identifiable(fit, problem.parameters.names)

    parameters, residuals = problem.parameters, problem.residuals
    if problem.is_linear:
        optimum = fit_linear(
            problem.values,
            len(parameters.names),
            parameters.typical,
            measured,
            residuals,
            offset=problem.has_offset,
        )
        check(optimum.fit)
        return optimum
    return fit_nonlinear(
        problem.values,
        parameters.start,
        abs(parameters.typical),
        measured,
        residuals,
        is_allowed=problem.is_small,
        check=check,
    )


def _calibrated(process: Process, source: StrainSource) -> Process:
    """The process with its strain; cuts of the specimen do not belong to other parts."""
    release = process.release if isinstance(process.release, bool) else True
    return replace(
        process,
        inherent_strain=source.inherent_strain,
        strain_source=source,
        release=release,
    )


def _cautions(calibration: Calibration) -> Sequence[str]:
    texts = []
    freedom, p = calibration.degrees_of_freedom, calibration.p_value
    process = calibration.measurement.process
    if not process.release:
        texts.append(
            "the process has no release: the values are compared with the part on its plate"
        )
    if p is None:
        texts.append(
            "there are as many values as unknowns, so the residuals say nothing about the agreement"
        )
    elif p < _UNLIKELY and calibration.measurement.intervals == "uncertainty":
        factor = (calibration.chi_square / freedom) ** 0.5
        texts.append(
            f"the residuals are {factor:.2g} times as large as the uncertainties explain, so the "
            f"model or the uncertainties are wrong and the intervals too narrow; look at the "
            f"residuals, and consider intervals: residuals"
        )
    if max(calibration.process.inherent_strain) > 0:
        texts.append("a strain is positive: the part would expand; check the signs of the values")
    return texts
