"""The cut from the plate."""

import numpy as np
import torch
from numpy.typing import NDArray

from lpbf.core.report import StepReport
from lpbf.mechanics.build import Build
from lpbf.mechanics.equilibrium import Equilibrium
from lpbf.mechanics.free_motions import free_motions
from lpbf.mechanics.steps import Step, Stepper


def release(
    stepper: Stepper,
    displacement: NDArray[np.float64],
    build: Build,
    tolerance: float,
    device: str | torch.device,
) -> tuple[NDArray[np.float64], StepReport]:
    """Cuts the part free: the plate's forces vanish and it springs back.

    The displacement of the free part is told as one that was scanned and laid over its CAD model:
    without the translation and rotation that fit it best (least squares over the nodes). What
    falls apart when it is cut is laid over it piece by piece; where only an edge or a corner holds,
    the angle fits best too.

    Args:
        stepper: With the state of the part's cells; it is changed to that of the free part.
        displacement: On the plate, [N, 3], mm.
        build: The part alone.
        tolerance: Of the equilibrium.
        device: Where it is computed.

    Raises:
        SolverError: If the equilibrium is not found.
    """
    equilibrium = Equilibrium(build, clamped=False, device=device, tolerance=tolerance)
    equilibrium.add_layer(0)
    zero = torch.zeros(build.mesh.num_cells, 6, dtype=torch.float64, device=device)
    step = Step(None, "release", zero, in_balance=False)
    increment, report = stepper.solve(step, equilibrium, None)
    total = torch.from_numpy(displacement).to(increment) + increment
    for nodes, motions in free_motions(build.mesh):
        own, ways = torch.from_numpy(nodes).to(device), torch.from_numpy(motions).to(increment)
        flat = total[own].flatten()
        total[own] -= (ways @ (ways.T @ flat)).view(-1, 3)
    return total.cpu().numpy(), report
