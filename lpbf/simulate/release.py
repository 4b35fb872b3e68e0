"""Release of the part from the build plate."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lpbf.core.report import StepReport
from lpbf.core.result import ReleaseState
from lpbf.mechanics.build import Build
from lpbf.mechanics.build_steps import BuildStep, Stepper
from lpbf.mechanics.equilibrium import Equilibrium
from lpbf.mechanics.zero_energy_modes import ZeroEnergyModes
from lpbf.simulate.part_view import remaining_build
from lpbf.simulate.release_steps import ReleaseStep


@dataclass(frozen=True, eq=False)
class Released:
    """The part after a step of its release.

    Attributes:
        state: Displacement, supports and removed voxels.
        fields: Fields of the voxels by name, [E] or [E, C]; removed voxels keep their last values.
        report: Cost and convergence of the step.
    """

    state: ReleaseState
    fields: dict[str, NDArray[np.float64]]
    report: StepReport


def release(
    stepper: Stepper,
    displacement: NDArray[np.float64],
    build: Build,
    steps: Sequence[ReleaseStep],
    tolerance: float,
    device: str | torch.device,
    on_step: Callable[[Released], None] | None = None,
) -> list[Released]:
    """Cut the part from the plate, step by step: its forces vanish there, and it springs back.

    A component without a node on the plate is aligned with the nominal part, like a scan with a CAD
    model: the best-fit rigid-body motion (least squares over the nodes) is removed. So are
    mechanisms about common edges and corners of voxels. What the plate holds stays where it is.

    Args:
        stepper: Stepper with the state of the build's cells; it is left in that of the first cuts
            until voxels are removed.
        displacement: Displacement on the plate, [N, 3], mm.
        build: Part and supports.
        steps: What each cut leaves.
        tolerance: Tolerance of the equilibrium.
        device: Device of the computation.
        on_step: Called after each step.

    Raises:
        SolverError: If the equilibrium does not converge.
    """
    left = np.ones(build.mesh.num_cells, dtype=bool)
    nodes, rest = np.arange(build.mesh.num_nodes), build
    fields = {name: values.cpu().numpy() for name, values in stepper.cell_fields().items()}
    done = []
    for step in steps:
        if (step.left != left).any():
            rest = remaining_build(build, step.left)
            cells = torch.from_numpy(np.flatnonzero(step.left[left])).to(device)
            stepper = stepper.extract(rest, cells)
            left, nodes = step.left, np.unique(build.mesh.cells[step.left])
        fixed = step.on_plate[nodes]
        equilibrium = Equilibrium(
            rest,
            clamped=False,
            fixed=fixed if fixed.any() else None,
            device=device,
            tolerance=tolerance,
        )
        equilibrium.activate_layer(0)
        zero = torch.zeros(rest.mesh.num_cells, 6, dtype=torch.float64, device=device)
        increment, report = stepper.solve(
            BuildStep(None, step.name, zero, in_equilibrium=False), equilibrium, None
        )
        displacement = displacement.copy()
        displacement[nodes] += increment.cpu().numpy()
        displacement[nodes] = ZeroEnergyModes(rest.mesh, fixed).remove(displacement[nodes])
        fields = {name: values.copy() for name, values in fields.items()}
        for name, values in stepper.cell_fields().items():
            fields[name][left] = values.cpu().numpy()
        state = ReleaseState(step.name, displacement, step.on_plate, ~left)
        done.append(Released(state, fields, report))
        if on_step is not None:
            on_step(done[-1])
    return done
