"""Release of the part from the build plate."""

import numpy as np
import torch
from numpy.typing import NDArray

from lpbf.core.report import StepReport
from lpbf.mechanics.build import Build
from lpbf.mechanics.build_steps import BuildStep, Stepper
from lpbf.mechanics.equilibrium import Equilibrium
from lpbf.mechanics.zero_energy_modes import zero_energy_modes


def release(
    stepper: Stepper,
    displacement: NDArray[np.float64],
    build: Build,
    tolerance: float,
    device: str | torch.device,
) -> tuple[NDArray[np.float64], StepReport]:
    """Cut the part from the plate: the forces of the plate vanish and it springs back.

    The displacement after it is aligned with the nominal part, like a scan with a CAD model: the
    best-fit rigid-body motion (least squares over the nodes) of each connected component is
    removed, and so are mechanisms about common edges and corners of voxels.

    Args:
        stepper: Stepper with the state of the part's cells, which becomes that of the free part.
        displacement: Displacement on the plate, [N, 3], mm.
        build: The part alone.
        tolerance: Tolerance of the equilibrium.
        device: Device of the computation.

    Raises:
        SolverError: If the equilibrium does not converge.
    """
    equilibrium = Equilibrium(build, clamped=False, device=device, tolerance=tolerance)
    equilibrium.activate_layer(0)
    zero = torch.zeros(build.mesh.num_cells, 6, dtype=torch.float64, device=device)
    step = BuildStep(None, "release", zero, in_equilibrium=False)
    increment, report = stepper.solve(step, equilibrium, None)
    total = displacement + increment.cpu().numpy()
    for nodes, modes in zero_energy_modes(build.mesh):
        total[nodes] -= (modes @ (modes.T @ total[nodes].ravel())).reshape(-1, 3)
    return total, report
