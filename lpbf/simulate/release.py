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
from lpbf.simulate.part_view import remaining_build
from lpbf.simulate.release_steps import ReleaseStep


@dataclass(frozen=True, eq=False)
class Released:
    """The part after a step of its release.

    Attributes:
        state: Displacement, supports and removed voxels, of part and supports.
        fields: Fields of their voxels by name, [E] or [E, C]; removed ones keep their last values.
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
    mechanisms about common edges and corners of voxels. What the plate holds is not aligned.

    An elastic plate relaxes with the part. Its top voxels that touch a node of the part that is cut
    off are removed: the kerf of the cut is a voxel high, and a voxel wider than the cut surface.

    Args:
        stepper: Stepper with the state of the build's cells; it is left in that of the first cuts
            until voxels are removed.
        displacement: Displacement of part and supports on the plate, [N, 3], mm.
        build: Part and supports, and the elastic plate if a cut leaves something on it.
        steps: What each cut leaves.
        tolerance: Tolerance of the equilibrium.
        device: Device of the computation.
        on_step: Called after each step.

    Raises:
        SolverError: If the equilibrium does not converge.
    """
    left = np.ones(build.mesh.num_cells, dtype=bool)
    nodes, rest = np.arange(build.mesh.num_nodes), build
    moved = np.zeros((build.mesh.num_nodes, 3))
    moved[build.solid_nodes] = displacement
    fields = {name: values.cpu().numpy() for name, values in stepper.cell_fields().items()}
    done = []
    for step in steps:
        kept, held = _left(build, step)
        kept &= left
        if (kept != left).any():
            rest = remaining_build(build, kept)
            cells = torch.from_numpy(np.flatnonzero(kept[left])).to(device)
            stepper = stepper.extract(rest, cells)
            left, nodes = kept, np.unique(build.mesh.cells[kept])
        fixed = held[nodes]
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
        from lpbf.mechanics.zero_energy_modes import ZeroEnergyModes

        moved[nodes] += increment.cpu().numpy()
        moved[nodes] = ZeroEnergyModes(rest.mesh, fixed).remove(moved[nodes])
        fields = {name: values.copy() for name, values in fields.items()}
        for name, values in stepper.cell_fields().items():
            fields[name][left] = values.cpu().numpy()
        solid = build.is_solid
        state = ReleaseState(step.name, moved[build.solid_nodes], step.on_plate, ~left[solid])
        own = {name: values[solid] for name, values in fields.items()}
        done.append(Released(state, own, report))
        if on_step is not None:
            on_step(done[-1])
    return done


def _left(build: Build, step: ReleaseStep) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Cells that a step of the release leaves of a build, and its nodes that cannot move."""
    left = np.ones(build.mesh.num_cells, dtype=bool)
    solid = build.is_solid
    left[solid] = step.left
    on_plate = np.zeros(build.mesh.num_nodes, dtype=bool)
    on_plate[build.solid_nodes] = step.on_plate
    if solid.all():
        return left, on_plate
    if not on_plate.any():
        return left & solid, on_plate
    row, cells = build.mesh.cell_index[:, 2], build.mesh.cells
    loose = np.zeros_like(on_plate)
    loose[cells[solid & left & (row == row[solid].min()), :4]] = True
    left[~solid & (loose & ~on_plate)[cells].any(axis=1)] = False
    clamped = np.zeros_like(on_plate)
    clamped[cells[row == 0, :4]] = True
    return left, clamped
